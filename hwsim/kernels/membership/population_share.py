"""Share of a population that a value exceeds, without comparing every pair."""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from hwsim.kernels.compile import for_kernel, kernel


def share_at_least(values: NDArray[np.float64], population: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Return the share of the z in `population` with value - z >= margin, float64 [sample].

    `values` float64 [sample]; `population` float64 [z], ascending, not empty. The floating-point
    difference never grows with z, rounding included, so that one bisection per value finds the same count
    as a comparison with every z.
    """
    shares: NDArray[np.float64] = _share_at_least(
        for_kernel(values, np.float64), for_kernel(population, np.float64), margin
    )
    return shares


@kernel(parallel=True)
def _share_at_least(values: NDArray[np.float64], population: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    shares = np.empty(len(values))
    for s in prange(len(values)):
        low, high = 0, len(population)
        while low < high:
            middle = (low + high) // 2
            if values[s] - population[middle] >= margin:
                low = middle + 1
            else:
                high = middle
        shares[s] = low / len(population)
    return shares
