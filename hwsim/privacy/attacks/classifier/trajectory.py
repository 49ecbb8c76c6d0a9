"""TrajectoryMIA: the loss of a distilled copy of the target, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.privacy.attack_tools.game_view import GameView
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.mlp import L2, Batch, Epochs, Hidden, LearningRate, MLPConfig, mlp_config, mlp_per_set
from hwsim.registry import register


@register(
    "attack",
    "trajectory",
    citation="Y. Liu et al., Membership Inference Attacks by Exploiting Loss Trajectory, CCS 2022",
)
class Trajectory(LearnedAttack):
    """An MLP on the losses of a distilled student after each epoch, and on the loss of the deployed model.

    Only the last loss comes from the hardware; students run in full precision. There is one shadow model with its
    student, the next model after the target. As in the authors' code: hidden layers of 512, 128 and 32, gradient
    descent with rate .01, momentum .9 and weight decay 1e-4 (here without the biases), batches of 128. The authors
    train for 100 epochs and pick the best epoch on the tested samples; here the last epoch is taken.
    Design choice: 20 epochs, at most 5,000 rows, standardized features, and batches with as many members as
    non-members.
    """

    name = "trajectory"
    needs = ("loss_trajectory", "logits")

    shadows: int | None = Field(default=1, ge=1, description="number of shadow models; all others when not given")
    most_rows: int = Field(default=5_000, ge=10, description="largest number of rows that one attack model learns from")
    hidden: Hidden = (512, 128, 32)
    learning_rate: LearningRate = 0.01
    batch: Batch = 128
    epochs: Epochs = 20
    l2: L2 = 1e-4

    @property
    def mlp(self) -> MLPConfig:
        """Configuration of the attack models."""
        return mlp_config(self, optimizer="momentum")

    def features(self, game: GameView) -> NDArray[np.float64]:
        """Return the losses of the student and of the model, float64 [model, sample, epoch + 1]."""
        loss = np.logaddexp(0, -log_odds(np.asarray(game.observed["logits"], dtype=np.float64), game.labels))
        return np.concatenate([game.observed["loss_trajectory"], loss[..., None]], axis=-1)

    def fit(self, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """Train one MLP per training set."""
        return mlp_per_set(self.mlp, training_sets, rows)
