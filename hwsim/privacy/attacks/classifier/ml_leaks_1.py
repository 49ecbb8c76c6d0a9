"""ML-Leaks, adversary 1: one shadow model, one attack model on the three largest posteriors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.privacy.attack_tools.game_view import GameView
from hwsim.privacy.attack_tools.mlp import L2, Batch, Epochs, Hidden, LearningRate, mlp_config, mlp_per_set
from hwsim.registry import register

TOP = 3
"""Number of posteriors that the attack model reads."""


@register(
    "attack",
    "ml_leaks_1",
    citation="A. Salem et al., ML-Leaks: Model and Data Independent Membership Inference Attacks, NDSS 2019",
)
class MlLeaks1(LearnedAttack):
    """One MLP for all classes on the three largest posteriors, trained on one shadow model of the same kind.

    The posteriors are sorted, so neither label nor predicted class is read; a binary task has two. The shadow model is
    the first model after the target. Architecture, training and optimizer (Adam) are those of the authors' code.
    Design choice: standardized features, and batches with as many members as non-members.
    """

    name = "ml_leaks_1"
    needs = ("probabilities",)

    shadows: int | None = Field(default=1, ge=1, description="number of shadow models; all others when not given")
    hidden: Hidden = (64,)
    learning_rate: LearningRate = 0.01
    batch: Batch = 10
    epochs: Epochs = 50
    l2: L2 = 1e-6

    def features(self, game: GameView) -> NDArray[np.float64]:
        """Return the largest posteriors, descending, float64 [model, sample, 3]."""
        return top_posteriors(game.observed["probabilities"])

    def fit(self, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """Train one MLP per training set."""
        return mlp_per_set(mlp_config(self), training_sets, rows)


def top_posteriors(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `TOP` largest probabilities of [..., class], descending; all of them where there are fewer.

    >>> top_posteriors(np.array([0.1, 0.2, 0.3, 0.4])).tolist()
    [0.4, 0.3, 0.2]
    """
    return np.asarray(-np.sort(-probabilities, axis=-1)[..., :TOP])
