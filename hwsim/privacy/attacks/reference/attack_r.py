"""Attack-R: a sample's loss under the target against its losses under reference models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.membership.shadow_moments import shadow_percentiles
from hwsim.privacy.attack_tools.attack import Observed, log_odds
from hwsim.privacy.attack_tools.shadow_selection import ShadowAttack, Sides, choose_shadows
from hwsim.registry import register


@register("attack", "attack_r", citation="J. Ye et al., Enhanced Membership Inference Attacks, CCS 2022, Attack-R")
class AttackR(ShadowAttack):
    """The share of reference models with a larger loss on the sample than the target, equal ones half.

    Reference models are the shadow models that do not hold the sample, so with n of them the score has
    2n + 1 values and no finer false-positive rate than 1/n can be asked for. A sample
    without reference models scores one half. Compared by the log-odds, which order as the loss does and
    do not saturate.
    """

    name = "attack_r"

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits."""
        return ("logits",)

    @property
    def sides(self) -> Sides:
        """The shadows that do not hold the sample."""
        return "out"

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
        held = np.ascontiguousarray(keep)
        return np.asarray(shadow_percentiles(odds, held, shadows.targets, shadows.sizes))
