"""The first membership-inference attack: shadow models, and one attack model per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Observed
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.privacy.attack_tools.mlp import MLPConfig, MLPStack, one_network_each, train
from hwsim.registry import register
from hwsim.rng import derive_seed

LEAST_ROWS = 10
"""A class with fewer members or non-members than this has no attack model of its own (our own choice)."""


@register(
    "attack",
    "shokri",
    citation="R. Shokri et al., Membership Inference Attacks Against Machine Learning Models, IEEE S&P 2017",
)
class Shokri(MLPConfig, LearnedAttack):
    """One attack model per class of the label, on the whole vector of posteriors of all shadow models.

    A class with fewer than 10 rows of members or of non-members among the shadows of one half is
    scored by a model over all classes. Defaults as in the authors' code: softmax regression,
    learning rate .01, batches of 100, 50 epochs, L2 1e-6; their other choice is `hidden = [50]`
    (tanh). Different are the optimiser (Adam, our own choice), standardised features, and batches
    that hold as many members as non-members.
    """

    name = "shokri"
    activation: ClassVar[Literal["relu", "tanh"]] = "tanh"

    hidden: tuple[int, ...] = Field(default=(), description="widths of the hidden layers; none is softmax regression")
    batch: int = Field(default=100, ge=2, description="rows per step, half of them members")

    @property
    def needs(self) -> tuple[str, ...]:
        """The posteriors."""
        return ("probabilities",)

    def features(self, observed: Observed, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """The posteriors, float64 [model, sample, class]."""
        return observed["probabilities"]

    def fit(self, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """One network per lesson and class, as many steps as an average class has epochs."""
        groups = [(i, c) for i, lesson in enumerate(lessons) for c in _classes(lesson)]
        own: Mapping[tuple[int, int], int] = {group: n for n, group in enumerate(groups)}
        if not groups:
            return one_network_each(self, lessons, rows)
        rows_of = [np.flatnonzero(lessons[i].labels == c) for i, c in groups]
        networks = train(
            self,
            [lessons[i].features[at] for (i, _), at in zip(groups, rows_of, strict=True)],
            [lessons[i].member[at] for (i, _), at in zip(groups, rows_of, strict=True)],
            [derive_seed(lessons[i].seed, "class", c) for i, c in groups],
            rows=-(-rows // lessons[0].features.shape[1]),
        )
        return [self._predictor(networks, own, i, lesson, rows) for i, lesson in enumerate(lessons)]

    def _predictor(
        self, networks: MLPStack, own: Mapping[tuple[int, int], int], i: int, lesson: AttackTrainingSet, rows: int
    ) -> Predictor:
        def predict(features: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
            scores = np.zeros(len(labels))
            unseen_class = np.array([(i, int(c)) not in own for c in labels], dtype=np.bool_)
            for c in np.unique(labels[~unseen_class]):
                scores[labels == c] = networks.log_odds(own[i, int(c)], features[labels == c])
            if unseen_class.any():
                all_classes = one_network_each(self, [lesson], rows)[0]
                scores[unseen_class] = all_classes(features[unseen_class], labels[unseen_class])
            return scores

        return predict


def _classes(lesson: AttackTrainingSet) -> list[int]:
    """Classes with enough rows on both sides."""
    labels = np.unique(lesson.labels)
    sides = [[np.sum(lesson.labels[lesson.member == side] == c) for side in (True, False)] for c in labels]
    return [int(c) for c, counts in zip(labels, sides, strict=True) if min(counts) >= LEAST_ROWS]
