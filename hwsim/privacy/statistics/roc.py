"""ROC curve of a membership attack, with exact ties, and the rates read from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.kernels.membership.roc import roc_counts

MIN_FALSE_POSITIVES = 10
"""A TPR at an FPR that allows fewer false positives than this is unreliable."""


class Interval(NamedTuple):
    """A lower and an upper limit."""

    low: float
    high: float


@dataclass(frozen=True)
class Confusion:
    """Confusion counts of predicting member from one threshold on, and the rates computed from them.

    A rate whose denominator is zero is 0.0, such as the precision without a predicted member.

    >>> found = Confusion(true_positives=3, false_positives=1, true_negatives=4, false_negatives=2)
    >>> found.accuracy, found.precision, found.recall, found.balanced_accuracy
    (0.7, 0.75, 0.6, 0.7)
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def accuracy(self) -> float:
        """Share of correct predictions: the attack accuracy."""
        correct = self.true_positives + self.true_negatives
        return _ratio(correct, correct + self.false_positives + self.false_negatives)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the recalls of members and of non-members."""
        return (self.recall + self.recall_nonmembers) / 2

    @property
    def advantage(self) -> float:
        """TPR - FPR (S. Yeom et al., CSF 2018, definition 4)."""
        return self.recall + self.recall_nonmembers - 1

    @property
    def precision(self) -> float:
        """Share of members among the predicted members."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the members that are predicted members: TPR."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall of members."""
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def precision_nonmembers(self) -> float:
        """Share of non-members among the predicted non-members."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_negatives)

    @property
    def recall_nonmembers(self) -> float:
        """Share of the non-members that are predicted non-members: TNR."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def f1_nonmembers(self) -> float:
        """Harmonic mean of precision and recall of non-members."""
        return _ratio(2 * self.true_negatives, 2 * self.true_negatives + self.false_positives + self.false_negatives)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


@dataclass(frozen=True, eq=False)
class Roc:
    """The vertices of an ROC curve, one per group of equal scores: no threshold separates a tie.

    Attributes
    ----------
    false_positives, true_positives : int64 [vertex], from (0, 0) to all samples
    thresholds : float64 [vertex]; scores from the threshold on predict member; the first is infinity
    """

    false_positives: NDArray[np.int64]
    true_positives: NDArray[np.int64]
    thresholds: NDArray[np.float64]

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
        """Area under the curve: the share of correctly ordered (member, non-member) pairs, ties counted half.

        Twice the ordered pairs plus the ties is an integer, so the area is exact up to one division.
        """
        steps = np.diff(self.false_positives)
        twice = int(np.sum(steps * (self.true_positives[1:] + self.true_positives[:-1])))
        return twice / (2 * self.members * self.nonmembers)

    @property
    def advantage(self) -> float:
        """Largest TPR - FPR (Yeom et al. 2018, definition 4), with the threshold chosen in hindsight."""
        return int(self._gains().max()) / (self.members * self.nonmembers)

    @property
    def balanced_accuracy(self) -> float:
        """Largest mean of TPR and TNR, with the threshold chosen in hindsight: (1 + advantage) / 2."""
        return (1 + self.advantage) / 2

    @property
    def best(self) -> Confusion:
        """Counts at the threshold of the best balanced accuracy, chosen in hindsight; the highest of equal ones."""
        return self._at(int(self._gains().argmax()))

    @property
    def best_threshold(self) -> float:
        """Threshold of the best balanced accuracy, chosen in hindsight; the highest of equal ones."""
        return float(self.thresholds[int(self._gains().argmax())])

    def at(self, threshold: float) -> Confusion:
        """Return the counts of predicting member from `threshold` on.

        Unbiased only if the threshold was chosen without these scores.
        """
        return self._at(int(np.sum(self.thresholds >= threshold)) - 1)

    def tpr_at_fpr(self, max_fpr: float) -> float:
        """Return the largest TPR of a vertex whose FPR is `max_fpr` or less; nothing is interpolated."""
        allowed = self.false_positives / self.nonmembers <= max_fpr
        return int(self.true_positives[allowed].max()) / self.members

    def tnr_at_fnr(self, max_fnr: float) -> float:
        """Return the largest TNR of a vertex whose FNR is `max_fnr` or less; nothing is interpolated."""
        allowed = (self.members - self.true_positives) / self.members <= max_fnr
        return (self.nonmembers - int(self.false_positives[allowed].min())) / self.nonmembers

    def _gains(self) -> NDArray[np.int64]:
        """Return (TPR - FPR) times members times non-members, int64 [vertex]."""
        gains: NDArray[np.int64] = self.true_positives * self.nonmembers - self.false_positives * self.members
        return gains

    def _at(self, vertex: int) -> Confusion:
        tp, fp = int(self.true_positives[vertex]), int(self.false_positives[vertex])
        return Confusion(tp, fp, self.nonmembers - fp, self.members - tp)


def roc(scores: NDArray[np.floating[Any]], member: NDArray[np.bool_]) -> Roc:
    """Return the ROC curve of scores float [n], larger = more member-like, against membership bool [n].

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
    ranked = scores[order].astype(np.float64)
    false_positives, true_positives = roc_counts(ranked, member[order])
    last = false_positives[1:] + true_positives[1:] - 1  # of each group of equal scores
    return Roc(false_positives, true_positives, np.append(np.inf, ranked[last]))
