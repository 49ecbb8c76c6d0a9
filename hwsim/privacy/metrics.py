"""The ROC curve of a membership attack, with exact ties, and the numbers that are read from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.kernels.roc import roc_counts

LEAST_FALSE_POSITIVES = 10
"""A TPR at an FPR that allows fewer false positives than this says little."""


@dataclass(frozen=True, eq=False)
class Roc:
    """The steps of an ROC curve: false and true positives, int64 [vertex], from (0, 0) to all.

    One vertex per group of equal scores: no threshold can part a tie.
    """

    false_positives: NDArray[np.int64]
    true_positives: NDArray[np.int64]

    @property
    def members(self) -> int:
        """Number of members."""
        return int(self.true_positives[-1])

    @property
    def nonmembers(self) -> int:
        """Number of non-members."""
        return int(self.false_positives[-1])

    @property
    def auc(self) -> float:
        """Area under the curve: the share of (member, non-member) pairs in the right order, ties half.

        Twice the wins plus the ties is an integer, so the area is exact but for one division.
        """
        steps = np.diff(self.false_positives)
        twice = int(np.sum(steps * (self.true_positives[1:] + self.true_positives[:-1])))
        return twice / (2 * self.members * self.nonmembers)

    @property
    def advantage(self) -> float:
        """Largest TPR - FPR (Yeom et al. 2018, definition 4), with the threshold chosen in hindsight."""
        gains = self.true_positives * self.nonmembers - self.false_positives * self.members
        return int(gains.max()) / (self.members * self.nonmembers)

    @property
    def balanced_accuracy(self) -> float:
        """Largest mean of TPR and TNR, with the threshold chosen in hindsight; half and half the advantage."""
        return (1 + self.advantage) / 2

    def tpr_at_fpr(self, max_fpr: float) -> float:
        """Largest TPR of a vertex whose FPR is `max_fpr` or less: a threshold that exists, no interpolation."""
        allowed = self.false_positives / self.nonmembers <= max_fpr
        return int(self.true_positives[allowed].max()) / self.members


def roc(scores: NDArray[np.floating[Any]], member: NDArray[np.bool_]) -> Roc:
    """The ROC curve of scores float [n], larger = more member-like, against membership bool [n].

    Raises BadInput for NaN or infinite scores, and when members or non-members are missing.

    >>> curve = roc(np.array([1.0, 1.0, 0.0, 0.0]), np.array([True, False, True, False]))
    >>> curve.auc, curve.balanced_accuracy
    (0.5, 0.5)
    """
    if scores.shape != member.shape or scores.ndim != 1:
        raise BadInput("scores", f"shapes {scores.shape} and {member.shape}", "one score [n] per membership bit [n]")
    if member.dtype != np.bool_ or member.all() or not member.any():
        raise BadInput("member", f"{member.dtype} with {int(member.sum())} of {member.size}", "bool with both classes")
    if not np.isfinite(scores).all():
        raise BadInput("scores", "NaN or infinity", "finite scores")
    order = np.argsort(-scores, kind="stable")
    return Roc(*roc_counts(scores[order].astype(np.float64), member[order]))
