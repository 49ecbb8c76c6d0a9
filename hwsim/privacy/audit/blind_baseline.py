"""The blind baseline: can members be told from non-members by the samples alone, without any model?

In an honest game they cannot, since a coin decides who is a member. Where they can, members and
non-members come from different distributions, and the leakage that attacks report is that of the
split, not of the model.
Source: D. Das, J. Zhang and F. Tramèr, Blind Baselines Beat Membership Inference Attacks for Foundation
Models, arXiv 2406.16201 (the warning; the classifier and the decision are our own choice).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.sample_keys import content_keys, first_half
from hwsim.privacy.statistics.roc import roc
from hwsim.rng import derive_seed

LARGEST_FIT = 2000
"""Samples of a half that the classifier learns from, at most."""

_TREES = 100
_LEAST_LEAF = 5
_CLEARLY = 3.2905
"""Deviations above chance that a standard normal exceeds once in 2000."""


def blind_scores(
    inputs: NDArray[np.floating[Any]] | None,
    labels: NDArray[np.int64],
    keep: NDArray[np.bool_],
    targets: Sequence[int] | None = None,
    names: NDArray[np.uint64] | None = None,
) -> NDArray[np.float64]:
    """Guess membership from the samples alone, float64 [target, sample], 0 to 1; larger is more member-like.

    `inputs` are float [sample, feature] or None, `labels` int64 [sample], `keep` bool [model, sample].
    Row i is about the model `targets[i]`, every model when no targets are given; a handful is enough.
    A random forest on input and label, or without inputs the share of members of each label, learns who
    of one half of the samples is a member and guesses for the other half, and the other way round.
    Unlike an attack it is told the membership in the target, on the half that it learns from. A score is
    the rank of the guess within its half, since the halves are guessed by different classifiers.

    `names` uint64 [sample] tell samples apart when the halves are dealt, where there are no inputs for
    instance `content_keys` of what the models answered. By default the sample's own content does, and
    without inputs its label and which other models hold it. The order of the samples does not matter.
    Raises BadInput when shapes do not fit or all samples are alike.

    >>> labels = np.arange(40) % 2
    >>> scores = blind_scores(None, labels, (labels == 1)[None], names=np.arange(40, dtype=np.uint64))
    >>> bool(scores[0, labels == 1].min() > scores[0, labels == 0].max())
    True
    """
    samples = keep.shape[1]
    if labels.shape != (samples,) or (inputs is not None and (inputs.ndim != 2 or len(inputs) != samples)):
        given = f"labels {labels.shape}, inputs {None if inputs is None else inputs.shape}"
        raise BadInput("inputs", given, f"labels [{samples}] and inputs [{samples}, feature]")
    if names is None and inputs is not None:
        names = content_keys(inputs, labels)
    rows = range(len(keep)) if targets is None else targets
    scores = np.empty((len(rows), samples))
    for row, target in enumerate(rows):
        keys = content_keys(labels, np.delete(keep, target, axis=0).T) if names is None else names
        scores[row] = _guesses(inputs, labels, keep[target], keys)
    return scores


def deviations_above_chance(
    scores: NDArray[np.float64], keep: NDArray[np.bool_], targets: Sequence[int] | None = None
) -> float:
    """How many standard deviations the mean AUC of blind scores lies above one half.

    `scores` float64 [target, sample] are those of `blind_scores` for the same `keep` and `targets`. The
    deviation is that of the Mann-Whitney statistic of *half* of the samples, ties included: each half
    learns from the other, so that both can miss together. Targets count as independent but for the
    correlation of their rows of `keep`.
    """
    rows = list(range(len(keep)) if targets is None else targets)
    member = keep[rows]
    one_sided = member.all(axis=1) | ~member.any(axis=1)
    if one_sided.any():
        raise BadInput("keep", f"model {rows[int(one_sided.argmax())]} with one side only", "members and non-members")
    above = [_standardized(s, m) for s, m in zip(scores, member, strict=True)]
    correlation = np.abs(np.corrcoef(member)) if len(rows) > 1 else np.ones((1, 1))
    return float(np.mean(above) / math.sqrt(correlation.mean()))


def is_shift(scores: NDArray[np.float64], keep: NDArray[np.bool_], targets: Sequence[int] | None = None) -> bool:
    """Whether members and non-members clearly come from different distributions; arguments as above.

    Only where the blind guesses are so good that an honest game gives a false alarm less than once in
    1000 audits: 3.29 deviations, which each half exceeds once in 2000.
    """
    return deviations_above_chance(scores, keep, targets) > _CLEARLY


def _guesses(
    inputs: NDArray[np.floating[Any]] | None,
    labels: NDArray[np.int64],
    member: NDArray[np.bool_],
    keys: NDArray[np.uint64],
) -> NDArray[np.float64]:
    """The ranks of the guesses about one target, float64 [sample]."""
    first = first_half(keys)
    order = np.lexsort((member, labels, keys))
    ranks = np.empty(len(labels))
    x = None if inputs is None else np.concatenate([inputs, labels[:, None] == np.unique(labels)], axis=1)
    for guessed in (first, ~first):
        learned = order[~guessed[order]][:LARGEST_FIT]
        if x is None:
            guess = _share_of_members(labels[learned], member[learned], labels[guessed])
        else:
            guess = _forest(x[learned], member[learned], x[guessed])
        ranks[guessed] = _ranks(guess)
    return ranks


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks between 0 and 1, float64 [n]; equal values share the middle of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - count / 2)[place] / len(values))


def _share_of_members(
    labels: NDArray[np.int64], member: NDArray[np.bool_], asked: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The share of members of each asked label among the learned samples, with one pseudo-count on either side."""
    names, place = np.unique(np.concatenate([labels, asked]), return_inverse=True)
    learned = place[: len(labels)]
    members = np.bincount(learned[member], minlength=len(names))
    share = (members + 1) / (np.bincount(learned, minlength=len(names)) + 2)
    return np.asarray(share[place[len(labels) :]])


def _forest(x: NDArray[Any], member: NDArray[np.bool_], asked: NDArray[Any]) -> NDArray[np.float64]:
    """Probability of membership of the asked samples [sample, feature]; one thread, a fixed seed."""
    from sklearn.ensemble import RandomForestClassifier

    if member.all() or not member.any():
        return np.zeros(len(asked))
    seed = derive_seed(0, "blind forest") % 2**32
    forest = RandomForestClassifier(_TREES, min_samples_leaf=_LEAST_LEAF, random_state=seed, n_jobs=1)
    return np.asarray(forest.fit(x, member).predict_proba(asked)[:, 1])


def _standardized(scores: NDArray[np.float64], member: NDArray[np.bool_]) -> float:
    """(AUC - 1/2) of one target in standard deviations of the statistic of half of the samples."""
    ties = np.unique(scores, return_counts=True)[1] / len(scores)
    members, others = int(member.sum()) / 2, int((~member).sum()) / 2
    variance = (members + others + 1) / (12 * members * others) * (1 - float((ties**3).sum()))
    return (roc(scores, member).auc - 0.5) / math.sqrt(variance) if variance > 0 else 0.0
