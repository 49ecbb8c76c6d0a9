"""Where each value of a network lies: on a channels-last map or as feature vectors, with the border for its readers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.maps import MAX_PLANES, NO_BORDER, OUTPUT, Border, Map, storage
from hwsim.engine.program import Builder
from hwsim.kernels.inference.instructions import Kind
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Layer, Op, Shape

Ints = NDArray[np.int64]

ON_MAPS = (Op.CONV, Op.MAX_POOL, Op.AVG_POOL, Op.GLOBAL_AVG_POOL)
"""Layers that read and write [channel, row, column]; the others see [..., feature]."""


class NotCompiled(Exception):
    """A network that the kernels do not have: it runs by the definition."""


class Layouts:
    """The maps of a network's values; changes of layout become steps of the builder's program."""

    def __init__(self, network: Network, builder: Builder) -> None:
        self.network, self.builder = network, builder
        self.places: dict[tuple[str, bool], int] = {}  # (value, on a map?) -> index of its map
        self.on_map: dict[str, bool] = {}  # how each value was written

    def place_input(self) -> Ints:
        """Make the input's map, and return the strides of row, column and channel in its flat codes."""
        readers = [layer for layer in self.network.layers if INPUT in layer.inputs]
        on_map = any(layer.op in ON_MAPS for layer in readers)
        self.new_map(INPUT, on_map)
        shape = self.network.input_shape
        if on_map:
            _, rows, columns = shape
            return np.array([columns, 1, rows * columns], dtype=np.int64)
        return np.array([0, shape[-1], 1], dtype=np.int64)

    def new_map(self, name: str, on_map: bool) -> int:
        """The map of a value, with the border that its readers need."""
        height, width, channels = pixels(self.network.shapes[name], on_map)
        border = self._border(name) if on_map else NO_BORDER
        low, unit, planes = storage(self.network.formats[name])
        if planes > MAX_PLANES:
            raise NotCompiled(f"{self.network.formats[name]} takes {planes} bytes")
        index = self.builder.map(Map(height, width, channels, low, unit, planes, border))
        self.places[name, on_map] = index
        self.on_map.setdefault(name, on_map)
        return index

    def _border(self, name: str) -> Border:
        border = NO_BORDER
        for layer in self.network.layers:
            if layer.op is Op.CONV and layer.inputs[0] == name and layer.region is None:
                border = border.union(reach(self.network, layer))
        return border

    def read(self, name: str, on_map: bool) -> int:
        """The map of a value in the wanted layout; a change of layout is a step of its own."""
        if (name, on_map) in self.places:
            return self.places[name, on_map]
        source = self.places[name, not on_map]
        order = np.arange(math.prod(self.network.shapes[name])).reshape(self.network.shapes[name])
        return self._gather(name, source, self.on_map[name], order, name, on_map)

    def move(self, layer: Layer) -> None:
        """Flatten, reshape, transpose: another order of the same codes."""
        name = layer.inputs[0]
        shape = self.network.shapes[name]
        order = np.arange(math.prod(shape)).reshape(shape)
        if layer.op is Op.TRANSPOSE:
            order = order.transpose(layer.axes)
        order = order.reshape(self.network.shapes[layer.name])
        self._gather(name, self.places[name, self.on_map[name]], self.on_map[name], order, layer.name, False)

    def _gather(
        self, name: str, source: int, source_on_map: bool, order: Ints, target: str, target_on_map: bool
    ) -> int:
        """Write `target`, whose element e is element `order[e]` of the value `name`, into a new map."""
        x = self.builder.maps[source]
        height, width, channels = pixels(self.network.shapes[name], source_on_map)
        rows, columns, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
        at = rows * x.row + columns * x.channels + c
        at = at.transpose(2, 0, 1) if source_on_map else at
        picked = at.reshape(-1)[order]
        if target_on_map:
            picked = picked.transpose(1, 2, 0)
        y = self.new_map(target, target_on_map)
        self.builder.step(kind=Kind.GATHER, x=source, y=y, table=self.builder.words(picked))
        return y

    def first_places(self) -> dict[str, tuple[int, bool]]:
        """Map, and whether it has channels last, of each value as its layer writes it; the last layer has none."""
        return {name: (self.places[name, on_map], on_map) for name, on_map in self.on_map.items()}

    def target(self, layer: Layer, on_map: bool) -> int:
        """The map that a layer writes; for the last layer a view of the [sample, output] array."""
        if layer is not self.network.layers[-1]:
            return self.new_map(layer.name, on_map)
        return self.builder.map(_logits_map(self.network.shapes[layer.name], on_map))


def reach(network: Network, layer: Layer) -> Border:
    """How far the windows of a convolution reach beyond its input."""
    g, (_, height, width) = layer.geometry, network.shapes[layer.inputs[0]]
    _, rows, columns = network.shapes[layer.name]
    bottom = (rows - 1) * g.stride[0] - g.padding[0] + g.dilation[0] * (g.kernel[0] - 1) - (height - 1)
    right = (columns - 1) * g.stride[1] - g.padding[1] + g.dilation[1] * (g.kernel[1] - 1) - (width - 1)
    return Border(g.padding[0], max(bottom, 0), g.padding[1], max(right, 0))


def pixels(shape: Shape, on_map: bool) -> tuple[int, int, int]:
    """Rows, columns and channels of a value: of a map [channel, row, column], else one row of feature vectors."""
    if on_map:
        return shape[1], shape[2], shape[0]
    return 1, math.prod(shape[:-1]), shape[-1]


def _logits_map(shape: Shape, on_map: bool) -> Map:
    """A stand-in for the output array: its strides are filled in by `lay_out`, as it lies in no arena."""
    height, width, channels = pixels(shape, on_map)
    return Map(height, width, channels, low=0, unit=1, planes=1, parent=(OUTPUT, height * width if on_map else 1))
