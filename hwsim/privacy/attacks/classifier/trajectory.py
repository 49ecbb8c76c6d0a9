"""TrajectoryMIA: how the loss of a distilled copy of the target falls, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Observed, log_odds
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.privacy.attack_tools.mlp import MLPConfig, one_network_each
from hwsim.registry import register


@register(
    "attack",
    "trajectory",
    citation="Y. Liu et al., Membership Inference Attacks by Exploiting Loss Trajectory, CCS 2022",
)
class Trajectory(MLPConfig, LearnedAttack):
    """A network on the losses of a distilled student after each epoch, and on that of the deployed model.

    Only the last loss comes from the hardware; students run in full precision. One shadow model and
    its students, the next ones after the target. As in the authors' code: hidden layers of 512, 128
    and 32, gradient descent with rate .01, momentum .9 and weight decay 1e-4 (here without the
    biases), batches of 128. They train for 100 epochs; here 20 are the default, and 5,000 rows the most.
    Features are standardised, and batches hold as many members as non-members (our own choice).
    The authors' code picks the best epoch on the samples that it is tested on; here it is always
    the last one.
    """

    name = "trajectory"
    optimiser: ClassVar[Literal["adam", "momentum"]] = "momentum"

    shadows: int | None = Field(default=1, ge=1, description="number of shadow models; all others when not given")
    most_rows: int = Field(default=5_000, ge=10, description="largest number of rows that one attack model learns from")
    hidden: tuple[int, ...] = Field(default=(512, 128, 32), description="widths of the hidden layers")
    batch: int = Field(default=128, ge=2, description="rows per step, half of them members")
    epochs: int = Field(default=20, ge=1)
    l2: float = Field(default=1e-4, ge=0, description="weight of half the sum of squared weights in the loss")

    @property
    def needs(self) -> tuple[str, ...]:
        """The losses of the students, and the logits of the deployed model."""
        return ("loss_trajectory", "logits")

    def features(self, observed: Observed, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Losses of the students and of the model, float64 [model, sample, epoch + 1]."""
        loss = np.logaddexp(0, -log_odds(np.asarray(observed["logits"], dtype=np.float64), labels))
        return np.concatenate([observed["loss_trajectory"], loss[..., None]], axis=-1)

    def fit(self, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """One network per lesson."""
        return one_network_each(self, lessons, rows)
