"""How likely a value is among those of a sample's shadow models: what the shadow attacks share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.kernels.membership.shadow_moments import fixed_point_grid, shadow_moments
from hwsim.privacy.attack_tools.shadow_selection import IN, OUT, Shadows, Sides, choose_shadows, has_shadows
from hwsim.privacy.attack_tools.tail_odds import log_tail_odds

Variance = Literal["shrinkage", "pooled", "per_point"]

PRIOR_STRENGTH = 8.0
"""Weight of the pooled variance in the shrinkage, in pseudo-observations (our own choice)."""

_FLOOR = 1e-12
"""Smallest variance, as a share of the whole spread: a ratio of a channel without noise stays finite."""


def online_lira_score(
    values: NDArray[Any],
    keep: NDArray[np.bool_],
    variance: Variance = "shrinkage",
    prior_strength: float = PRIOR_STRENGTH,
    targets: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """log p(value | member) - log p(value | non-member) under the shadows of each sample.

    `values` [model, sample] is one finite number per model and sample, `keep` bool [model, sample]
    need not be balanced; returns float64 [target, sample]. `choose_shadows` says which shadows are
    read, as many on one side (in, out) as on the other. Each side has their mean, and:

    - `per_point`: a normal with the variance of the sample's own shadows on that side;
    - `pooled`: a normal with one variance per side, pooled over the samples, each centred on its mean;
    - `shrinkage`: a Student-t. The variance has an inverse-gamma prior that counts like
      `prior_strength` observations of the pooled variance, the mean a flat one. With n shadows
      and their centred sum of squares ss this predicts a t with `prior_strength + n - 1` degrees of
      freedom and squared scale `(prior_strength * pooled + ss) / (prior_strength + n - 1) * (1 + 1/n)`.

    Variances are unbiased. Where every sample has one shadow on a side (4 models) there is no variance
    to pool; both sides then take that about the mean of the two, which is too large by what sets the
    sides apart: it scales scores and leaves the order of `pooled` ones as it is.

    A sample without a shadow on a side (two, for `per_point`) has the ratio 0. Equal values on both
    sides give exactly 0, and neither the order of the samples nor that of a side's shadows changes a
    bit. Raises BadInput with fewer than 3 models, when no sample has the shadows, or for values
    that are not finite.

    Sources: N. Carlini et al., Membership Inference Attacks From First Principles, 2022 (online
    LiRA, which takes medians where this takes means); BaVarIA, arXiv 2603.11799 (the idea of the
    Student-t; the prior is our own choice).
    """
    x = _finite(values)
    shadows = choose_shadows(keep, targets, "both", least_per_side=least_per_side(variance))
    scores = np.zeros((len(shadows.targets), x.shape[1]))
    for row, usable, own, sides in _moments(x, shadows, "both", least_per_side(variance)):
        spread, floor = _spread(sides[OUT], sides[IN])
        out, inside = (
            _log_density(own, side, *_predictive(side, variance, prior_strength, spread, floor)) for side in sides
        )
        scores[row, usable] = inside - out
    return scores


def offline_lira_score(
    values: NDArray[Any],
    keep: NDArray[np.bool_],
    variance: Variance = "shrinkage",
    prior_strength: float = PRIOR_STRENGTH,
    targets: Sequence[int] | None = None,
    two_sided: bool = False,
) -> NDArray[np.float64]:
    """How little a value looks like those of the shadows that do not hold the sample, float64 [target, sample].

    Arguments, variances and errors as in `online_lira_score`, but only the out-shadows' values are read. One-sided,
    the score is log F - log(1 - F), where F is the chance of a smaller value: it orders as F does,
    never saturates, and is 0 in the middle, which is what a sample without shadows gets. Two-sided,
    it is the negated log density: large on either side. A sample without shadows gets the median.

    Where every sample has one out-shadow, the variance is that of the targets about them.

    Source: N. Carlini et al., 2022, section V.D (one-sided), and the code released with it (two-sided).
    """
    x = _finite(values)
    shadows = choose_shadows(keep, targets, "out", least_per_side=least_per_side(variance))
    scores = np.zeros((len(shadows.targets), x.shape[1]))
    for row, usable, own, (side, _) in _moments(x, shadows, "out", least_per_side(variance)):
        # a target differs from the mean of n shadows by the variance and its n-th part
        spread = _total((own - side.mean) ** 2 * (side.size / (side.size + 1))) / len(own)
        floor = _FLOOR * (spread + _total(side.squares) / len(own)) or 1.0
        scale, freedom = _predictive(side, variance, prior_strength, spread, floor)
        if two_sided:
            density = _log_density(own, side, scale, freedom) + _log_constant(freedom)
            scores[row] = np.median(-density)
            scores[row, usable] = -density
        else:
            scores[row, usable] = log_tail_odds((own - side.mean) / np.sqrt(scale), freedom)
    return scores


def least_per_side(variance: Variance) -> int:
    """Shadows that a side needs: two where its own variance is taken, else one."""
    return 2 if variance == "per_point" else 1


@dataclass(frozen=True, eq=False)
class _Side:
    """The shadows of one side: their number, mean and centred sum of squares, each [sample]."""

    size: NDArray[np.int64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    x = np.ascontiguousarray(values, dtype=np.float64)
    if not np.isfinite([x.max(initial=0.0), x.min(initial=0.0)]).all():  # NaN is the largest of all
        raise BadInput("values", "NaN or infinity", "finite numbers, one per model and sample")
    return x


def _moments(
    x: NDArray[np.float64], shadows: Shadows, sides: Sides, least: int
) -> Iterator[tuple[int, NDArray[np.bool_] | slice, NDArray[np.float64], tuple[_Side, _Side]]]:
    """For each target its row, the samples that have shadows, and of these the target's values and the two sides."""
    keep = np.ascontiguousarray(shadows.keep)
    means, squares = shadow_moments(x, keep, shadows.targets, shadows.sizes, *fixed_point_grid(x))
    for row, target in enumerate(shadows.targets.tolist()):
        taken = shadows.taken(row)
        enough = has_shadows(taken, sides, least)
        usable = slice(None) if enough.all() else enough  # where all have shadows, views instead of copies
        out, inside = (
            _Side(taken[side, usable], means[side, row, usable], squares[side, row, usable]) for side in (OUT, IN)
        )
        yield row, usable, x[target, usable], (out, inside)


def _spread(out: _Side, inside: _Side) -> tuple[float, float]:
    """Variance about the common mean of both sides, and the smallest one that a side may have."""
    total = out.squares + inside.squares + out.size * (inside.mean - out.mean) ** 2 / 2
    spread = _total(total) / int((2 * out.size - 1).sum())
    return spread, _FLOOR * spread or 1.0


def _total(values: NDArray[np.float64]) -> float:
    """Sum of finite numbers that are not negative, the same in any order: integers are added, not floats.

    Each number is cut to multiples of 2**-92 or so of the largest one, in two parts.
    """
    bits = 62 - len(values).bit_length()
    unit = 2.0 ** (math.frexp(float(values.max(initial=0.0)))[1] - bits)
    if unit == 0:  # below the smallest of floats there is nothing to add up
        return 0.0
    high = np.floor(values / unit)
    low = np.floor((values / unit - high) * 2.0**bits)
    parts = [int(part.astype(np.int64).sum()) for part in (high, low)]
    return ((parts[0] << bits) + parts[1]) / (1 << bits) * unit


def _predictive(
    side: _Side, variance: Variance, prior_strength: float, spread: float, floor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Squared scale of what a side predicts, and its degrees of freedom (None: a normal), [sample] each."""
    degrees = side.size - 1
    if variance == "per_point":
        return side.squares / degrees + floor, None
    pooled = _total(side.squares) / int(degrees.sum()) if degrees.any() else spread
    if variance == "pooled":
        return np.full(len(degrees), pooled + floor), None
    freedom = prior_strength + degrees.astype(np.float64)
    return ((prior_strength * pooled + side.squares) / freedom + floor) * (1 + 1 / side.size), freedom


def _log_density(
    x: NDArray[np.float64], side: _Side, scale: NDArray[np.float64], freedom: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Log density, less the constant that two sides of equal size share."""
    distance = (x - side.mean) ** 2 / scale
    if freedom is None:
        return np.asarray(-distance / 2 - np.log(scale) / 2)
    return np.asarray(-(freedom + 1) / 2 * np.log1p(distance / freedom) - np.log(scale) / 2)


def _log_constant(freedom: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """What `_log_density` leaves out."""
    from scipy import special

    if freedom is None:
        return np.asarray(-math.log(2 * math.pi) / 2)
    gammas = special.gammaln((freedom + 1) / 2) - special.gammaln(freedom / 2)
    return np.asarray(gammas - np.log(math.pi * freedom) / 2)
