"""The integer network: a frozen graph of layers that fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, UnknownName
from hwsim.formats import Format
from hwsim.network.accumulator_bounds import Ints, layer_bound
from hwsim.network.check import check_network
from hwsim.network.layer import Layer, Shape
from hwsim.network.shapes import value_formats, value_shapes


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
        check_network(self.input, self.input_shape, self.input_scale, self.layers)

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
        return value_shapes(self.input_shape, self.layers)

    @cached_property
    def formats(self) -> Mapping[str, Format]:
        """Format of the codes after each layer, by layer name, the input included."""
        return value_formats(self.input, self.layers)

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


def accumulator_bounds(network: Network) -> dict[str, Ints]:
    """Largest magnitude that each accumulator can reach: int64 [channel] by layer, for every layer that accumulates.

    A convolution or linear layer has `sum |w| * max |x - zero point| + |bias|`; with region precision
    each tap counts with the larger of its fine and its coarse product. A matmul has one entry, an
    average pool too.
    """
    found = {layer.name: layer_bound(layer, network.formats, network.shapes) for layer in network.layers}
    return {name: bound for name, bound in found.items() if len(bound)}


def overflow_free(network: Network) -> dict[str, bool]:
    """For every layer that accumulates: is it proved that no sum can leave its accumulator?

    >>> overflow_free(network)  # doctest: +SKIP
    {'conv1': True, 'logits': True}
    """
    proved = accumulator_bounds(network)
    return {n: bool((b <= network[n].accumulator.high).all()) for n, b in proved.items()}
