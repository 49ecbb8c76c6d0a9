"""Likelihood of a value among the values of a sample's shadow models: the scores of LiRA, online and offline."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.shadow_selection import IN, OUT, ShadowRequirement, choose_shadows
from hwsim.privacy.attack_tools.tail_odds import log_tail_odds

Variance = Literal["shrinkage", "pooled", "per_point"]

PRIOR_STRENGTH = 8.0
"""Weight of the pooled variance in the shrinkage, in pseudo-observations (design choice)."""

_FLOOR = 1e-12
"""Smallest variance, as a share of the whole spread: keeps the ratio of a channel without noise finite."""


def online_requirement(variance: Variance) -> ShadowRequirement:
    """Return the shadow models that `online_lira_score` needs: IN and OUT, two of each for a variance of their own."""
    return ShadowRequirement("in_out", _min_per_set(variance))


def offline_requirement(variance: Variance) -> ShadowRequirement:
    """Return the shadow models that `offline_lira_score` needs: OUT, two of them for a variance of their own."""
    return ShadowRequirement("out", _min_per_set(variance))


def _min_per_set(variance: Variance) -> int:
    return 2 if variance == "per_point" else 1


def online_lira_score(
    values: NDArray[Any],
    game: GameView,
    variance: Variance = "shrinkage",
    prior_strength: float = PRIOR_STRENGTH,
) -> Scores:
    """Return log p(value | member) - log p(value | non-member) under the shadow models of each sample.

    `values` [model, sample] is one finite number per model and sample; returns float64 [target, sample].
    `choose_shadows` selects equally many IN and OUT models. Each set has their mean, and:

    - `per_point`: a normal with the variance of the sample's own shadows in that set;
    - `pooled`: a normal with one variance per set, pooled over the samples, each centered on its mean;
    - `shrinkage`: a Student-t. The variance has an inverse-gamma prior with the weight of `prior_strength`
      observations of the pooled variance, the mean a flat prior. With n shadows and their centered sum of squares
      ss this predicts a t with `prior_strength + n - 1` degrees of freedom and squared scale
      `(prior_strength * pooled + ss) / (prior_strength + n - 1) * (1 + 1/n)`.

    Variances are unbiased. Where every sample has one shadow per set (4 models) there is no variance to pool. Both
    sets then take the variance about the mean of the two. It is too large by the distance of the sets: it scales the
    scores and does not change the order of `pooled` ones.

    A sample without a shadow in a set (two, for `per_point`) has the ratio 0. Equal values in both sets give exactly
    0. Neither the order of the samples nor that of the shadows in a set changes a bit. Raises BadInput with fewer
    than 3 models, when no sample has the shadows, or for values that are not finite.

    Sources: N. Carlini et al., Membership Inference Attacks From First Principles, 2022 (online LiRA); BaVarIA,
    arXiv 2603.11799 (the idea of the Student-t).
    Design choice: the prior of the shrinkage, and means in place of the paper's medians.
    """
    x = _finite(values)
    scores = np.zeros((len(game.targets), x.shape[1]))
    for row, usable, own, sets in _moments(x, game, online_requirement(variance)):
        spread, floor = _spread(sets[OUT], sets[IN])
        log_out, log_in = (
            _log_density(own, moments, *_predictive(moments, variance, prior_strength, spread, floor))
            for moments in sets
        )
        scores[row, usable] = log_in - log_out
    return scores


def offline_lira_score(
    values: NDArray[Any],
    game: GameView,
    variance: Variance = "shrinkage",
    prior_strength: float = PRIOR_STRENGTH,
    two_sided: bool = False,
) -> Scores:
    """Return how unlikely a value is among the values of the OUT models of a sample, float64 [target, sample].

    Arguments, variances and errors as in `online_lira_score`; the values of IN models are not read. One-sided, the
    score is log F - log(1 - F), where F is the probability of a smaller value. It has the order of F, does not
    saturate, and is 0 in the middle, which a sample without shadows gets. Two-sided, the score is the negated log
    density: large for values far above and far below the OUT models. A sample without shadows gets the median.

    Where every sample has one OUT model, the variance is that of the targets about the OUT models.

    Source: N. Carlini et al., 2022, section V.D (one-sided), and the code released with it (two-sided).
    """
    x = _finite(values)
    scores = np.zeros((len(game.targets), x.shape[1]))
    for row, usable, own, (moments, _) in _moments(x, game, offline_requirement(variance)):
        # a target differs from the mean of n shadows by the variance and its n-th part
        spread = _total((own - moments.mean) ** 2 * (moments.size / (moments.size + 1))) / len(own)
        floor = _FLOOR * (spread + _total(moments.squares) / len(own)) or 1.0
        scale, freedom = _predictive(moments, variance, prior_strength, spread, floor)
        if two_sided:
            density = _log_density(own, moments, scale, freedom) + _log_constant(freedom)
            scores[row] = np.median(-density)
            scores[row, usable] = -density
        else:
            scores[row, usable] = log_tail_odds((own - moments.mean) / np.sqrt(scale), freedom)
    return scores


@dataclass(frozen=True, eq=False)
class _Moments:
    """Number, mean and centered sum of squares of the shadows in a set, each [sample]."""

    size: NDArray[np.int64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    x = np.ascontiguousarray(values, dtype=np.float64)
    if not np.isfinite([x.max(initial=0.0), x.min(initial=0.0)]).all():  # max and min return NaN where there is one
        raise BadInput("values", "NaN or infinity", "finite numbers, one per model and sample")
    return x


def _moments(
    x: NDArray[np.float64], game: GameView, requirement: ShadowRequirement
) -> Iterator[tuple[int, NDArray[np.bool_] | slice, NDArray[np.float64], tuple[_Moments, _Moments]]]:
    """Yield for each target its row, the samples that have shadows, their values, and the moments of OUT and IN.

    `x` is float64 [model, sample]; values and moments are [usable sample].
    """
    shadows = choose_shadows(game, requirement)
    means, squares = shadows.moments(x)
    for row, target in enumerate(shadows.targets.tolist()):
        counts = shadows.counts(row)
        enough = requirement.met(counts)
        usable = slice(None) if enough.all() else enough  # where all have shadows, views instead of copies
        out_set, in_set = (
            _Moments(counts[k, usable], means[k, row, usable], squares[k, row, usable]) for k in (OUT, IN)
        )
        yield row, usable, x[target, usable], (out_set, in_set)


def _spread(out_set: _Moments, in_set: _Moments) -> tuple[float, float]:
    """Return the variance about the common mean of both sets, and the smallest variance that a set may have."""
    total = out_set.squares + in_set.squares + out_set.size * (in_set.mean - out_set.mean) ** 2 / 2
    spread = _total(total) / int((2 * out_set.size - 1).sum())
    return spread, _FLOOR * spread or 1.0


def _total(values: NDArray[np.float64]) -> float:
    """Return the sum of finite numbers >= 0, float64 [n], the same bits in any order: integers are added, not floats.

    Each number is cut to multiples of about 2**-92 of the largest one, in two parts.
    """
    bits = 62 - len(values).bit_length()
    unit = 2.0 ** (math.frexp(float(values.max(initial=0.0)))[1] - bits)
    if unit == 0:  # the unit underflows: the sum is zero
        return 0.0
    high = np.floor(values / unit)
    low = np.floor((values / unit - high) * 2.0**bits)
    parts = [int(part.astype(np.int64).sum()) for part in (high, low)]
    return ((parts[0] << bits) + parts[1]) / (1 << bits) * unit


def _predictive(
    moments: _Moments, variance: Variance, prior_strength: float, spread: float, floor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return squared scale and degrees of freedom (None: a normal) of the predictive distribution, [sample] each."""
    degrees = moments.size - 1
    if variance == "per_point":
        return moments.squares / degrees + floor, None
    pooled = _total(moments.squares) / int(degrees.sum()) if degrees.any() else spread
    if variance == "pooled":
        return np.full(len(degrees), pooled + floor), None
    freedom = prior_strength + degrees.astype(np.float64)
    return ((prior_strength * pooled + moments.squares) / freedom + floor) * (1 + 1 / moments.size), freedom


def _log_density(
    x: NDArray[np.float64], moments: _Moments, scale: NDArray[np.float64], freedom: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the log density at `x`, float64 [sample], less the constant that sets of equal size have in common."""
    distance = (x - moments.mean) ** 2 / scale
    if freedom is None:
        return np.asarray(-distance / 2 - np.log(scale) / 2)
    return np.asarray(-(freedom + 1) / 2 * np.log1p(distance / freedom) - np.log(scale) / 2)


def _log_constant(freedom: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the constant that `_log_density` leaves out, float64 [sample] or scalar."""
    from scipy import special

    if freedom is None:
        return np.asarray(-math.log(2 * math.pi) / 2)
    gammas = special.gammaln((freedom + 1) / 2) - special.gammaln(freedom / 2)
    return np.asarray(gammas - np.log(math.pi * freedom) / 2)
