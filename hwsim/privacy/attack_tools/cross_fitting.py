"""Attacks that learn from shadow models what a member looks like: what they share, and why none can cheat.

Half of the models of a game hold a sample, so how many *shadows* hold it gives away whether the
target does. A classifier with enough freedom would learn each sample by heart, count, and find a
leak where there is none. Three rules prevent it:

1. **Cross-fitting.** The samples are cut in two halves. What scores a sample against the target was
   trained on samples of the other half.
2. **Equally many shadows on both sides** of every sample that is trained on.
3. **A canonical order.** Halves and rows follow a hash of what is known of a sample (its label, who
   else holds it, what was observed), so the order in which samples arrive changes no bit, and
   samples that are alike in all of it get one score.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.attack import Attack, Observed
from hwsim.privacy.attack_tools.shadow_selection import first_per_set
from hwsim.privacy.sample_keys import content_keys
from hwsim.rng import derive_seed

Predictor = Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]
"""What a lesson leaves behind: features [n, feature] and labels [n] in, scores [n] out."""

_AT_ONCE = 2**24
"""Numbers of all lessons that are held in memory together."""


@dataclass(frozen=True, eq=False)
class AttackTrainingSet:
    """What one attack model is trained on: the shadows' rows of one half of the samples.

    `features` float64 [row, feature], `member` bool [row] with both values, `labels` int64 [row].
    """

    features: NDArray[np.float64]
    member: NDArray[np.bool_]
    labels: NDArray[np.int64]
    seed: int


class LearnedAttack(Attack):
    """Base of the attacks that are trained on shadow models; a subclass gives `features` and `fit`.

    `shadows` is the number of shadow models: the first ones after the target, in a circle. With two
    or more, a sample counts with equally many shadows on both sides; a single shadow is taken whole.
    """

    shadows: int | None = Field(default=None, ge=1, description="number of shadow models; all others when not given")
    most_rows: int = Field(
        default=20_000, ge=10, description="largest number of rows that one attack model learns from"
    )

    @abstractmethod
    def features(self, observed: Observed, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """What the attack model sees, float64 [model, sample, feature]; each sample for itself."""

    @abstractmethod
    def fit(self, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """Learn every lesson for itself.

        `rows` is how many rows a lesson of this game has at most; every lesson of every target gets
        the same number, so that training steps counted from it do not depend on what else is learned.
        """

    @final
    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack. A half with members only, or none, teaches nothing: the other half scores 0.

        Raises BadInput when the game has fewer other models than `shadows`.
        """
        models, samples = keep.shape
        if self.shadows is not None and self.shadows >= models:
            raise BadInput(
                f"attack {self.name}.shadows", self.shadows, f"1 to {models - 1}, the models less the target"
            )
        chosen = list(range(models)) if targets is None else list(targets)
        features = np.asarray(self.features(observed, labels), dtype=np.float64)
        known = content_keys(labels, *(np.moveaxis(observed[name], 0, 1) for name in self.needs))
        rows = self._rows(models, samples)
        step = max(1, _AT_ONCE // (2 * rows * features.shape[2]))
        scores = np.zeros((len(chosen), samples))
        for start in range(0, len(chosen), step):
            scores[start : start + step] = self._score(
                features, keep, labels, known, chosen[start : start + step], rows
            )
        return scores

    def _rows(self, models: int, samples: int) -> int:
        """Number of rows of a lesson when the halves are even and each sample is in half of the models."""
        count = self.shadows or models - 1
        per_sample = 1 if count == 1 else 2 * (count // 2)
        return min(self.most_rows, per_sample * -(-samples // 2))

    def _score(
        self,
        features: NDArray[np.float64],
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        known: NDArray[np.uint64],
        targets: Sequence[int],
        rows: int,
    ) -> NDArray[np.float64]:
        halves = {(i, half.number): half for i, t in enumerate(targets) for half in _halves(known, keep, t)}
        lessons = {at: self._lesson(features, keep, labels, targets[at[0]], half) for at, half in halves.items()}
        trainable = {at: lesson for at, lesson in lessons.items() if lesson.member.any() and not lesson.member.all()}
        predictors = dict(zip(trainable, self.fit(list(trainable.values()), rows), strict=True)) if trainable else {}
        scores = np.zeros((len(targets), keep.shape[1]))
        for (i, half), predictor in predictors.items():
            other = halves[i, 1 - half]
            seen = predictor(features[targets[i], other.distinct], labels[other.distinct])
            scores[i, other.samples] = seen[other.which]
        return scores

    def _lesson(
        self,
        features: NDArray[np.float64],
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        target: int,
        half: _Half,
    ) -> AttackTrainingSet:
        models = len(keep)
        shadows = [(target + 1 + step) % models for step in range(self.shadows or models - 1)]
        samples = half.samples[: max(1, self.most_rows // len(shadows))]
        inside = keep[shadows][:, samples]
        selected = first_per_set(inside) if len(inside) > 1 else np.ones_like(inside)
        column, row = np.nonzero(selected.T)
        picked = samples[column]
        return AttackTrainingSet(
            features[np.array(shadows)[row], picked],
            inside[row, column],
            labels[picked],
            derive_seed(0, "attack model", self.name, target, half.number),
        )


@dataclass(frozen=True, eq=False)
class _Half:
    """One half of the samples in canonical order.

    `samples` int64 are their indices. `distinct` has one sample of each kind that is alike in
    everything known, and `which` says for each sample which of them it is like.
    """

    number: int
    samples: NDArray[np.int64]
    distinct: NDArray[np.int64]
    which: NDArray[np.int64]


def _halves(known: NDArray[np.uint64], keep: NDArray[np.bool_], target: int) -> tuple[_Half, _Half]:
    """Every other kind of sample, in the order of the hash of what is known without the target's own row."""
    holders = np.packbits(np.delete(keep, target, axis=0), axis=0).T
    _, first, kind = np.unique(content_keys(known, holders), return_index=True, return_inverse=True)
    order = np.argsort(kind, kind="stable")

    def half(number: int) -> _Half:
        samples = order[kind[order] % 2 == number]
        return _Half(number, samples, first[number::2], kind[samples] // 2)

    return half(0), half(1)
