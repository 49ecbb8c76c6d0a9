"""One threshold per class, learned on the shadow models: what the attacks of Song and Mittal share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.attack import Attack, Observed, target_rows
from hwsim.privacy.attack_tools.shadow_selection import balanced_shadows


class ClassWise(Attack):
    """Base of the attacks with class-wise thresholds; a subclass gives the value that is compared with them.

    The score is the value less the threshold of the sample's class, so 0 or more means member. The
    thresholds are those that part members from non-members of the shadow models with the best
    balanced accuracy.
    """

    def values(self, observed: Observed, keep: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """The value of every model and sample, float64 [model, sample]; larger is more member-like."""
        raise NotImplementedError

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        return threshold_scores(self.values(observed, keep, labels), keep, labels, targets)


def threshold_scores(
    values: NDArray[np.float64],
    keep: NDArray[np.bool_],
    labels: NDArray[np.int64],
    targets: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """Each target's values less the thresholds that its shadow models teach, float64 [target, sample].

    `values` float64 and `keep` bool are [model, sample], `labels` int64 [sample]; a sample gets the
    threshold of its label, or the global one where the shadows show its label on one side only. With
    all labels alike there is one threshold for all. Raises BadInput when no sample has shadows on
    both sides.

    Source: L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Security 2021,
    section 4. That equally many shadows speak for either side of a sample is our own choice: the
    numbers would otherwise depend on whether the target holds it.

    >>> values = np.array([[0.9, 0.2], [0.8, 0.3], [0.1, 0.7], [0.2, 0.9]])
    >>> keep = np.array([[True, False], [True, False], [False, True], [False, True]])
    >>> threshold_scores(values, keep, np.zeros(2, dtype=np.int64), targets=[0]).round(1).tolist()
    [[0.2, -0.5]]
    """
    names, groups = np.unique(labels, return_inverse=True)
    group = np.broadcast_to(groups, values.shape).ravel()
    order = np.lexsort((values.ravel(), group))
    value, member, group = values.ravel()[order], keep.ravel()[order], group[order]
    rows = target_rows(len(values), targets)
    scores = np.empty((len(rows), values.shape[1]))
    for row, target in enumerate(rows.tolist()):
        # a sorted list stays sorted when the target and the surplus shadows leave it
        chosen = balanced_shadows(keep, target).ravel()[order]
        best = _best_of_sorted(value[chosen], member[chosen], group[chosen], len(names))
        best[np.isnan(best)] = _global(value[chosen], member[chosen])
        scores[row] = values[target] - best[groups]
    return scores


def class_thresholds(
    values: NDArray[np.float64], member: NDArray[np.bool_], labels: NDArray[np.int64]
) -> dict[int, float]:
    """Label -> the threshold t for which `value >= t means member` has the best balanced accuracy there.

    `values` float64, `member` bool and `labels` int64 are [n]. The threshold is one of the values; of
    equally good ones the largest, which calls the fewest a member. A label without both members and
    non-members has none and is left out. Sorted once, O(n log n); counts are integers, so ties are
    exact and the order of the entries never matters.
    Source: Song and Mittal 2021, section 4.

    >>> class_thresholds(np.array([1.0, 2.0, 3.0]), np.array([False, True, True]), np.array([7, 7, 7]))
    {7: 2.0}
    """
    names, group = np.unique(labels, return_inverse=True)
    order = np.lexsort((values, group))
    best = _best_of_sorted(values[order], member[order], group[order], len(names))
    return {int(name): float(t) for name, t in zip(names, best, strict=True) if not np.isnan(t)}


def _best_of_sorted(
    values: NDArray[np.float64], member: NDArray[np.bool_], group: NDArray[np.int64], groups: int
) -> NDArray[np.float64]:
    """Best threshold of each group, float64 [group], NaN where a side is missing; sorted by group, then value."""
    best = np.full(groups, np.nan)
    if not len(values):
        return best
    starts = np.searchsorted(group, np.arange(groups))
    sizes = np.searchsorted(group, np.arange(groups), side="right") - starts
    before = np.concatenate([[0], np.cumsum(member, dtype=np.int64)])
    members = before[starts + sizes] - before[starts]
    others = sizes - members
    below_in = before[:-1] - before[starts][group]
    below_out = np.arange(len(values)) - starts[group] - below_in
    # balanced accuracy with the threshold at this value, times twice members * others: an integer
    right = (members[group] - below_in) * others[group] + below_out * members[group]
    first = np.ones(len(values), dtype=np.bool_)
    first[1:] = (values[1:] != values[:-1]) | (group[1:] != group[:-1])
    right[~first] = -1  # no threshold parts a tie
    there = sizes > 0
    most = np.zeros(groups, dtype=np.int64)
    most[there] = np.maximum.reduceat(right, starts[there])
    place = np.where(right == most[group], np.arange(len(values)), -1)
    best[there] = values[np.maximum.reduceat(place, starts[there])]
    best[(members == 0) | (others == 0)] = np.nan
    return best


def _global(values: NDArray[np.float64], member: NDArray[np.bool_]) -> float:
    """The threshold for all labels together."""
    order = np.argsort(values, kind="stable")
    (best,) = _best_of_sorted(values[order], member[order], np.zeros(len(values), dtype=np.int64), 1)
    if np.isnan(best):
        raise BadInput("game.keep", "no sample with shadow models on both sides", "one in and one out or more")
    return float(best)
