"""The energy attack: the energy of one inference against those of each sample's shadow models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Observed
from hwsim.privacy.attack_tools.likelihood_ratio import online_lira_score
from hwsim.privacy.attack_tools.shadow_selection import ShadowAttack
from hwsim.registry import register


@register("attack", "energy", citation="Own definition: the likelihood ratio of LiRA on the energy of one inference")
class Energy(ShadowAttack):
    """Likelihood ratio on the energy of one inference alone, with shrinkage variance as in `lira`.

    Where no model's energy depends on the weights every score is zero, and the AUC exactly one half.
    """

    name = "energy"

    @property
    def needs(self) -> tuple[str, ...]:
        """The energy of one inference."""
        return ("energy_pj",)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        return online_lira_score(observed["energy_pj"], keep, targets=targets)
