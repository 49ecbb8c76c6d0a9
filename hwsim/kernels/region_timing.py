"""How often a lock-step array meets sensitive regions: exact counts from the masks.

All functions take masks bool [sample, region row, region column], the height and width of the input
map and of a region, and kernel, stride and padding of the convolution with its output size. Tap t is
kernel row t // kernel width, column t % kernel width. Padding is never sensitive. Results are int64,
one row per sample.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(cache=True)  # type: ignore[misc]
def _tap(mask, size, region, kernel, stride, padding, pixel, tap, out_width):  # type: ignore[no-untyped-def]
    """Is the input pixel of this output pixel and tap sensitive."""
    y = (pixel // out_width) * stride[0] + tap // kernel[1] - padding[0]
    x = (pixel % out_width) * stride[1] + tap % kernel[1] - padding[1]
    if y < 0 or x < 0 or y >= size[0] or x >= size[1]:
        return False
    return mask[y // region[0], x // region[1]]


@njit(cache=True, parallel=True)  # type: ignore[misc]
def sensitive_taps(masks, size, region, kernel, stride, padding, out):  # type: ignore[no-untyped-def]
    """Pairs of output pixel and tap whose input pixel is sensitive: int64 [sample]."""
    counts = np.zeros(masks.shape[0], dtype=np.int64)
    for n in prange(masks.shape[0]):
        found = 0
        for pixel in range(out[0] * out[1]):
            for tap in range(kernel[0] * kernel[1]):
                if _tap(masks[n], size, region, kernel, stride, padding, pixel, tap, out[1]):
                    found += 1
        counts[n] = found
    return counts


@njit(cache=True, parallel=True)  # type: ignore[misc]
def hot_wavefronts(masks, ranges, size, region, kernel, stride, padding, out):  # type: ignore[no-untyped-def]
    """Weight stationary: output pixels with a sensitive tap among `ranges` (int64 [range, first and last tap]).

    Returns int64 [sample, range].
    """
    counts = np.zeros((masks.shape[0], ranges.shape[0]), dtype=np.int64)
    taps = kernel[0] * kernel[1]
    for n in prange(masks.shape[0]):
        seen = np.zeros(taps + 1, dtype=np.int64)  # sensitive taps of this pixel before tap t
        for pixel in range(out[0] * out[1]):
            for tap in range(taps):
                hot = _tap(masks[n], size, region, kernel, stride, padding, pixel, tap, out[1])
                seen[tap + 1] = seen[tap] + (1 if hot else 0)
            for i in range(ranges.shape[0]):
                if seen[ranges[i, 1] + 1] > seen[ranges[i, 0]]:
                    counts[n, i] += 1
    return counts


@njit(cache=True, parallel=True)  # type: ignore[misc]
def hot_steps(masks, rows, size, region, kernel, stride, padding, out):  # type: ignore[no-untyped-def]
    """Output stationary: pairs of pixel block and tap in which any of `rows` pixels is sensitive: int64 [sample]."""
    counts = np.zeros(masks.shape[0], dtype=np.int64)
    pixels = out[0] * out[1]
    for n in prange(masks.shape[0]):
        found = 0
        for first in range(0, pixels, rows):
            for tap in range(kernel[0] * kernel[1]):
                for pixel in range(first, min(first + rows, pixels)):
                    if _tap(masks[n], size, region, kernel, stride, padding, pixel, tap, out[1]):
                        found += 1
                        break
        counts[n] = found
    return counts
