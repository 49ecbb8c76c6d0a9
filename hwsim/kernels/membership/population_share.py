"""Which share of a population a value beats, without comparing every pair."""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from hwsim.kernels.compile import kernel


@kernel(parallel=True)
def share_at_least(values: NDArray[np.float64], population: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Share of the z in `population` with value - z >= margin, float64 [sample].

    `values` float64 [sample]; `population` float64 [z], sorted from small to large, not empty. The
    difference of two floats never grows with z, rounding included, so one bisection per value
    finds the very count that comparing it with every z would.
    """
    shares = np.empty(len(values))
    for s in prange(len(values)):
        beaten, beyond = 0, len(population)
        while beaten < beyond:
            middle = (beaten + beyond) // 2
            if values[s] - population[middle] >= margin:
                beaten = middle + 1
            else:
                beyond = middle
        shares[s] = beaten / len(population)
    return shares
