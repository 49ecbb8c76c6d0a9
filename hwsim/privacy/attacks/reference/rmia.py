"""RMIA: the share of a population with a smaller likelihood ratio than the sample."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.kernels.membership.population_share import share_at_least
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_probability
from hwsim.privacy.attack_tools.mean_shadow import MODE, Mode, log_mean_probability, mean_requirement
from hwsim.privacy.attack_tools.shadow_selection import ShadowRequirement, choose_shadows
from hwsim.privacy.attack_tools.temperature import TemperatureAttack
from hwsim.registry import register


@register(
    "attack", "rmia", citation="S. Zarifzadeh et al., Low-Cost High-Power Membership Inference Attacks, ICML 2024"
)
class Rmia(TemperatureAttack):
    """Robust membership inference: the share of a population z with Ratio(x) / Ratio(z) >= `gamma`.

    Ratio(x) is p_y of the target over its mean p over the sample's shadow models. Online (default) the mean is over
    equally many IN and OUT models; offline it is over OUT models, and corrected to (1 + a) / 2 * p + (1 - a) / 2 with
    the `offline_factor` a. The population is the share `population` of the samples of the game, chosen by a hash of
    their outputs. It contains members and non-members of the target, which the adversary cannot distinguish. The
    paper's reference models are the shadow models here.

    Computed with logarithms, so that nothing saturates, and with one sort instead of all pairs; ties at `gamma` count,
    exactly. The probabilities depend on the scale of the logits, so `temperature` is chosen on the shadow models by
    default; the paper takes 1. Works with few reference models: with two, where memberships are independent coins; with
    one, offline, where it contains none of the samples. A sample without shadow models scores one half and is not part
    of the population. Offline, Privacy Meter averages the largest half of all shadows' p, for the most part those of
    the IN models.
    """

    name = "rmia"
    needs = ("logits",)
    min_models = 2

    mode: Mode = Field(default="online", description=MODE)
    gamma: float = Field(default=1.0, gt=0, description="smallest Ratio(x) / Ratio(z) that counts")
    offline_factor: float = Field(
        default=0.33, ge=0, le=1, description="the paper's a: weight of the mean over OUT models offline"
    )
    population: float = Field(default=0.5, gt=0, le=1, description="share of the samples that are the population")

    @property
    def shadow_requirement(self) -> ShadowRequirement:  # type: ignore[override]
        """IN and OUT models online, OUT models offline."""
        return mean_requirement(self.mode)

    def scores_at(self, odds: NDArray[np.float64], game: GameView, place: NDArray[np.float64]) -> Scores:
        """Return the share of the population that each sample beats, for each target."""
        log_mean = log_mean_probability(odds, choose_shadows(game, self.shadow_requirement))
        if self.mode == "offline":
            log_mean = offline_mean(log_mean, self.offline_factor)
        log_ratios = log_probability(odds[game.targets]) - log_mean
        return np.stack([share_beaten(row, place, self.population, self.gamma) for row in log_ratios])


def offline_mean(log_mean: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """Return log((1 + a) / 2 * p + (1 - a) / 2) from log p, any shape, without rounding p to 1 or to 0.

    >>> offline_mean(np.log([0.5]), a=0.0).round(4).tolist() == np.log([0.75]).round(4).tolist()
    True
    """
    if a == 1:
        return log_mean
    return np.asarray(np.log1p((1 + a) / 2 * np.expm1(log_mean)))


def share_beaten(
    log_ratios: NDArray[np.float64], place: NDArray[np.float64], population: float, gamma: float
) -> NDArray[np.float64]:
    """Return the share of the population whose log ratio is log(gamma) or more below a sample's, float64 [sample].

    `log_ratios` is float64 [sample], NaN where a sample has none. `place` is float64 [sample], 0 to 1; the samples up
    to `population` are the population, at least one. Sorts once: O((N + Z) log Z) time and O(N + Z) memory for N
    samples and a population of Z.
    """
    has_ratio = ~np.isnan(log_ratios)
    chosen = has_ratio & (place <= max(population, place[has_ratio].min()))
    shares = np.full(len(log_ratios), 0.5)
    shares[has_ratio] = share_at_least(log_ratios[has_ratio], np.sort(log_ratios[chosen]), math.log(gamma))
    return shares
