"""BASE: the probability of the label against its mean over the shadow models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_probability
from hwsim.privacy.attack_tools.mean_shadow import MODE, Mode, log_mean_probability, mean_requirement
from hwsim.privacy.attack_tools.shadow_selection import ShadowRequirement, choose_shadows
from hwsim.privacy.attack_tools.temperature import TemperatureAttack
from hwsim.registry import register


@register("attack", "base", citation="M. Lassila et al., BASE, 2025; formula as in LeakPro (AI Sweden)")
class Base(TemperatureAttack):
    """log p_y of the target less the logarithm of its mean over the sample's shadow models.

    `mode` "online" (default) averages over equally many IN and OUT models. "offline" averages over OUT models, which
    are less confident, and subtracts the share `offline_factor` of the logarithm as a correction. A score is negative
    where log p_y is below the term from the shadow models; a sample without shadow models scores 0.

    Its authors show that it is equivalent to `rmia`. Here it is the logarithm of the ratio that `rmia` compares with a
    population, except for another correction offline. `temperature` is that of `rmia`; LeakPro's default is 2.
    """

    name = "base"
    needs = ("logits",)
    min_models = 2

    mode: Mode = Field(default="online", description=MODE)
    offline_factor: float = Field(
        default=0.33, ge=0, le=1, description="share of the shadows' log mean that is subtracted offline"
    )

    @property
    def shadow_requirement(self) -> ShadowRequirement:  # type: ignore[override]
        """IN and OUT models online, OUT models offline."""
        return mean_requirement(self.mode)

    def scores_at(self, odds: NDArray[np.float64], game: GameView, place: NDArray[np.float64]) -> Scores:
        """Return log p of each target less its share of the log mean p of the shadow models."""
        mean = log_mean_probability(odds, choose_shadows(game, self.shadow_requirement))
        factor = 1.0 if self.mode == "online" else self.offline_factor
        scores = log_probability(odds[game.targets]) - factor * mean
        return np.where(np.isnan(mean), 0.0, scores)
