"""How often a lock-step array meets sensitive regions: exact counts from the masks.

All functions take masks bool [sample, region], whose last column is padding and always False, and
`where` int32 [output pixel, kernel tap]: the region of the input pixel that the tap reads. Results
are int64, one row per sample.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(cache=True, parallel=True)  # type: ignore[misc]
def sensitive_taps(masks, where):  # type: ignore[no-untyped-def]
    """Pairs of output pixel and tap whose input pixel is sensitive: int64 [sample]."""
    counts = np.zeros(masks.shape[0], dtype=np.int64)
    for n in prange(masks.shape[0]):
        found = 0
        for pixel in range(where.shape[0]):
            for tap in range(where.shape[1]):
                found += masks[n, where[pixel, tap]]
        counts[n] = found
    return counts


@njit(cache=True, parallel=True)  # type: ignore[misc]
def hot_wavefronts(masks, where, ranges):  # type: ignore[no-untyped-def]
    """Weight stationary: output pixels with a sensitive tap among `ranges` (int64 [range, first and last tap]).

    Returns int64 [sample, range].
    """
    counts = np.zeros((masks.shape[0], ranges.shape[0]), dtype=np.int64)
    for n in prange(masks.shape[0]):
        seen = np.zeros(where.shape[1] + 1, dtype=np.int64)  # sensitive taps of this pixel before tap t
        for pixel in range(where.shape[0]):
            for tap in range(where.shape[1]):
                seen[tap + 1] = seen[tap] + masks[n, where[pixel, tap]]
            for i in range(ranges.shape[0]):
                counts[n, i] += seen[ranges[i, 1] + 1] > seen[ranges[i, 0]]
    return counts


@njit(cache=True, parallel=True)  # type: ignore[misc]
def hot_steps(masks, where, rows):  # type: ignore[no-untyped-def]
    """Output stationary: pairs of pixel block and tap in which any of `rows` pixels is sensitive: int64 [sample]."""
    counts = np.zeros(masks.shape[0], dtype=np.int64)
    pixels = where.shape[0]
    for n in prange(masks.shape[0]):
        found = 0
        for first in range(0, pixels, rows):
            for tap in range(where.shape[1]):
                for pixel in range(first, min(first + rows, pixels)):
                    if masks[n, where[pixel, tap]]:
                        found += 1
                        break
        counts[n] = found
    return counts
