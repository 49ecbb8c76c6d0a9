"""The blind baseline: a classifier that separates members from non-members by the samples alone, without any model.

In a fair game it cannot, since membership is a coin. Where it can, members and non-members come from different
distributions, and the leakage that attacks report is a property of the split, not of the model.
Source: D. Das, J. Zhang and F. Tramèr, Blind Baselines Beat Membership Inference Attacks for Foundation Models,
arXiv 2406.16201 (the warning).
Design choice: the classifier and the decision.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.sample_keys import content_keys, first_half
from hwsim.privacy.statistics.roc import roc
from hwsim.rng import derive_seed

MAX_FIT = 2000
"""Largest number of samples of a half that the classifier is trained on."""

TREES = 100
"""Default number of trees of the classifier."""

_MIN_LEAF = 5
_SIGNIFICANT = 3.2905
"""Standard deviations above chance that a standard normal exceeds once in 2000."""


def blind_scores(
    inputs: NDArray[np.floating[Any]] | None,
    labels: NDArray[np.int64],
    keep: NDArray[np.bool_],
    targets: Sequence[int] | None = None,
    keys: NDArray[np.uint64] | None = None,
    trees: int = TREES,
) -> NDArray[np.float64]:
    """Guess membership from the samples alone, float64 [target, sample], 0 to 1; larger is more member-like.

    A classifier is trained on the membership of one half of the samples and guesses the membership of the other half,
    and the other way round. It is a random forest on input and label, or without inputs the share of members of each
    label. Unlike an attack it reads the membership in the target, on the half that it is trained on. A score is the
    rank of the guess within its half, since the halves are guessed by different classifiers. The order of the samples
    changes nothing.

    Parameters
    ----------
    inputs : float [sample, feature] or None
    labels : int64 [sample]
    keep : bool [model, sample]
    targets : models to score, all by default; a few are enough
    keys : uint64 [sample], identify samples for the split into halves, such as `content_keys` of the models' outputs
        where there are no inputs; by default keys of inputs and labels, or of labels and the membership in the other
        models
    trees : number of trees of the random forest

    Raises BadInput when shapes do not fit or all samples are equal.

    >>> labels = np.arange(40) % 2
    >>> scores = blind_scores(None, labels, (labels == 1)[None], keys=np.arange(40, dtype=np.uint64))
    >>> bool(scores[0, labels == 1].min() > scores[0, labels == 0].max())
    True
    """
    samples = keep.shape[1]
    if labels.shape != (samples,) or (inputs is not None and (inputs.ndim != 2 or len(inputs) != samples)):
        given = f"labels {labels.shape}, inputs {None if inputs is None else inputs.shape}"
        raise BadInput("inputs", given, f"labels [{samples}] and inputs [{samples}, feature]")
    if keys is None and inputs is not None:
        keys = content_keys(inputs, labels)
    rows = range(len(keep)) if targets is None else targets
    scores = np.empty((len(rows), samples))
    for row, target in enumerate(rows):
        target_keys = content_keys(labels, np.delete(keep, target, axis=0).T) if keys is None else keys
        scores[row] = _guesses(inputs, labels, keep[target], target_keys, trees)
    return scores


class BlindCache:
    """Blind scores of earlier games, for audits of many designs that share a game.

    Blind scores depend on inputs, labels, membership and targets, not on any model. The oldest games are dropped when
    there are more than `max_games`.
    """

    def __init__(self, max_games: int = 256) -> None:
        self._max_games = max_games
        self._scores: dict[str, NDArray[np.float64]] = {}

    def __len__(self) -> int:
        return len(self._scores)

    def clear(self) -> None:
        """Forget all games."""
        self._scores.clear()

    def scores(
        self,
        inputs: NDArray[np.floating[Any]],
        labels: NDArray[np.int64],
        keep: NDArray[np.bool_],
        targets: Sequence[int],
    ) -> NDArray[np.float64]:
        """Return `blind_scores` of these arguments, computed once for each game."""
        state = hashlib.sha256(repr((tuple(targets), keep.shape, inputs.dtype.str)).encode())
        for array in (keep, labels, inputs):
            state.update(np.ascontiguousarray(array).data)
        key = state.hexdigest()
        if key not in self._scores:
            if len(self._scores) == self._max_games:
                self._scores.pop(next(iter(self._scores)))
            self._scores[key] = blind_scores(inputs, labels, keep, targets)
        return self._scores[key]


def deviations_above_chance(
    scores: NDArray[np.float64], keep: NDArray[np.bool_], targets: Sequence[int] | None = None
) -> float:
    """Return the standard deviations by which the mean AUC of blind scores lies above one half.

    `scores` float64 [target, sample] are `blind_scores` for the same `keep` and `targets`. The standard deviation is
    that of the Mann-Whitney statistic of *half* of the samples, ties included: each half is guessed by a classifier of
    the other half, so that errors of the halves are dependent. Targets count as independent except for the correlation
    of their rows of `keep`. Raises BadInput for a model with members only, or with none.
    """
    rows = list(range(len(keep)) if targets is None else targets)
    member = keep[rows]
    one_class = member.all(axis=1) | ~member.any(axis=1)
    if one_class.any():
        given = f"model {rows[int(one_class.argmax())]} with members only, or none"
        raise BadInput("keep", given, "members and non-members")
    above = [_standardized(s, m) for s, m in zip(scores, member, strict=True)]
    correlation = np.abs(np.corrcoef(member)) if len(rows) > 1 else np.ones((1, 1))
    return float(np.mean(above) / math.sqrt(correlation.mean()))


def is_shift(scores: NDArray[np.float64], keep: NDArray[np.bool_], targets: Sequence[int] | None = None) -> bool:
    """Return whether members and non-members clearly differ; parameters as in `deviations_above_chance`.

    The limit of 3.29 standard deviations, which each half exceeds once in 2000, gives a fair game a false alarm less
    than once in 1000 audits.
    """
    return deviations_above_chance(scores, keep, targets) > _SIGNIFICANT


def _guesses(
    inputs: NDArray[np.floating[Any]] | None,
    labels: NDArray[np.int64],
    member: NDArray[np.bool_],
    keys: NDArray[np.uint64],
    trees: int,
) -> NDArray[np.float64]:
    """Return the ranks of the guesses about one target, float64 [sample].

    `inputs` is float [sample, feature] or None; `labels` int64, `member` bool and `keys` uint64 are [sample].
    """
    first = first_half(keys)
    order = np.lexsort((member, labels, keys))
    ranks = np.empty(len(labels))
    x = None if inputs is None else np.concatenate([inputs, labels[:, None] == np.unique(labels)], axis=1)
    for guessed in (first, ~first):
        learned = order[~guessed[order]][:MAX_FIT]
        if x is None:
            guess = _share_of_members(labels[learned], member[learned], labels[guessed])
        else:
            guess = _forest(x[learned], member[learned], x[guessed], trees)
        ranks[guessed] = _ranks(guess)
    return ranks


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks between 0 and 1, float64 [n]; equal values get the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - count / 2)[place] / len(values))


def _share_of_members(
    labels: NDArray[np.int64], member: NDArray[np.bool_], guessed: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the share of members of each guessed label, float64 [guessed], with one pseudo-count for each class.

    `labels` int64 and `member` bool [learned] are the samples that the share is computed from.
    """
    names, place = np.unique(np.concatenate([labels, guessed]), return_inverse=True)
    learned = place[: len(labels)]
    members = np.bincount(learned[member], minlength=len(names))
    share = (members + 1) / (np.bincount(learned, minlength=len(names)) + 2)
    return np.asarray(share[place[len(labels) :]])


def _forest(x: NDArray[Any], member: NDArray[np.bool_], guessed: NDArray[Any], trees: int) -> NDArray[np.float64]:
    """Return the probability of membership, float64 [guessed], by a random forest of one thread and a fixed seed.

    `x` is [learned, feature], `member` bool [learned], `guessed` [guessed, feature].
    """
    from sklearn.ensemble import RandomForestClassifier

    if member.all() or not member.any():
        return np.zeros(len(guessed))
    seed = derive_seed(0, "blind forest") % 2**32
    forest = RandomForestClassifier(trees, min_samples_leaf=_MIN_LEAF, random_state=seed, n_jobs=1)
    return np.asarray(forest.fit(x, member).predict_proba(guessed)[:, 1])


def _standardized(scores: NDArray[np.float64], member: NDArray[np.bool_]) -> float:
    """Return (AUC - 1/2) of one target in standard deviations for half of the samples.

    `scores` is float64 and `member` bool [sample].
    """
    ties = np.unique(scores, return_counts=True)[1] / len(scores)
    members, nonmembers = int(member.sum()) / 2, int((~member).sum()) / 2
    variance = (members + nonmembers + 1) / (12 * members * nonmembers) * (1 - float((ties**3).sum()))
    return (roc(scores, member).auc - 0.5) / math.sqrt(variance) if variance > 0 else 0.0
