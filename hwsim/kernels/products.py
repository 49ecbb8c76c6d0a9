"""Sums of products: convolution and linear layers, as dot products that run contiguously along K.

K is the number of terms of one sum. Both operands are padded with zeros to a multiple of `LANES`
along K and to pairs along the other axis, so that the inner loop needs no special cases and LLVM
turns it into vector multiply-adds of int16 with int32 sums.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

LANES = 32
PIXELS = 32
"""Output positions that share one block of patches (it stays in the cache); even, for pairs."""

i32 = np.int32


def pack(weights: NDArray[np.integer], groups: int = 1) -> NDArray[np.int16]:
    """Weights as the kernels read them: int16 [group, filter (even), K (multiple of LANES)], zero padded.

    `weights` is [filter, channel of group, row, column] or [output, input]; K runs over row, column,
    channel, the order in which a channels-last map stores a window.

    >>> pack(np.ones((3, 2, 3, 3), np.int8)).shape
    (1, 4, 32)
    """
    maps = weights.reshape(*weights.shape, 1, 1) if weights.ndim == 2 else weights
    filters, terms = maps.shape[0] // groups, int(np.prod(maps.shape[1:]))
    packed = np.zeros((groups, filters + filters % 2, -(-terms // LANES) * LANES), dtype=np.int16)
    packed[:, :filters, :terms] = maps.transpose(0, 2, 3, 1).reshape(groups, filters, terms)
    return packed


@njit(cache=True)  # type: ignore[misc]
def _dot_block(patches, count, weights, sums):  # type: ignore[no-untyped-def]
    """`sums[f, p] = patches[p] . weights[f]` modulo 2^32 for the first `count` patches, 2 x 2 at a time."""
    terms = patches.shape[1]
    for f in range(0, weights.shape[0], 2):
        w0, w1 = weights[f], weights[f + 1]
        for p in range(0, count, 2):
            x0, x1 = patches[p], patches[p + 1]
            s00, s01, s10, s11 = i32(0), i32(0), i32(0), i32(0)
            for k in range(terms):
                a, b = i32(x0[k]), i32(x1[k])
                c, d = i32(w0[k]), i32(w1[k])
                s00 = i32(s00 + a * c)
                s01 = i32(s01 + b * c)
                s10 = i32(s10 + a * d)
                s11 = i32(s11 + b * d)
            sums[f, p], sums[f, p + 1] = s00, s01
            sums[f + 1, p], sums[f + 1, p + 1] = s10, s11


@njit(cache=True)  # type: ignore[misc]
def _channels_last(codes, zero, pad_h, pad_w):  # type: ignore[no-untyped-def]
    """One image's values (code less zero point), padded with zeros, as a flat [row, column, channel] map."""
    channels, height, width = codes.shape
    wide = width + 2 * pad_w
    values = np.zeros((height + 2 * pad_h) * wide * channels, dtype=np.int16)
    for c in range(channels):
        for y in range(height):
            start = ((y + pad_h) * wide + pad_w) * channels + c
            for x in range(width):
                values[start + x * channels] = codes[c, y, x] - zero
    return values


@njit(cache=True)  # type: ignore[misc]
def _copy(source, start, target, k, count):  # type: ignore[no-untyped-def]
    """`target[k : k + count] = source[start : start + count]`; views with index 0 first let the loop vectorize."""
    source, target = source[start:], target[k:]
    for i in range(count):
        target[i] = source[i]


@njit(cache=True)  # type: ignore[misc]
def _add_bias(sums, bias, count, target):  # type: ignore[no-untyped-def]
    for p in range(count):
        target[p] = i32(sums[p] + bias)


@njit(cache=True, parallel=True)  # type: ignore[misc]
def convolve(codes, zero, weights, bias, kernel, stride, padding):  # type: ignore[no-untyped-def]
    """Accumulators of a convolution: int32 [sample, filter, row, column].

    `codes` int16 [sample, channel, row, column] with zero point `zero`; `weights` from `pack`;
    `bias` int32 [filter]; `kernel`, `stride`, `padding` pairs of ints. Equals `reference.accumulate`.
    """
    samples, channels, height, width = codes.shape
    groups, group_filters, terms = weights.shape
    filters = len(bias) // groups
    wide = width + 2 * padding[1]
    out_h = (height + 2 * padding[0] - kernel[0]) // stride[0] + 1
    out_w = (width + 2 * padding[1] - kernel[1]) // stride[1] + 1
    depth = channels // groups
    # without groups, the codes under one kernel row lie side by side: one run instead of many
    run, runs = (kernel[1] * channels, 1) if groups == 1 else (depth, kernel[1])
    out = np.empty((samples, len(bias), out_h * out_w), dtype=np.int32)
    for n in prange(samples):
        values = _channels_last(codes[n], zero, padding[0], padding[1])
        patches = np.zeros((PIXELS, terms), dtype=np.int16)
        sums = np.empty((group_filters, PIXELS), dtype=np.int32)
        for g in range(groups):
            for first in range(0, out_h * out_w, PIXELS):
                count = min(PIXELS, out_h * out_w - first)
                for p in range(count):
                    y, x = divmod(first + p, out_w)
                    corner = (y * stride[0] * wide + x * stride[1]) * channels + g * depth
                    for ky in range(kernel[0]):
                        for r in range(runs):
                            start = corner + (ky * wide + r) * channels
                            _copy(values, start, patches[p], (ky * runs + r) * run, run)
                _dot_block(patches, count, weights[g], sums)
                for f in range(filters):
                    channel = g * filters + f
                    _add_bias(sums[f], bias[channel], count, out[n, channel, first:])
    return out.reshape(samples, len(bias), out_h, out_w)


@njit(cache=True, parallel=True)  # type: ignore[misc]
def multiply(codes, zero, weights, bias):  # type: ignore[no-untyped-def]
    """Accumulators of a linear layer: int32 [sample, output].

    `codes` int16 [sample, input] with zero point `zero`; `weights` from `pack`; `bias` int32 [output].
    Equals `reference.accumulate`.
    """
    samples, features = codes.shape
    outputs = len(bias)
    out = np.empty((samples, outputs), dtype=np.int32)
    for block in prange((samples + PIXELS - 1) // PIXELS):
        first = block * PIXELS
        count = min(PIXELS, samples - first)
        patches = np.zeros((PIXELS, weights.shape[2]), dtype=np.int16)
        sums = np.empty((weights.shape[1], PIXELS), dtype=np.int32)
        for p in range(count):
            for k in range(features):
                patches[p, k] = codes[first + p, k] - zero
        _dot_block(patches, count, weights[0], sums)
        for p in range(count):
            for f in range(outputs):
                out[first + p, f] = i32(sums[f, p] + bias[f])
    return out
