"""What every model is: an architecture and its training recipe."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import Field
from torch import nn

from hwsim.errors import HwsimError
from hwsim.network.layer import Shape
from hwsim.registry import Configurable

Units = Annotated[int, Field(ge=1, le=65_536)]
Filters = Annotated[int, Field(ge=1, le=4096)]


class Model(Configurable):
    """Base of all models: an architecture and its training recipe (Adam, cosine decay to zero).

    With `adversarial_eps` above 0 every batch is replaced by what PGD makes of it on the model as it is (adversarial
    training, Madry et al., ICLR 2018): the robust models of Song et al., CCS 2019. Samples must lie in 0..1.
    """

    epochs: int = Field(60, ge=1, le=10_000, description="passes over the members")
    batch: int = Field(64, ge=1, le=65_536, description="members per step")
    learning_rate: float = Field(3e-3, gt=0, le=1, description="Adam's rate at the start")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Adam's weight decay")
    adversarial_eps: float = Field(
        0.0, ge=0, le=1, description="radius of the L-infinity ball of adversarial training; 0 trains plainly"
    )
    adversarial_steps: int = Field(
        7, ge=1, le=1000, description="PGD steps of 2.5 eps / steps each in adversarial training; our own choice"
    )

    @abstractmethod
    def module(self, shape: Shape, classes: int) -> nn.Module:
        """A fresh torch module for samples of `shape`; raises HwsimError when the shape does not suit it."""


def image_shape(shape: Shape, name: str) -> tuple[int, int, int]:
    """Channels, rows and columns of an image; raises HwsimError in the name of a model that needs one."""
    if len(shape) != 3:
        raise HwsimError(
            f"model {name}: it needs images [channel, row, column], the data set has samples of shape {shape}; "
            "use model mlp"
        )
    return shape[0], shape[1], shape[2]
