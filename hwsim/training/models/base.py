"""Base of all models: an architecture and its training recipe."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import Field
from torch import nn

from hwsim.errors import HwsimError
from hwsim.network.layer import Shape
from hwsim.registry import Configurable

Epochs = Annotated[int, Field(ge=1, le=10_000, description="passes over the members")]
Batch = Annotated[int, Field(ge=1, le=65_536, description="members per step")]
LearningRate = Annotated[float, Field(gt=0, le=1, description="initial learning rate of Adam")]
Units = Annotated[int, Field(ge=1, le=65_536)]
Filters = Annotated[int, Field(ge=1, le=4096)]


class Model(Configurable):
    """Base of all models: an architecture and its training recipe (Adam, cosine decay to zero).

    With `adversarial_eps` above 0, PGD on the current model perturbs every batch (adversarial training, Madry et al.,
    ICLR 2018), as for the robust models of Song et al., CCS 2019. Samples must lie in 0..1.
    """

    epochs: Epochs = 60
    batch: Batch = 64
    learning_rate: LearningRate = 3e-3
    weight_decay: float = Field(0.0, ge=0, le=1, description="weight decay of Adam")
    adversarial_eps: float = Field(
        0.0, ge=0, le=1, description="radius of the L-infinity ball of adversarial training; 0 is standard training"
    )
    adversarial_steps: int = Field(
        7, ge=1, le=1000, description="PGD steps of 2.5 eps / steps each in adversarial training; design choice"
    )

    @abstractmethod
    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Return a new torch module for samples of `shape`; raises HwsimError for a shape that it cannot take."""


def image_shape(shape: Shape, name: str) -> tuple[int, int, int]:
    """Return channels, rows and columns of an image; raises HwsimError, which names the model, for another shape."""
    if len(shape) != 3:
        raise HwsimError(
            f"model {name}: it needs images [channel, row, column], the data set has samples of shape {shape}; "
            "use model mlp"
        )
    return shape[0], shape[1], shape[2]
