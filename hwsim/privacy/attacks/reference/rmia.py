"""RMIA: how much of a population a sample's likelihood ratio beats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.kernels.membership.population_share import share_at_least
from hwsim.privacy.attack_tools.attack import Observed, log_odds
from hwsim.privacy.attack_tools.mean_shadow import MeanShadowAttack, log_mean_probability, log_probability
from hwsim.privacy.attack_tools.shadow_selection import choose_shadows
from hwsim.registry import register


@register(
    "attack", "rmia", citation="S. Zarifzadeh et al., Low-Cost High-Power Membership Inference Attacks, ICML 2024"
)
class Rmia(MeanShadowAttack):
    """Robust membership inference: the share of a population z with Ratio(x) / Ratio(z) >= `gamma`.

    Ratio(x) is p_y of the target over its mean p over the sample's shadow models: online (default) as
    many that hold the sample as do not, offline only those that do not, and then (1 + a) / 2 * p +
    (1 - a) / 2 with the `offline_factor` a. The population is the share `population` of the
    samples of the game that a hash of their outputs picks; the adversary cannot know which of them are
    members of the target, so both are among them. A reference model is a shadow model here.

    Computed with logarithms, so that nothing saturates, and with one sort instead of all pairs; ties at
    `gamma` count, exactly. Works with a few reference models: with two, where memberships are
    coins; with one, offline, where it holds none of the samples. A sample without shadows scores one half
    and is not part of the population.
    """

    name = "rmia"

    gamma: float = Field(default=1.0, gt=0, description="how much larger than Ratio(z) a ratio must be to beat it")
    offline_factor: float = Field(
        default=0.33, ge=0, le=1, description="the paper's a: how far the mean over out-shadows is trusted offline"
    )
    population: float = Field(default=0.5, gt=0, le=1, description="share of the samples that are the population")

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        odds = log_odds(observed["logits"], labels)
        shadows = choose_shadows(keep, targets, self.sides, self.least_models)
        log_mean = log_mean_probability(odds, shadows)
        if self.mode == "offline":
            log_mean = offline_mean(log_mean, self.offline_factor)
        log_ratios = log_probability(odds[shadows.targets]) - log_mean
        place = hashed(odds, labels)
        return np.stack([share_beaten(row, place, self.population, self.gamma) for row in log_ratios])


def offline_mean(log_mean: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """log((1 + a) / 2 * p + (1 - a) / 2) from log p, any shape, without rounding p to 1 or to 0.

    >>> offline_mean(np.log([0.5]), a=0.0).round(4).tolist() == np.log([0.75]).round(4).tolist()
    True
    """
    if a == 1:
        return log_mean
    return np.asarray(np.log1p((1 + a) / 2 * np.expm1(log_mean)))


def share_beaten(
    log_ratios: NDArray[np.float64], place: NDArray[np.float64], population: float, gamma: float
) -> NDArray[np.float64]:
    """Share of the population whose log ratio lies log(gamma) or more below a sample's, float64 [sample].

    `log_ratios` float64 [sample], NaN where a sample has none; `place` float64 [sample], 0 to 1: the
    samples up to `population` are the population, at least one. Sorts once: O((N + Z) log Z) time, O(N + Z)
    memory.
    """
    has_ratio = ~np.isnan(log_ratios)
    chosen = has_ratio & (place <= max(population, place[has_ratio].min()))
    shares = np.full(len(log_ratios), 0.5)
    shares[has_ratio] = share_at_least(log_ratios[has_ratio], np.sort(log_ratios[chosen]), math.log(gamma))
    return shares


def hashed(values: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number from 0 to 1 for each sample, float64 [sample], from the bits of its label and its values.

    `values` float64 [model, sample], `labels` int64 [sample]. The same wherever
    the sample stands, and alike for samples that are alike.
    """
    state = labels.astype(np.uint64)
    for row in values:
        state ^= (row + 0.0).view(np.uint64)  # the sum turns -0 into 0
        state *= np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(29)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(32)
    return np.asarray(state.astype(np.float64) / 2.0**64)
