"""Vertices of an ROC curve from sorted scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.compile import for_kernel, kernel


def roc_counts(scores: NDArray[np.float64], member: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return false and true positives after each group of equal scores, (0, 0) first; int64 [vertex] each.

    `scores` float64 [sample], descending, without NaN; `member` bool [sample] in that order. No threshold
    separates equal scores, so a group has one vertex, at its end.
    """
    counts: tuple[NDArray[np.int64], NDArray[np.int64]] = _roc_counts(
        for_kernel(scores, np.float64), for_kernel(member, np.bool_)
    )
    return counts


@kernel()
def _roc_counts(scores: NDArray[np.float64], member: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`roc_counts` for arrays of one kind."""
    false_positives = np.zeros(len(scores) + 1, dtype=np.int64)
    true_positives = np.zeros(len(scores) + 1, dtype=np.int64)
    vertex, fp, tp = 0, 0, 0
    for i in range(len(scores)):
        if member[i]:
            tp += 1
        else:
            fp += 1
        if i + 1 == len(scores) or scores[i + 1] != scores[i]:
            vertex += 1
            false_positives[vertex], true_positives[vertex] = fp, tp
    return false_positives[: vertex + 1], true_positives[: vertex + 1]
