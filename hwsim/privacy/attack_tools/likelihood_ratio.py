"""Likelihood of a value among the values of a sample's shadow models: the scores of LiRA, online and offline."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.empirical_bayes import empirical_bayes_ratio
from hwsim.privacy.attack_tools.exact_sum import total
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.moments import Moments, finite, moments_of
from hwsim.privacy.attack_tools.released_lira import released_offline_score, released_online_score
from hwsim.privacy.attack_tools.shadow_selection import IN, OUT, ShadowRequirement
from hwsim.privacy.attack_tools.tail_odds import log_tail_odds

Variance = Literal["empirical_bayes", "shrinkage", "pooled", "per_point", "released", "released_per_point"]

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
    variance: Variance = "empirical_bayes",
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
      `(prior_strength * pooled + ss) / (prior_strength + n - 1) * (1 + 1/n)`;
    - `empirical_bayes`: the variances of `shrinkage`, and the gap between the two means shrunk towards that of all
      samples (`empirical_bayes_ratio`). Where every sample has one shadow per set it is `shrinkage`;
    - `released`, `released_per_point`: the code released with the paper, see `released_online_score`.

    Variances are unbiased. Where every sample has one shadow per set (4 models) there is no variance to pool. Both
    sets then take the variance about the mean of the two. It is too large by the distance of the sets: it scales the
    scores and does not change the order of `pooled` ones.

    A sample without a shadow in a set (two, for `per_point`) has the ratio 0. Where no sample's value differs between
    models, every ratio is exactly 0. Neither the order of the samples nor that of the shadows in a set changes a bit.
    Raises BadInput with fewer than 3 models, when no sample has the shadows, or for values that are not finite.

    Sources: N. Carlini et al., Membership Inference Attacks From First Principles, 2022 (online LiRA); BaVarIA,
    arXiv 2603.11799 (the idea of the Student-t).
    Design choice: the prior of the shrinkage, and means in place of the paper's medians.
    """
    x = finite(values)
    if variance in ("released", "released_per_point"):
        return released_online_score(x, game, per_point=variance == "released_per_point")
    scores = np.zeros((len(game.targets), x.shape[1]))
    for row, usable, own, sets in moments_of(x, game, online_requirement(variance)):
        spread, floor = _spread(sets[OUT], sets[IN])
        if variance == "empirical_bayes" and sets[IN].size.max() > 1:
            scores[row, usable] = empirical_bayes_ratio(own, sets[OUT], sets[IN], prior_strength, floor)
            continue
        log_out, log_in = (
            _log_density(own, moments, *_predictive(moments, variance, prior_strength, spread, floor))
            for moments in sets
        )
        scores[row, usable] = log_in - log_out
    return scores


def offline_lira_score(
    values: NDArray[Any],
    game: GameView,
    variance: Variance = "empirical_bayes",
    prior_strength: float = PRIOR_STRENGTH,
    two_sided: bool = False,
) -> Scores:
    """Return how unlikely a value is among the values of the OUT models of a sample, float64 [target, sample].

    Arguments, variances and errors as in `online_lira_score`; the values of IN models are not read. One-sided, the
    score is log F - log(1 - F), where F is the probability of a smaller value. It has the order of F, does not
    saturate, and is 0 in the middle, which a sample without shadows gets. Two-sided, the score is the negated log
    density: large for values far above and far below the OUT models. A sample without shadows gets the median.
    There are no IN models, so `empirical_bayes` is `shrinkage`; `released` and `released_per_point` are two-sided.

    Where every sample has one OUT model, the variance is that of the targets about the OUT models.

    Source: N. Carlini et al., 2022, section V.D (one-sided), and the code released with it (two-sided).
    """
    x = finite(values)
    if variance in ("released", "released_per_point"):
        return released_offline_score(x, game, per_point=variance == "released_per_point")
    scores = np.zeros((len(game.targets), x.shape[1]))
    for row, usable, own, (moments, _) in moments_of(x, game, offline_requirement(variance)):
        # a target differs from the mean of n shadows by the variance and its n-th part
        spread = total((own - moments.mean) ** 2 * (moments.size / (moments.size + 1))) / len(own)
        floor = _FLOOR * (spread + total(moments.squares) / len(own)) or 1.0
        scale, freedom = _predictive(moments, variance, prior_strength, spread, floor)
        if two_sided:
            density = _log_density(own, moments, scale, freedom) + _log_constant(freedom)
            scores[row] = np.median(-density)
            scores[row, usable] = -density
        else:
            scores[row, usable] = log_tail_odds((own - moments.mean) / np.sqrt(scale), freedom)
    return scores


def _spread(out_set: Moments, in_set: Moments) -> tuple[float, float]:
    """Return the variance about the common mean of both sets, and the smallest variance that a set may have."""
    squares = out_set.squares + in_set.squares + out_set.size * (in_set.mean - out_set.mean) ** 2 / 2
    spread = total(squares) / int((2 * out_set.size - 1).sum())
    return spread, _FLOOR * spread or 1.0


def _predictive(
    moments: Moments, variance: Variance, prior_strength: float, spread: float, floor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return squared scale and degrees of freedom (None: a normal) of the predictive distribution, [sample] each."""
    degrees = moments.size - 1
    if variance == "per_point":
        return moments.squares / degrees + floor, None
    pooled = total(moments.squares) / int(degrees.sum()) if degrees.any() else spread
    if variance == "pooled":
        return np.full(len(degrees), pooled + floor), None
    freedom = prior_strength + degrees.astype(np.float64)
    return ((prior_strength * pooled + moments.squares) / freedom + floor) * (1 + 1 / moments.size), freedom


def _log_density(
    x: NDArray[np.float64], moments: Moments, scale: NDArray[np.float64], freedom: NDArray[np.float64] | None
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
