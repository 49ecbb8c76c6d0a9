"""Class-wise thresholds learned on the shadow models, as in the attacks of Song and Mittal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.shadow_selection import balanced_shadows


def threshold_scores(values: NDArray[np.float64], game: GameView, labels: NDArray[np.int64]) -> Scores:
    """Return each target's values less thresholds learned on its shadow models, float64 [target, sample].

    0 or more means member. The thresholds separate members from non-members of the shadow models with the best
    balanced accuracy. A sample gets the threshold of its label, or the global threshold where the shadow models have
    only members or only non-members with its label.

    `values` is float64 [model, sample], `labels` int64 [sample]; equal labels everywhere give one threshold for all
    samples. Raises BadInput when no sample has both IN and OUT shadow models.

    Source: L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Security 2021, section 4.
    Design choice: equally many IN and OUT shadow models of each sample; unequal numbers would depend on the
    membership of the target.

    >>> from hwsim.privacy.attack_tools.game_view import view_game
    >>> values = np.array([[0.9, 0.2], [0.8, 0.3], [0.1, 0.7], [0.2, 0.9]])
    >>> keep = np.array([[True, False], [True, False], [False, True], [False, True]])
    >>> game = view_game({}, keep, np.zeros(2, dtype=np.int64), targets=[0])
    >>> threshold_scores(values, game, game.labels).round(1).tolist()
    [[0.2, -0.5]]
    """
    names, groups = np.unique(labels, return_inverse=True)
    group = np.broadcast_to(groups, values.shape).ravel()
    order = np.lexsort((values.ravel(), group))
    value, group = values.ravel()[order], group[order]
    scores = np.empty((len(game.targets), values.shape[1]))
    for row, target in enumerate(game.targets.tolist()):
        # a sorted list stays sorted when the target and the surplus shadows are removed
        selected = balanced_shadows(game, target).ravel()[order]
        member = game.shadow_members(target).ravel()[order][selected]
        best = _best_of_sorted(value[selected], member, group[selected], len(names))
        best[np.isnan(best)] = _global(value[selected], member)
        scores[row] = values[target] - best[groups]
    return scores


def class_thresholds(
    values: NDArray[np.float64], member: NDArray[np.bool_], labels: NDArray[np.int64]
) -> dict[int, float]:
    """Return label -> the threshold t for which `value >= t means member` has the best balanced accuracy.

    `values` float64, `member` bool and `labels` int64 are [n]. The threshold is one of the values; of equally good
    ones the largest, which predicts the fewest members. A label without both members and non-members is left out.
    Takes O(n log n) time. Counts are integers, so ties are exact and the order of the entries does not matter.
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
    """Return the best threshold of each group, float64 [group], NaN without members or without non-members.

    `values` float64, `member` bool and `group` int64 are [n], sorted by group, then by value.
    """
    best = np.full(groups, np.nan)
    if not len(values):
        return best
    starts = np.searchsorted(group, np.arange(groups))
    sizes = np.searchsorted(group, np.arange(groups), side="right") - starts
    before = np.concatenate([[0], np.cumsum(member, dtype=np.int64)])
    members = before[starts + sizes] - before[starts]
    nonmembers = sizes - members
    members_below = before[:-1] - before[starts][group]
    nonmembers_below = np.arange(len(values)) - starts[group] - members_below
    # balanced accuracy with the threshold at this value, times twice members * nonmembers: an integer
    gain = (members[group] - members_below) * nonmembers[group] + nonmembers_below * members[group]
    first = np.ones(len(values), dtype=np.bool_)
    first[1:] = (values[1:] != values[:-1]) | (group[1:] != group[:-1])
    gain[~first] = -1  # no threshold separates equal values
    filled = sizes > 0
    largest = np.zeros(groups, dtype=np.int64)
    largest[filled] = np.maximum.reduceat(gain, starts[filled])
    place = np.where(gain == largest[group], np.arange(len(values)), -1)
    best[filled] = values[np.maximum.reduceat(place, starts[filled])]
    best[(members == 0) | (nonmembers == 0)] = np.nan
    return best


def _global(values: NDArray[np.float64], member: NDArray[np.bool_]) -> float:
    """Return the threshold for all labels together; `values` float64 and `member` bool are [n]."""
    order = np.argsort(values, kind="stable")
    (best,) = _best_of_sorted(values[order], member[order], np.zeros(len(values), dtype=np.int64), 1)
    if np.isnan(best):
        raise BadInput("game.keep", "no sample with both IN and OUT shadow models", "one IN and one OUT or more")
    return float(best)
