"""What every quantizer is: parameters, and a Scheme for a graph with given weights and calibration data."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from hwsim.float_graph.graph import FloatGraph, Weights
from hwsim.quantizers.scheme import Scheme
from hwsim.registry import Configurable


class Quantizer(Configurable):
    """Base of all quantizers that end in an integer network, which `integer` tells.

    `trains` says whether the scheme is only a start, to be fine-tuned on the training data
    (`epochs` and `learning_rate` are then parameters of the quantizer).
    """

    integer: ClassVar[bool] = True
    trains: ClassVar[bool] = False

    @abstractmethod
    def scheme(self, graph: FloatGraph, weights: Weights, calibration: Tensor) -> Scheme:
        """Grids for stacked weights, from what the float network does on `calibration` [sample, ...]."""


class UniformBits(Quantizer):
    """Base of quantizers with one width for weights and one for activations."""

    w_bits: int = Field(8, ge=1, le=8, description="bits of the weights; 1 means -1 and +1")
    a_bits: int = Field(8, ge=1, le=8, description="bits of the activations and of the input")
    first_last_bits: int | None = Field(
        None,
        ge=1,
        le=8,
        description="bits of the input and of the first and last layer's weights, where these should differ",
    )
    power_of_two: bool = Field(
        False, description="round every step to a power of two: torch and the integers are then identical"
    )
