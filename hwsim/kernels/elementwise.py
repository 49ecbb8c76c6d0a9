"""Requantization, residual adds and pools: what happens to each output element on its own."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

i16, i32, i64 = np.int16, np.int32, np.int64


@njit(cache=True)  # type: ignore[misc]
def _scale(total, shift, zero, low, high):  # type: ignore[no-untyped-def]
    """Round half up by `shift` bits (`(1 << 0) >> 1` adds nothing), add the zero point, clip."""
    scaled = ((total + ((i64(1) << shift) >> i64(1))) >> shift) + zero
    return i16(min(max(scaled, low), high))


@njit(cache=True, parallel=True)  # type: ignore[misc]
def requantize(accumulators, multiplier, shift, zero, low, high):  # type: ignore[no-untyped-def]
    """Output codes int16 of accumulators int32, both [sample, channel, element].

    `multiplier` and `shift` are int64 [channel]. Equals `reference.requantize`.
    """
    samples, channels, elements = accumulators.shape
    out = np.empty((samples, channels, elements), dtype=i16)
    for n in prange(samples):
        for c in range(channels):
            m, s = multiplier[c], shift[c]
            for e in range(elements):
                out[n, c, e] = _scale(i64(accumulators[n, c, e]) * m, s, zero, low, high)
    return out


@njit(cache=True, parallel=True)  # type: ignore[misc]
def add(a, zero_a, b, zero_b, multiplier, shift, zero, low, high):  # type: ignore[no-untyped-def]
    """Codes int16 of a residual add of codes int16, all [sample, element]; `multiplier` int64 [2].

    Equals `reference.add`.
    """
    out = np.empty(a.shape, dtype=i16)
    for n in prange(a.shape[0]):
        for e in range(a.shape[1]):
            total = i64(a[n, e] - zero_a) * multiplier[0] + i64(b[n, e] - zero_b) * multiplier[1]
            out[n, e] = _scale(total, shift, zero, low, high)
    return out


@njit(cache=True, parallel=True)  # type: ignore[misc]
def max_pool(codes, smallest, kernel, stride, padding):  # type: ignore[no-untyped-def]
    """Largest code of each window: int16 [sample, channel, row, column]; padding is the `smallest` code."""
    samples, channels, height, width = codes.shape
    out_h = (height + 2 * padding[0] - kernel[0]) // stride[0] + 1
    out_w = (width + 2 * padding[1] - kernel[1]) // stride[1] + 1
    out = np.empty((samples, channels, out_h, out_w), dtype=i16)
    for n in prange(samples):
        for c in range(channels):
            for y in range(out_h):
                top = y * stride[0] - padding[0]
                for x in range(out_w):
                    left = x * stride[1] - padding[1]
                    best = i16(smallest)
                    for i in range(max(top, 0), min(top + kernel[0], height)):
                        for j in range(max(left, 0), min(left + kernel[1], width)):
                            best = max(best, codes[n, c, i, j])
                    out[n, c, y, x] = best
    return out


@njit(cache=True, parallel=True)  # type: ignore[misc]
def sum_pool(codes, zero, kernel, stride, padding):  # type: ignore[no-untyped-def]
    """Sum of the values (code less `zero`) of each window: int32 [sample, channel, row, column]; padding adds 0."""
    samples, channels, height, width = codes.shape
    out_h = (height + 2 * padding[0] - kernel[0]) // stride[0] + 1
    out_w = (width + 2 * padding[1] - kernel[1]) // stride[1] + 1
    out = np.empty((samples, channels, out_h, out_w), dtype=i32)
    for n in prange(samples):
        for c in range(channels):
            for y in range(out_h):
                top = y * stride[0] - padding[0]
                for x in range(out_w):
                    left = x * stride[1] - padding[1]
                    total = i32(0)
                    for i in range(max(top, 0), min(top + kernel[0], height)):
                        for j in range(max(left, 0), min(left + kernel[1], width)):
                            total = i32(total + (codes[n, c, i, j] - zero))
                    out[n, c, y, x] = total
    return out
