"""BASE: the probability of the label against its mean over the shadow models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Observed, log_odds
from hwsim.privacy.attack_tools.mean_shadow import MeanShadowAttack, log_mean_probability, log_probability
from hwsim.privacy.attack_tools.shadow_selection import choose_shadows
from hwsim.registry import register


@register("attack", "base", citation="M. Lassila et al., BASE, 2025; formula as in LeakPro (AI Sweden)")
class Base(MeanShadowAttack):
    """log p_y of the target less the logarithm of its mean over the sample's shadow models.

    `mode` "online" (default) averages over as many shadows that hold the sample as do not. "offline"
    averages over those that do not, which are less sure, and subtracts only the share `offline_factor` of
    the logarithm to make up for it. Where log p_y falls short of what the shadows give, the score
    is negative; a sample without shadows gets 0.

    Its authors show that it is equivalent to `rmia`; here it is the logarithm of the ratio that `rmia`
    compares with a population, offline but for another correction.
    """

    name = "base"

    offline_factor: float = Field(
        default=0.33, ge=0, le=1, description="share of the shadows' log mean that is subtracted offline"
    )

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
        mean = log_mean_probability(odds, shadows)
        factor = 1.0 if self.mode == "online" else self.offline_factor
        scores = log_probability(odds[shadows.targets]) - factor * mean
        return np.where(np.isnan(mean), 0.0, scores)
