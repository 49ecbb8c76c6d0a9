"""Integer network: a frozen, checked graph of layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwsim.arrays import real_array, require_numbers
from hwsim.errors import BadInput, UnknownName
from hwsim.formats import Format
from hwsim.network.accumulator_bounds import Ints, layer_bound
from hwsim.network.check import check_network
from hwsim.network.layer import Layer, Shape
from hwsim.network.shapes import value_formats, value_shapes
from hwsim.network.summary import summary


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """Frozen graph of integer layers in topological order; the last layer is the output.

    Raises HwsimError, with the name of the layer, for an invalid graph. `print(network)` shows a summary.

    Attributes
    ----------
    input : format of the input codes
    input_shape : shape of one input sample
    input_scale : real value of one unit of the input codes
    layers : layers, each after the layers that it reads
    """

    input: Format
    input_shape: Shape
    input_scale: float
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        check_network(self.input, self.input_shape, self.input_scale, self.layers)

    def encode(self, values: NDArray[np.floating]) -> NDArray[np.int32]:
        """Convert real inputs [sample, ...] to int32 input codes of the same shape: half up in float64, then clip.

        Raises BadInput for another shape, for what is no array of real numbers, and for NaN, with its index; infinite
        values are clipped, as every large value.
        """
        values = real_array(values, "inputs")
        if values.ndim < 1 or values.shape[1:] != self.input_shape:
            raise BadInput("inputs", f"shape {values.shape}", f"[samples, {', '.join(map(str, self.input_shape))}]")
        require_numbers(values, "inputs")
        codes = np.floor(values.astype(np.float64) / self.input_scale + 0.5) + self.input.zero_point
        clipped: NDArray[np.int32] = np.clip(codes, self.input.qmin, self.input.qmax).astype(np.int32)
        return clipped

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Shape of one sample of the input and of each layer's output, by name."""
        return value_shapes(self.input_shape, self.layers)

    @cached_property
    def formats(self) -> Mapping[str, Format]:
        """Format of the input and of each layer's output, by name."""
        return value_formats(self.input, self.layers)

    @property
    def logit_scale(self) -> float:
        """Real value of one unit of the output (metadata)."""
        return self.layers[-1].scale

    def __getitem__(self, name: str) -> Layer:
        """Return the layer with a name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UnknownName("layer", name, [layer.name for layer in self.layers])

    def __str__(self) -> str:
        return summary(self.input, self.input_shape, self.input_scale, self.layers)

    def __repr__(self) -> str:
        return f"<Network: input {self.input} {list(self.input_shape)}, {len(self.layers)} layers>"


def accumulator_bounds(network: Network) -> dict[str, Ints]:
    """Return the largest magnitude of each accumulator, int64 [channel] by name, for every layer that accumulates.

    The bound of a convolution or linear layer is `sum |w| * max |x - zero point| + |bias|`. With region precision each
    product counts with the larger of its full-width and its low-width magnitude. A matmul and an average pool have one
    entry.
    """
    bounds = {layer.name: layer_bound(layer, network.formats, network.shapes) for layer in network.layers}
    return {name: bound for name, bound in bounds.items() if len(bound)}


def overflow_free(network: Network) -> dict[str, bool]:
    """Return, for every layer that accumulates, True if no input can overflow its accumulator.

    >>> overflow_free(network)  # doctest: +SKIP
    {'conv1': True, 'logits': True}
    """
    bounds = accumulator_bounds(network)
    return {name: bool((bound <= network[name].accumulator.high).all()) for name, bound in bounds.items()}
