"""Steps of convolutions and linear layers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.engine.epilogues import Epilogues, Fields
from hwsim.engine.layouts import Layouts, NotCompiled, window_border
from hwsim.engine.maps import Map
from hwsim.engine.overflow_bounds import OverflowBounds
from hwsim.engine.program import Builder
from hwsim.engine.weights import Planes, pack_bits, pack_blocks
from hwsim.kernels.inference.instructions import BLOCKS, Epilogue, StepKind
from hwsim.kernels.inference.microkernels import LANES
from hwsim.network.graph import Network
from hwsim.network.layer import FRACTION_BITS, Layer, Op, Rounding

Ints = NDArray[np.int64]


class GemmSteps:
    """Writer of the steps of convolutions and linear layers: for each the fastest step that is proved to be exact."""

    def __init__(
        self, network: Network, builder: Builder, layouts: Layouts, bounds: OverflowBounds, instruction: str
    ) -> None:
        self.network, self.builder, self.layouts, self.bounds = network, builder, layouts, bounds
        self.epilogues = Epilogues(network, builder, bounds)
        self.instruction = instruction
        self.masks: list[tuple[str, int, tuple[int, ...]]] = []  # see Program.masks

    def write(self, layer: Layer, add: Layer | None) -> None:
        """Write a convolution or linear layer, fused with the residual add `add` where given."""
        on_map, binary = layer.op is Op.CONV, self.bounds.is_binary(layer)
        x = self.layouts.map_of(layer.inputs[0], on_map)
        if binary:
            x = self._pack(layer, x)
        if layer.region is not None:
            x = self._split(layer, x)
        other = self.layouts.map_of(next(n for n in add.inputs if n != layer.name), True) if add is not None else x
        y = self.layouts.output_map(add or layer, on_map)
        values, planes = self.bounds.weights(layer), self.bounds.planes(layer)
        fields = self._geometry(layer, values) | {"x": x, "y": y, "other": other}
        if planes is None:
            self._write_int64(layer, values, fields)
            return
        assert layer.bias is not None
        if binary:
            bias = layer.bias + math.prod(values.shape[1:])  # see `microkernels._Xnor`
        else:
            bias = layer.bias + self.builder.maps[x].low * values.reshape(len(values), -1).sum(axis=1)
        if self.bounds.is_depthwise(layer):
            fields |= self._depthwise_weights(values)
            self.builder.step(kind=StepKind.DEPTHWISE, **fields, **self.epilogues.byte(layer, None, bias, 1, 1))
            return
        block = self._block("xnor" if binary else self.instruction, len(values) // layer.geometry.groups)
        _, block_groups, vectors = BLOCKS[block]
        fields |= {"block": block, "block_groups": block_groups, "vectors": vectors}
        fields |= self._block_weights(layer, x, planes, vectors)
        if self.bounds.byte_epilogue_fits(layer):
            fields |= self.epilogues.byte(layer, add, bias, layer.geometry.groups, vectors)
        elif self.bounds.wide_epilogue_fits(layer):
            fields |= self.epilogues.wide(layer, planes, bias, vectors)
        elif layer.requantizer is None and not on_map and self.bounds.sums_are_int32(layer):
            bias32 = self.epilogues.bias32(bias, layer.geometry.groups, vectors)
            fields |= {"epilogue": Epilogue.INT32, "bias32": bias32}
        else:
            fields |= self.epilogues.scalar(layer)
            fields |= {"bias": self.builder.longs(bias), "table": self.builder.longs(planes.sign)}
        self.builder.step(kind=StepKind.GEMM, **fields)

    def _write_int64(self, layer: Layer, values: Ints, fields: Fields) -> None:
        """Write a layer of scalar products: sums beyond int32, or sums that saturate at every step."""
        if layer.region is not None:
            raise NotCompiled(f"region layer {layer.name!r} needs wide sums")
        table = self.builder.longs(values.transpose(0, 2, 3, 1))
        fields |= self.epilogues.scalar(layer) | {"bias": self.builder.longs(layer.bias), "table": table}
        self.builder.step(kind=StepKind.GEMM_INT64, **fields)

    def _block(self, instruction: str, filters: int) -> int:
        """Return the index of the widest register block among those that need the fewest vectors for `filters`."""
        candidates = [i for i, (name, _, _) in enumerate(BLOCKS) if name == instruction]
        vectors = {i: ceil_div(filters, BLOCKS[i][2] * LANES) * BLOCKS[i][2] for i in candidates}
        return min(candidates, key=lambda i: (vectors[i], -BLOCKS[i][2]))

    def _geometry(self, layer: Layer, values: Ints) -> Fields:
        g = layer.geometry
        return {
            "kernel_h": g.kernel[0], "kernel_w": g.kernel[1], "stride_h": g.stride[0], "stride_w": g.stride[1],
            "pad_h": g.padding[0], "pad_w": g.padding[1], "dilation_h": g.dilation[0], "dilation_w": g.dilation[1],
            "groups": g.groups, "filters": len(values) // g.groups,
            "depth": values.shape[1] // (2 if layer.region else 1),
        }  # fmt: skip

    def _block_weights(self, layer: Layer, x: int, planes: Planes, vectors: int) -> Fields:
        """Pack weights in the order of the segments: one per contiguous kernel row, else one per tap."""
        g, m = layer.geometry, self.builder.maps[x]
        rows, columns = planes.values.shape[3:]
        values = pack_bits(planes.values[0])[None] if self.bounds.is_binary(layer) else planes.values
        halves = np.split(values, 2 if layer.region else 1, axis=2)  # weights of the fine and of the coarse codes
        together = g.groups == 1 and g.dilation[1] == 1
        runs, segments = [], []
        for ky in range(rows):
            for kx in range(1 if together else columns):
                offset = ky * g.dilation[0] * m.row + kx * g.dilation[1] * m.channels
                for plane, half in enumerate(halves):
                    taps = half.transpose(0, 1, 3, 4, 2)[:, :, ky]  # [plane, filter, column, channel]
                    run = taps if together else taps[:, :, kx]
                    runs.append(run.reshape(*run.shape[:2], -1))
                    segments.append((offset, plane, ceil_div(runs[-1].shape[2], 4)))
        packed = pack_blocks(runs, g.groups, vectors)
        words = sum(count for _, _, count in segments)
        return {
            "segments": self.builder.longs(segments), "segment_count": len(segments),
            "split": layer.region is not None, "weights": self.builder.weights(packed),
            "weight_bytes": words * 4 * LANES * vectors, "weight_planes": len(planes.values),
        }  # fmt: skip

    def _depthwise_weights(self, values: Ints) -> Fields:
        """Pack weights [channel, 1, row, column] as [tap, channel], the channels padded to whole vectors."""
        taps = values[:, 0].reshape(len(values), -1).T
        padded = np.pad(taps, ((0, 0), (0, -len(values) % LANES))).astype(np.int8)
        return {"weights": self.builder.weights(padded.reshape(-1)), "block_groups": 1}

    def _pack(self, layer: Layer, x: int) -> int:
        """Pack a map of -1 and +1 as bits, and return the new map."""
        m = self.builder.maps[x]
        y = self.builder.map(Map(m.height, m.width, ceil_div(m.channels, 32) * 4, 0, 1, 1))
        self.builder.step(kind=StepKind.PACK_BITS, x=x, y=y)
        return y

    def _split(self, layer: Layer, x: int) -> int:
        """Split the input of a layer with region precision into fine and coarse codes, and return the new map."""
        region, source = layer.region, self.network.formats[layer.inputs[0]]
        assert region is not None
        channels, height, width = self.network.shapes[layer.inputs[0]]
        if self.builder.maps[x].planes != 1:
            raise NotCompiled(f"region layer {layer.name!r} reads codes of two bytes")
        y = self.builder.map(Map(height, width, channels, 0, 1, 2, window_border(self.network, layer)))
        decided = ceil_div(height, region.height), ceil_div(width, region.width)
        first = sum(math.prod(shape) for _, _, shape in self.masks)
        self.masks.append((layer.name, first, (channels, *decided) if region.per_channel else decided))
        self.builder.step(
            kind=StepKind.SPLIT_REGIONS, x=x, y=y, region_h=region.height, region_w=region.width,
            per_channel=region.per_channel, threshold=region.threshold, low_bits=region.low_bits,
            drop=source.bits - region.low_bits, rounding=list(Rounding).index(region.rounding), mask=first,
            fraction_bits=FRACTION_BITS,
        )  # fmt: skip
        return y
