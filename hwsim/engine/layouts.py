"""Layouts of the values of a network: channels-last maps or feature vectors, with a border for their readers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.maps import MAX_PLANES, NO_BORDER, OUTPUT, Border, Map, storage
from hwsim.engine.program import Builder
from hwsim.kernels.inference.instructions import StepKind
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Layer, Op, Shape

Ints = NDArray[np.int64]

ON_MAPS = (Op.CONV, Op.MAX_POOL, Op.AVG_POOL, Op.GLOBAL_AVG_POOL)
"""Layers that read and write [channel, row, column]; all other layers read [..., feature]."""


class NotCompiled(Exception):
    """A network that the kernels do not support: it is executed by the definition."""


class Layouts:
    """Maps of a network's values; changes of layout become steps of the builder's program."""

    def __init__(self, network: Network, builder: Builder) -> None:
        self.network, self.builder = network, builder
        self.maps: dict[tuple[str, bool], int] = {}  # (value, on a map?) -> index of its map
        self.on_map: dict[str, bool] = {}  # value -> True where its layer writes [channel, row, column]

    def input_map(self) -> Ints:
        """Append the input's map, and return the strides of row, column and channel in its flat codes."""
        readers = [layer for layer in self.network.layers if INPUT in layer.inputs]
        on_map = any(layer.op in ON_MAPS for layer in readers)
        self.new_map(INPUT, on_map)
        shape = self.network.input_shape
        if on_map:
            _, rows, columns = shape
            return np.array([columns, 1, rows * columns], dtype=np.int64)
        return np.array([0, shape[-1], 1], dtype=np.int64)

    def new_map(self, name: str, on_map: bool) -> int:
        """Append a map for a value, with the border that its readers need, and return its index."""
        height, width, channels = pixels(self.network.shapes[name], on_map)
        border = self._border(name) if on_map else NO_BORDER
        low, unit, planes = storage(self.network.formats[name])
        if planes > MAX_PLANES:
            raise NotCompiled(f"{self.network.formats[name]} takes {planes} bytes")
        index = self.builder.map(Map(height, width, channels, low, unit, planes, border))
        self.maps[name, on_map] = index
        self.on_map.setdefault(name, on_map)
        return index

    def _border(self, name: str) -> Border:
        border = NO_BORDER
        for layer in self.network.layers:
            if layer.op is Op.CONV and layer.inputs[0] == name and layer.region is None:
                border = border.union(window_border(self.network, layer))
        return border

    def map_of(self, name: str, on_map: bool) -> int:
        """Return the map of a value in a layout; a change of layout is a step of its own."""
        if (name, on_map) in self.maps:
            return self.maps[name, on_map]
        source = self.maps[name, not on_map]
        order = np.arange(math.prod(self.network.shapes[name])).reshape(self.network.shapes[name])
        return self._gather(name, source, self.on_map[name], order, name, on_map)

    def reorder(self, layer: Layer) -> None:
        """Write the step of flatten, reshape or transpose: the same codes in another order."""
        name = layer.inputs[0]
        shape = self.network.shapes[name]
        order = np.arange(math.prod(shape)).reshape(shape)
        if layer.op is Op.TRANSPOSE:
            order = order.transpose(layer.axes)
        order = order.reshape(self.network.shapes[layer.name])
        self._gather(name, self.maps[name, self.on_map[name]], self.on_map[name], order, layer.name, False)

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
        self.builder.step(kind=StepKind.GATHER, x=source, y=y, table=self.builder.longs(picked))
        return y

    def value_maps(self) -> dict[str, tuple[int, bool]]:
        """Return (map index, channels last?) of each value as its layer writes it, without the last layer."""
        return {name: (self.maps[name, on_map], on_map) for name, on_map in self.on_map.items()}

    def output_map(self, layer: Layer, on_map: bool) -> int:
        """Append the map that a layer writes; for the last layer, a view of the [sample, output] array."""
        if layer is not self.network.layers[-1]:
            return self.new_map(layer.name, on_map)
        return self.builder.map(_logits_map(self.network.shapes[layer.name], on_map))


def window_border(network: Network, layer: Layer) -> Border:
    """Return the rows and columns by which the windows of a convolution exceed its input."""
    g, (_, height, width) = layer.geometry, network.shapes[layer.inputs[0]]
    _, rows, columns = network.shapes[layer.name]
    bottom = (rows - 1) * g.stride[0] - g.padding[0] + g.dilation[0] * (g.kernel[0] - 1) - (height - 1)
    right = (columns - 1) * g.stride[1] - g.padding[1] + g.dilation[1] * (g.kernel[1] - 1) - (width - 1)
    return Border(g.padding[0], max(bottom, 0), g.padding[1], max(right, 0))


def pixels(shape: Shape, on_map: bool) -> tuple[int, int, int]:
    """Return rows, columns and channels of a value: of a map [channel, row, column], else of one row of vectors."""
    if on_map:
        return shape[1], shape[2], shape[0]
    return 1, math.prod(shape[:-1]), shape[-1]


def _logits_map(shape: Shape, on_map: bool) -> Map:
    """Return a map for the output array, which is outside the arena: `arena_layout` fills in its strides."""
    height, width, channels = pixels(shape, on_map)
    return Map(height, width, channels, low=0, unit=1, planes=1, parent=(OUTPUT, height * width if on_map else 1))
