"""Base of all quantizers: parameters, and the quantization scheme of a graph with given weights."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from hwsim.float_graph.graph import FloatGraph, Weights
from hwsim.quantizers.scheme import BitWidths, Scheme
from hwsim.registry import Configurable

PowerOfTwo = Annotated[
    bool, Field(description="round every scale to a power of two: torch and the integers are then identical")
]


class Quantizer(Configurable):
    """Base of all quantizers whose result is an integer network.

    Attributes
    ----------
    integer : True, the result is an integer network
    trains : True where the scheme is the start of a fine-tuning on the training data. The quantizer then has the
        parameters `epochs` and `learning_rate`.
    """

    integer: ClassVar[bool] = True
    trains: ClassVar[bool] = False

    @abstractmethod
    def scheme(self, graph: FloatGraph, weights: Weights, calibration: Tensor) -> Scheme:
        """Return the scheme for weights stacked [model, ...], from calibration inputs [sample, ...]."""


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
    power_of_two: PowerOfTwo = False

    @property
    def bit_widths(self) -> BitWidths:
        """Bit widths of weights and activations."""
        return BitWidths(self.w_bits, self.a_bits, self.first_last_bits)
