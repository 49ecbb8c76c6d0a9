"""Moments of each sample's shadow models, for every target at once."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray


@njit(cache=True, parallel=True)
def side_moments(
    values: NDArray[np.float64], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean and centred sum of squares of the shadows that hold a sample and of those that do not.

    `values` float64 and `keep` bool, both C-contiguous [sample, model]. Every model is the target in
    turn and never among its own shadows. Returns means and sums of squares, float64 [side, target,
    sample] with side 0 = out and 1 = in, and the number of shadows per side, int64 [target, sample].

    Both sides use the same number of shadows: as many as the smaller one has, the first ones met
    when walking on from the target. In a balanced game the sizes of the sides would otherwise give
    away on which one the target is missing, and so its membership. Values are summed directly, not
    by subtracting the target from a total, so that equal shadows give equal bits.
    """
    samples, models = values.shape
    means = np.zeros((2, models, samples))
    squares = np.zeros((2, models, samples))
    sizes = np.zeros((models, samples), dtype=np.int64)
    for s in prange(samples):
        for target in range(models):
            available = np.zeros(2, dtype=np.int64)
            for m in range(models):
                if m != target:
                    available[np.int64(keep[s, m])] += 1
            size = min(available[0], available[1])
            sizes[target, s] = size
            if size == 0:
                continue
            for side in range(2):
                total, met = 0.0, 0
                for step in range(1, models):
                    m = (target + step) % models
                    if np.int64(keep[s, m]) == side and met < size:
                        total += values[s, m]
                        met += 1
                mean = total / size
                square, met = 0.0, 0
                for step in range(1, models):
                    m = (target + step) % models
                    if np.int64(keep[s, m]) == side and met < size:
                        square += (values[s, m] - mean) ** 2
                        met += 1
                means[side, target, s] = mean
                squares[side, target, s] = square
    return means, squares, sizes
