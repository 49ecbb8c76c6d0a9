"""The latency attack: the cycles of one inference against those of each sample's shadow models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Observed
from hwsim.privacy.attack_tools.likelihood_ratio import online_lira_score
from hwsim.privacy.attack_tools.shadow_selection import ShadowAttack
from hwsim.registry import register


@register(
    "attack", "latency", citation="After Z. Li et al., Auditing Membership Leakages of Multi-Exit Networks, CCS 2022"
)
class Latency(ShadowAttack):
    """Likelihood ratio on the cycles of one inference alone, with shrinkage variance as in `lira`.

    Where no model's time depends on the weights every score is zero, and the AUC exactly one half.
    """

    name = "latency"

    @property
    def needs(self) -> tuple[str, ...]:
        """The cycles of one inference."""
        return ("latency_cycles",)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        return online_lira_score(observed["latency_cycles"], keep, targets=targets)
