"""Mean and spread of the gaps between the IN and the OUT models of many samples, by the method of moments."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.compile import kernel

SUM_BITS = 62
"""Bits of a sum over all samples: it is below 2^SUM_BITS."""

ROUNDS = 50
"""Largest number of rounds; a few suffice unless the errors of the samples differ much."""

CLOSE = 1e-9
"""The rounds end when the variance moves by less than this share of itself and the smallest error together."""


@kernel()
def gap_prior(gaps: NDArray[np.float64], errors: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and variance of the true gaps, from estimates with errors of known variance.

    `gaps` and `errors` (variances, greater than 0) are float64 [sample], one sample or more. Each round weights a
    sample by w = 1 / (variance + error), and sets mean = sum(w * gap) / sum(w) and
    variance = max(0, sum(w^2 * ((gap - mean)^2 - error)) / sum(w^2)). In the first round all weights are equal.

    Sums are sums of integers, so that the order of the samples changes no bit; a factor of two in the gaps, and of
    four in the errors, changes none either.
    """
    samples = len(gaps)
    unit = math.ldexp(1.0, SUM_BITS - math.ceil(math.log2(samples)) - 2)
    largest, least = 0.0, errors[0]
    for i in range(samples):
        largest, least = max(largest, abs(gaps[i])), min(least, errors[i])
    mean = variance = 0.0
    for number in range(ROUNDS):
        weights = weights_squared = moved = np.int64(0)
        for i in range(samples):
            w = (variance + least) / (variance + errors[i]) if number else 1.0
            weights += np.int64(w * unit)
            weights_squared += np.int64(w * w * unit)
            if largest > 0:
                moved += np.int64(w * (gaps[i] / largest) * unit)
        mean = np.float64(moved) / np.float64(weights) * largest
        bound = 4 * largest * largest + variance + least
        excess = np.int64(0)
        for i in range(samples):
            w = (variance + least) / (variance + errors[i]) if number else 1.0
            # the error of a sample with a small weight may exceed the bound, w times the error does not
            apart = w * ((gaps[i] - mean) * (gaps[i] - mean)) - (w * errors[i] if number else min(errors[i], bound))
            excess += np.int64(w * apart / bound * unit)
        before, variance = variance, max(0.0, np.float64(excess) / np.float64(weights_squared) * bound)
        if number and abs(variance - before) <= CLOSE * (variance + least):
            break
    return mean, variance
