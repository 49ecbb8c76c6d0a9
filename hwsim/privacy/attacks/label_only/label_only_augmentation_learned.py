"""Label-only attack by augmentation with an attack model: an MLP on the correctness of each augmented copy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.privacy.attack_tools.game_view import GameView
from hwsim.privacy.attack_tools.mlp import L2, Batch, Epochs, Hidden, LearningRate, mlp_config, mlp_per_set
from hwsim.registry import register


@register(
    "attack",
    "label_only_augmentation_learned",
    citation="C. Choquette-Choo et al., Label-Only Membership Inference Attacks, ICML 2021",
)
class LabelOnlyAugmentationLearned(LearnedAttack):
    """A small MLP on one bit per augmented copy, whether its label is correct, trained on the shadow models.

    Unlike `label_only_augmentation` it weights the copies.
    Design choice: size and training of the MLP are those of the ML-Leaks attacks here.
    """

    name = "label_only_augmentation_learned"
    needs = ("augmented_labels",)

    hidden: Hidden = (64,)
    learning_rate: LearningRate = 0.01
    batch: Batch = 10
    epochs: Epochs = 50
    l2: L2 = 1e-6

    def features(self, game: GameView) -> NDArray[np.float64]:
        """Return 1 for copies with a correct label, float64 [model, sample, copy]."""
        return np.asarray(game.observed["augmented_labels"] == game.labels[:, None], dtype=np.float64)

    def fit(self, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """Train one MLP per training set."""
        return mlp_per_set(mlp_config(self), training_sets, rows)
