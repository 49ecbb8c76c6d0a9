"""Steps of convolutions and linear layers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.epilogues import Epilogues, Fields
from hwsim.engine.layouts import Layouts, NotCompiled, reach
from hwsim.engine.maps import Map
from hwsim.engine.overflow_bounds import OverflowBounds
from hwsim.engine.program import Builder
from hwsim.engine.weights import Planes, pack_bits, pack_tiles
from hwsim.kernels.inference.instructions import TILES, Emit, Kind
from hwsim.kernels.inference.microkernels import LANES
from hwsim.network.graph import Network
from hwsim.network.layer import FRACTION_BITS, Layer, Op, Rounding

Ints = NDArray[np.int64]


class GemmSteps:
    """Writes the steps of product layers, each the fastest that is proved to be exact."""

    def __init__(
        self, network: Network, builder: Builder, layouts: Layouts, proofs: OverflowBounds, instruction: str
    ) -> None:
        self.network, self.builder, self.layouts, self.proofs = network, builder, layouts, proofs
        self.endings = Epilogues(network, builder, proofs)
        self.instruction = instruction
        self.masks: list[tuple[str, int, tuple[int, ...]]] = []  # see Program

    def write(self, layer: Layer, add: Layer | None) -> None:
        """A convolution or linear layer, and perhaps the add that follows it."""
        on_map, binary = layer.op is Op.CONV, self.proofs.is_binary(layer)
        x = self.layouts.read(layer.inputs[0], on_map)
        if binary:
            x = self._pack(layer, x)
        if layer.region is not None:
            x = self._split(layer, x)
        other = self.layouts.read(next(n for n in add.inputs if n != layer.name), True) if add is not None else x
        y = self.layouts.target(add or layer, on_map)
        values, planes = self.proofs.values(layer), self.proofs.planes(layer)
        fields = self._geometry(layer, values) | {"x": x, "y": y, "other": other}
        if planes is None:
            self._write_exact(layer, values, fields)
            return
        assert layer.bias is not None
        if binary:
            bias = layer.bias + math.prod(values.shape[1:])  # see `tiles._Xnor`
        else:
            bias = layer.bias + self.builder.maps[x].low * values.reshape(len(values), -1).sum(axis=1)
        if self.proofs.is_depthwise(layer):
            fields |= self._depthwise_weights(values)
            self.builder.step(kind=Kind.DEPTHWISE, **fields, **self.endings.bytes(layer, None, bias, 1, 1))
            return
        tile = self._tile("xnor" if binary else self.instruction, len(values) // layer.geometry.groups)
        _, tile_groups, vectors = TILES[tile]
        fields |= {"tile": tile, "tile_groups": tile_groups, "vectors": vectors}
        fields |= self._tile_weights(layer, x, planes, vectors)
        if self.proofs.by_vectors(layer):
            fields |= self.endings.bytes(layer, add, bias, layer.geometry.groups, vectors)
        elif self.proofs.by_wide_vectors(layer):
            fields |= self.endings.wide(layer, planes, bias, vectors)
        elif layer.requantizer is None and not on_map and self.proofs.sums_are_int32(layer):
            fields |= {"emit": Emit.INTS, "bias32": self.endings.bias32(bias, layer.geometry.groups, vectors)}
        else:
            fields |= self.endings.codes(layer)
            fields |= {"bias": self.builder.words(bias), "table": self.builder.words(planes.sign)}
        self.builder.step(kind=Kind.PRODUCT, **fields)

    def _write_exact(self, layer: Layer, values: Ints, fields: Fields) -> None:
        """One product at a time: sums beyond int32, or that saturate on their way."""
        if layer.region is not None:
            raise NotCompiled(f"region layer {layer.name!r} needs wide sums")
        table = self.builder.words(values.transpose(0, 2, 3, 1))
        fields |= self.endings.codes(layer) | {"bias": self.builder.words(layer.bias), "table": table}
        self.builder.step(kind=Kind.EXACT, **fields)

    def _tile(self, instruction: str, filters: int) -> int:
        """The tile for so many filters: the widest one that is not half empty."""
        mine = [i for i, (name, _, _) in enumerate(TILES) if name == instruction]
        wasted = {i: -(-filters // (TILES[i][2] * LANES)) * TILES[i][2] for i in mine}
        return min(mine, key=lambda i: (wasted[i], -TILES[i][2]))

    def _geometry(self, layer: Layer, values: Ints) -> Fields:
        g = layer.geometry
        return {
            "kernel_h": g.kernel[0], "kernel_w": g.kernel[1], "stride_h": g.stride[0], "stride_w": g.stride[1],
            "pad_h": g.padding[0], "pad_w": g.padding[1], "dilation_h": g.dilation[0], "dilation_w": g.dilation[1],
            "groups": g.groups, "filters": len(values) // g.groups,
            "depth": values.shape[1] // (2 if layer.region else 1),
        }  # fmt: skip

    def _tile_weights(self, layer: Layer, x: int, planes: Planes, vectors: int) -> Fields:
        """Weights in the order of the segments: a kernel row where its codes lie side by side, else a tap."""
        g, m = layer.geometry, self.builder.maps[x]
        rows, columns = planes.values.shape[3:]
        values = pack_bits(planes.values[0])[None] if self.proofs.is_binary(layer) else planes.values
        halves = np.split(values, 2 if layer.region else 1, axis=2)  # those of the fine and of the coarse codes
        together = g.groups == 1 and g.dilation[1] == 1
        runs, segments = [], []
        for ky in range(rows):
            for kx in range(1 if together else columns):
                offset = ky * g.dilation[0] * m.row + kx * g.dilation[1] * m.channels
                for plane, half in enumerate(halves):
                    taps = half.transpose(0, 1, 3, 4, 2)[:, :, ky]  # [plane, filter, column, channel]
                    run = taps if together else taps[:, :, kx]
                    runs.append(run.reshape(*run.shape[:2], -1))
                    segments.append((offset, plane, -(-runs[-1].shape[2] // 4)))
        packed = pack_tiles(runs, g.groups, vectors)
        words = sum(count for _, _, count in segments)
        return {
            "segments": self.builder.words(segments), "segment_count": len(segments),
            "split": layer.region is not None, "weights": self.builder.weights(packed),
            "weight_bytes": words * 4 * LANES * vectors, "weight_planes": len(planes.values),
        }  # fmt: skip

    def _depthwise_weights(self, values: Ints) -> Fields:
        taps = values[:, 0].reshape(len(values), -1).T
        padded = np.pad(taps, ((0, 0), (0, -len(values) % LANES))).astype(np.int8)
        return {"weights": self.builder.weights(padded.reshape(-1)), "tile_groups": 1}

    def _pack(self, layer: Layer, x: int) -> int:
        """The bits of a map of -1 and +1."""
        m = self.builder.maps[x]
        y = self.builder.map(Map(m.height, m.width, -(-m.channels // 32) * 4, 0, 1, 1))
        self.builder.step(kind=Kind.PACK, x=x, y=y)
        return y

    def _split(self, layer: Layer, x: int) -> int:
        """Fine and coarse codes side by side for a layer with region precision."""
        region, source = layer.region, self.network.formats[layer.inputs[0]]
        assert region is not None
        channels, height, width = self.network.shapes[layer.inputs[0]]
        if self.builder.maps[x].planes != 1:
            raise NotCompiled(f"region layer {layer.name!r} reads codes of two bytes")
        y = self.builder.map(Map(height, width, channels, 0, 1, 2, reach(self.network, layer)))
        decided = -(-height // region.height), -(-width // region.width)
        first = sum(math.prod(shape) for _, _, shape in self.masks)
        self.masks.append((layer.name, first, (channels, *decided) if region.per_channel else decided))
        self.builder.step(
            kind=Kind.SPLIT, x=x, y=y, region_h=region.height, region_w=region.width,
            per_channel=region.per_channel, threshold=region.threshold, low_bits=region.low_bits,
            drop=source.bits - region.low_bits, rounding=list(Rounding).index(region.rounding), mask=first,
            fraction_bits=FRACTION_BITS,
        )  # fmt: skip
        return y
