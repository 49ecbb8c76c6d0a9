"""The likelihood ratio that the shadow attacks share: does this value look like in or like out?"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.kernels.shadows import side_moments

Variance = Literal["shrinkage", "pooled", "per_point"]

PRIOR_STRENGTH = 8.0
"""Weight of the pooled variance in the shrinkage, in pseudo-observations (our own choice)."""

_FLOOR = 1e-12
"""Smallest variance, as a share of the whole spread: a ratio of a channel without noise stays finite."""


def log_ratio(
    values: NDArray[Any],
    keep: NDArray[np.bool_],
    variance: Variance = "shrinkage",
    prior_strength: float = PRIOR_STRENGTH,
) -> NDArray[np.float64]:
    """log p(value | member) - log p(value | non-member) under the shadows of each sample.

    `values` [model, sample] is one number per model and sample, `keep` bool [model, sample];
    returns float64 [target, sample]. Each side (in, out) has the mean of its own shadows, and:

    - `per_point`: a normal with the variance of the sample's own shadows on that side;
    - `pooled`: a normal with one variance per side, pooled over the samples, each centred on its mean;
    - `shrinkage`: a Student-t. The variance has an inverse-gamma prior that counts like
      `prior_strength` observations of the pooled variance, the mean a flat one. With n shadows
      and their centred sum of squares ss this predicts a t with `prior_strength + n - 1` degrees of
      freedom and squared scale `(prior_strength * pooled + ss) / (prior_strength + n - 1) * (1 + 1/n)`.

    Variances are unbiased. Equal values on both sides give exactly 0. The order of the samples
    never matters, to the last bit. Raises BadInput with fewer than 6 models, where a side has one
    shadow and no variance.

    Sources: N. Carlini et al., Membership Inference Attacks From First Principles, 2022 (online
    LiRA, which takes medians where this takes means); BaVarIA, arXiv 2603.11799 (the idea of the
    Student-t; the prior is our own choice).
    """
    x = np.asarray(values, dtype=np.float64)
    means, squares, sizes = side_moments(np.ascontiguousarray(x.T), np.ascontiguousarray(keep.T))
    if sizes.min() < 2:
        raise BadInput("game.models", len(keep), "6 or more for an attack with shadow models")
    spread = squares[0] + squares[1] + sizes * (means[1] - means[0]) ** 2 / 2
    floor = _FLOOR * _mean_per_target(spread, 2 * sizes - 1)
    floor[floor == 0] = 1.0
    out, inside = (
        _log_density(x, means[side], squares[side], sizes, floor, variance, prior_strength) for side in (0, 1)
    )
    return inside - out


def _log_density(
    x: NDArray[np.float64],
    mean: NDArray[np.float64],
    squares: NDArray[np.float64],
    sizes: NDArray[np.int64],
    floor: NDArray[np.float64],
    variance: Variance,
    prior_strength: float,
) -> NDArray[np.float64]:
    """Log density of one side, less the terms that both sides have alike."""
    pooled = _mean_per_target(squares, sizes - 1)
    if variance == "pooled":
        scale = pooled + floor + np.zeros_like(x)
    elif variance == "per_point":
        scale = squares / (sizes - 1) + floor
    else:
        freedom = prior_strength + sizes - 1
        scale = ((prior_strength * pooled + squares) / freedom + floor) * (1 + 1 / sizes)
        tail = (freedom + 1) / 2 * np.log1p((x - mean) ** 2 / (scale * freedom))
        return -tail - np.log(scale) / 2
    return -((x - mean) ** 2) / (2 * scale) - np.log(scale) / 2


def _mean_per_target(total: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum of totals over sum of counts, [target, 1]; exactly rounded, so in any order of the samples."""
    return np.array([[math.fsum(row) / int(n)] for row, n in zip(total.tolist(), count.sum(axis=1), strict=True)])
