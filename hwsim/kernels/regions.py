"""Region precision as a plain convolution: a map of twice the channels meets twice the weights.

Where a region is sensitive, the first half of a group's channels holds the codes and the second
half is zero; elsewhere it is the other way round, with the coarse codes in the second half. The
shifts of the coarse product are put into its two factors, which int16 holds.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

i16, i64 = np.int16, np.int64


@njit(cache=True, parallel=True)  # type: ignore[misc]
def sensitive_regions(codes, region_h, region_w, threshold, fraction_bits):  # type: ignore[no-untyped-def]
    """Which regions are sensitive: bool [sample, region row, region column]. Equals `reference.sensitive_regions`."""
    samples, channels, height, width = codes.shape
    rows, columns = (height + region_h - 1) // region_h, (width + region_w - 1) // region_w
    mask = np.empty((samples, rows, columns), dtype=np.bool_)
    for n in prange(samples):
        sums = np.zeros((rows, columns), dtype=i64)
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    sums[y // region_h, x // region_w] += codes[n, c, y, x]
        for i in range(rows):
            for j in range(columns):
                tall = min(region_h, height - i * region_h)
                broad = min(region_w, width - j * region_w)
                mask[n, i, j] = sums[i, j] << fraction_bits >= threshold * (channels * tall * broad)
    return mask


@njit(cache=True, parallel=True)  # type: ignore[misc]
def split(codes, mask, region_h, region_w, low_bits, drop, groups):  # type: ignore[no-untyped-def]
    """The doubled map int16 [sample, 2 * channel, row, column]: per group first the fine channels, then the coarse."""
    samples, channels, height, width = codes.shape
    depth = channels // groups
    largest = (1 << low_bits) - 1
    half = (1 << drop) >> 1
    out = np.empty((samples, 2 * channels, height, width), dtype=i16)
    for n in prange(samples):
        for c in range(channels):
            fine = c + c // depth * depth
            for y in range(height):
                for x in range(width):
                    code = codes[n, c, y, x]
                    sensitive = mask[n, y // region_h, x // region_w]
                    coarse = min((code + half) >> drop, largest) << drop
                    out[n, fine, y, x] = code if sensitive else 0
                    out[n, fine + depth, y, x] = 0 if sensitive else coarse
    return out


def join_weights(fine: NDArray[np.integer], coarse: NDArray[np.integer], shift: int) -> NDArray[np.int16]:
    """Weights for the doubled map, int16: `fine`, then `coarse` shifted left, along the channels of a group."""
    return np.concatenate([fine.astype(i16), coarse.astype(i16) << i16(shift)], axis=1)
