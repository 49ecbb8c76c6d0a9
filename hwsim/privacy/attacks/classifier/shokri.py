"""Attack of Shokri et al.: shadow models, and one attack model per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.privacy.attack_tools.game_view import GameView
from hwsim.privacy.attack_tools.mlp import (
    L2,
    Batch,
    Epochs,
    Hidden,
    LearningRate,
    MLPConfig,
    MLPStack,
    mlp_config,
    mlp_per_set,
    train,
)
from hwsim.registry import register
from hwsim.rng import derive_seed

MIN_ROWS = 10
"""A class with fewer members or non-members than this has no attack model of its own (design choice)."""


@register(
    "attack",
    "shokri",
    citation="R. Shokri et al., Membership Inference Attacks Against Machine Learning Models, IEEE S&P 2017",
)
class Shokri(LearnedAttack):
    """One attack model per class of the label, on the whole vector of posteriors of all shadow models.

    A class with fewer than 10 rows of members or of non-members among the shadow models of one half is scored by a
    model over all classes. Defaults as in the authors' code: softmax regression, learning rate .01, batches of 100,
    50 epochs, L2 1e-6; their other choice is `hidden = [50]` (tanh).
    The optimizer (Adam) and the bare posteriors as features are those of the code as well.
    Design choice: batches with as many members as non-members.
    """

    name = "shokri"
    needs = ("probabilities",)

    hidden: Hidden = ()
    learning_rate: LearningRate = 0.01
    batch: Batch = 100
    epochs: Epochs = 50
    l2: L2 = 1e-6

    @property
    def mlp(self) -> MLPConfig:
        """Configuration of the attack models."""
        return mlp_config(self, activation="tanh", standardize=False)

    def features(self, game: GameView) -> NDArray[np.float64]:
        """Return the posteriors, float64 [model, sample, class]."""
        return game.observed["probabilities"]

    def fit(self, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """Train one MLP per training set and class, with the training steps of a class of average size."""
        groups = [(i, c) for i, training_set in enumerate(training_sets) for c in _classes(training_set)]
        stack_index: Mapping[tuple[int, int], int] = {group: n for n, group in enumerate(groups)}
        if not groups:
            return mlp_per_set(self.mlp, training_sets, rows)
        rows_of = [np.flatnonzero(training_sets[i].labels == c) for i, c in groups]
        stack = train(
            self.mlp,
            [training_sets[i].features[at] for (i, _), at in zip(groups, rows_of, strict=True)],
            [training_sets[i].member[at] for (i, _), at in zip(groups, rows_of, strict=True)],
            [derive_seed(training_sets[i].seed, "class", c) for i, c in groups],
            rows=ceil_div(rows, training_sets[0].features.shape[1]),
        )
        return [self._predictor(stack, stack_index, i, t, rows) for i, t in enumerate(training_sets)]

    def _predictor(
        self,
        stack: MLPStack,
        stack_index: Mapping[tuple[int, int], int],
        i: int,
        training_set: AttackTrainingSet,
        rows: int,
    ) -> Predictor:
        """Return the predictor of training set `i`; `stack_index` maps (training set, class) to an MLP of the stack."""

        def predict(features: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
            scores = np.zeros(len(labels))
            unseen_class = np.array([(i, int(c)) not in stack_index for c in labels], dtype=np.bool_)
            for c in np.unique(labels[~unseen_class]):
                scores[labels == c] = stack.log_odds(stack_index[i, int(c)], features[labels == c])
            if unseen_class.any():
                all_classes = mlp_per_set(self.mlp, [training_set], rows)[0]
                scores[unseen_class] = all_classes(features[unseen_class], labels[unseen_class])
            return scores

        return predict


def _classes(training_set: AttackTrainingSet) -> list[int]:
    """Return the classes with enough rows of members and of non-members."""
    members, nonmembers = (training_set.labels[training_set.member == value] for value in (True, False))
    return [
        int(c) for c in np.unique(training_set.labels) if min(np.sum(members == c), np.sum(nonmembers == c)) >= MIN_ROWS
    ]
