"""Yeom's adversary 1: says member with a probability that falls with the loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Attack, Observed, log_odds, target_rows
from hwsim.registry import register


@register("attack", "yeom_bounded", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018, adversary 1")
class YeomBounded(Attack):
    """The probability 1 - loss / B, clipped to 0..1, with which the bounded-loss adversary says member.

    If no loss exceeds `bound` (B), its advantage TPR - FPR is (mean loss of non-members - mean loss of
    members) / B: the generalization gap over B. Without a bound, B is the largest training loss of the
    shadow models.
    """

    name = "yeom_bounded"

    bound: float | None = Field(None, gt=0, description="largest possible loss B; none = largest of the shadows")

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
        largest = np.where(keep, losses, 0.0).max(axis=1)
        rows = target_rows(len(keep), targets).tolist()
        bounds = [np.delete(largest, t).max() if self.bound is None else self.bound for t in rows]
        return np.stack([_member_probability(losses[t], b) for t, b in zip(rows, bounds, strict=True)])


def cross_entropy(observed: Observed, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The loss -log p_y of every model and sample, float64 [model, sample], through the log-odds."""
    return np.stack([np.logaddexp(0.0, -log_odds(logits, labels)) for logits in observed["logits"]])


def _member_probability(losses: NDArray[np.float64], bound: float) -> NDArray[np.float64]:
    if bound <= 0:  # every shadow has learned its members by heart: only a loss of zero looks like that
        return (losses <= 0).astype(np.float64)
    return np.clip(1 - losses / bound, 0.0, 1.0)
