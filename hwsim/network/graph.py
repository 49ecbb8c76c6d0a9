"""The integer network: a frozen graph of layers that fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, UnknownName
from hwsim.formats import Format
from hwsim.network.check import check_network
from hwsim.network.layer import INPUT, Layer, Shape
from hwsim.network.shapes import output_shape


@dataclass(frozen=True, eq=False)
class Network:
    """A frozen graph of integer layers in topological order; the last one is the output.

    Raises HwsimError, naming the layer, when the graph does not fit together.
    """

    input: Format
    input_shape: Shape
    input_scale: float
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        check_network(self)

    def encode(self, values: NDArray[np.floating]) -> NDArray[np.int32]:
        """Real inputs [sample, ...] to input codes, once, on the host: half-up in float64, then clip."""
        if values.shape[1:] != self.input_shape:
            raise BadInput("inputs", f"shape {values.shape}", f"[samples, {', '.join(map(str, self.input_shape))}]")
        codes = np.floor(values.astype(np.float64) / self.input_scale + 0.5) + self.input.zero_point
        clipped: NDArray[np.int32] = np.clip(codes, self.input.qmin, self.input.qmax).astype(np.int32)
        return clipped

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Shape of one sample after each layer, by layer name, the input included."""
        shapes: dict[str, Shape] = {INPUT: self.input_shape}
        for layer in self.layers:
            shapes[layer.name] = output_shape(layer, [shapes[name] for name in layer.inputs])
        return shapes

    @cached_property
    def formats(self) -> Mapping[str, Format]:
        """Format of the codes after each layer, by layer name, the input included."""
        return {INPUT: self.input} | {layer.name: layer.output for layer in self.layers}

    @property
    def logit_scale(self) -> float:
        """Real value of one unit of the output."""
        return self.layers[-1].scale

    def __getitem__(self, name: str) -> Layer:
        """The layer called `name`."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UnknownName("layer", name, [layer.name for layer in self.layers])
