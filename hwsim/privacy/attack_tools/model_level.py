"""Removal of a model's own level from a channel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LEVEL = "each value less its model's mean over the samples"
"""Description of the parameter `remove_level`."""


def less_model_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values [model, sample, ...] less the mean of each model over the samples, float64.

    Models differ in their mean latency or energy. The difference is common to members and non-members of a target, but
    it widens the distributions of the shadow models, and by chance it favors one side. Membership is not read. Sums
    are exactly rounded, so the order of the samples changes no bit.

    >>> less_model_mean(np.array([[1.0, 3.0], [5.0, 5.0]])).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    x = np.asarray(values, dtype=np.float64)
    columns = x.reshape(len(x), x.shape[1], -1)
    level = np.array([[math.fsum(c.tolist()) / len(c) for c in one.T] for one in columns])
    return np.asarray((columns - level[:, None]).reshape(x.shape))
