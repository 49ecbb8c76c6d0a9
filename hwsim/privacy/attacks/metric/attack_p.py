"""Attack-P: one sample's loss against those of a population, under the target alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed, log_odds, target_rows
from hwsim.registry import register


@register("attack", "attack_p", citation="J. Ye et al., Enhanced Membership Inference Attacks, CCS 2022, Attack-P")
class AttackP(Attack):
    """The share of the population with a larger loss under the target; needs no shadow models.

    The population is all samples of the game. For one target it orders the samples as `loss` does, so
    AUC and TPR are the same; but its score is calibrated: who calls members from the score 1 - f on
    is wrong about at most the share f of the non-members, because the population holds members of
    the target too, whose losses are smaller if anything.

    Ranked by the log-odds, which order as the loss does and do not saturate.
    """

    name = "attack_p"
    least_models = 1

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits."""
        return ("logits",)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        odds = log_odds(observed["logits"][target_rows(len(keep), targets)], labels)
        return np.stack([np.searchsorted(np.sort(row), row) / len(row) for row in odds])
