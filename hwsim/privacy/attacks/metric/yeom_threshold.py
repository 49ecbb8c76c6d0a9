"""Yeom's adversary 2: a loss below the mean training loss means member."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed, target_rows
from hwsim.privacy.attacks.metric.yeom_bounded import cross_entropy
from hwsim.registry import register


@register(
    "attack", "yeom_threshold", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018, adversary 2"
)
class YeomThreshold(Attack):
    """Score 1 where the loss is below the mean training loss, else 0.

    The paper's adversary is told the training loss of the target; this one takes the mean over the
    members of the shadow models. The score is a bit, so its advantage TPR - FPR is twice its AUC less 1.
    """

    name = "yeom_threshold"

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
        losses = cross_entropy(observed, labels)
        # exactly rounded sums: the same whatever the order of the samples
        totals = [math.fsum(row[inside].tolist()) for row, inside in zip(losses, keep, strict=True)]
        members = keep.sum(axis=1).tolist()
        rows = target_rows(len(keep), targets).tolist()
        return np.stack([losses[t] < _mean_of_others(totals, members, t) for t in rows]).astype(np.float64)


def _mean_of_others(totals: list[float], members: list[int], target: int) -> float:
    """Mean training loss over the members of all models but the target."""
    others = [m for m in range(len(totals)) if m != target]
    return math.fsum(totals[m] for m in others) / max(1, sum(members[m] for m in others))
