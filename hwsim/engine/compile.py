"""From a network to a program: a layout for every value, and for every layer the fastest step that is proved exact."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.maps import MAX_PLANES, NO_BORDER, OUTPUT, Border, Map, storage
from hwsim.engine.program import Builder, Program
from hwsim.engine.weights import Planes, even_before_odd, pack_bits, pack_tiles, per_lane, split_planes
from hwsim.formats import Format
from hwsim.formats import Kind as CodeKind
from hwsim.kernels.tiles import LANES
from hwsim.kernels.words import TILES, Emit, Fit, Kind
from hwsim.network.bounds import layer_bound
from hwsim.network.graph import Network
from hwsim.network.layer import (
    FRACTION_BITS,
    INPUT,
    NORM_BITS,
    ROOT_BITS,
    Layer,
    Op,
    Overflow,
    Requantizer,
    Rounding,
    Shape,
    Thresholds,
)

Ints = NDArray[np.int64]
INT32_MAX = 2**31 - 1
BYTE_MAX = 255
DIGIT_BITS = 16
"""A residual add by vectors is done in two digits of so many bits."""

ON_MAPS = (Op.CONV, Op.MAX_POOL, Op.AVG_POOL, Op.GLOBAL_AVG_POOL)
"""Layers that read and write [channel, row, column]; the others see [..., feature]."""


class NotCompiled(Exception):
    """A network that the kernels do not have: it runs by the definition."""


def compile_network(network: Network, instruction: str) -> Program:
    """The program of a network; `instruction` is one of `kernels.tiles.KERNELS`. Raises NotCompiled."""
    return _Compiler(network, instruction).program()


class _Compiler:
    def __init__(self, network: Network, instruction: str) -> None:
        self.network, self.instruction = network, instruction
        self.builder = Builder()
        self.places: dict[tuple[str, bool], int] = {}  # (value, on a map?) -> index of its map
        self.on_map: dict[str, bool] = {}
        self.planes: dict[str, Planes | None] = {}
        self.masks: list[tuple[str, int, int, int]] = []
        self.outputs = math.prod(network.shapes[network.layers[-1].name])

    def program(self) -> Program:
        strides = self._place_input()
        fused = self._fused_adds()
        absorbed = {layer.name for layer in fused.values()}
        for layer in self.network.layers:
            if layer.name not in absorbed:
                self._layer(layer, fused.get(layer.name))
        words, ints, weights = self.builder.constants()
        return Program(
            self.builder.table(), self.builder.maps, words, ints, weights, strides,
            self.network.input.qmin, self.outputs, tuple(self.masks),
        )  # fmt: skip

    # Layouts.

    def _place_input(self) -> Ints:
        readers = [layer for layer in self.network.layers if INPUT in layer.inputs]
        on_map = any(layer.op in ON_MAPS for layer in readers)
        self._new_map(INPUT, on_map)
        shape = self.network.input_shape
        if on_map:
            _, rows, columns = shape
            return np.array([columns, 1, rows * columns], dtype=np.int64)
        return np.array([0, shape[-1], 1], dtype=np.int64)

    def _new_map(self, name: str, on_map: bool) -> int:
        """The map of a value, with the border that its readers need."""
        height, width, channels = _pixels(self.network.shapes[name], on_map)
        border = self._border(name) if on_map else NO_BORDER
        index = self._add_map(self.network.formats[name], height, width, channels, border)
        self.places[name, on_map] = index
        self.on_map.setdefault(name, on_map)
        return index

    def _add_map(self, format: Format, height: int, width: int, channels: int, border: Border = NO_BORDER) -> int:
        low, unit, planes = storage(format)
        if planes > MAX_PLANES:
            raise NotCompiled(f"{format} takes {planes} bytes")
        return self.builder.map(Map(height, width, channels, low, unit, planes, border))

    def _border(self, name: str) -> Border:
        border = Border()
        for layer in self.network.layers:
            if layer.op is Op.CONV and layer.inputs[0] == name and layer.region is None:
                border = border.union(self._reach(layer))
        return border

    def _reach(self, layer: Layer) -> Border:
        """How far the windows of a convolution reach beyond its input."""
        g, (_, height, width) = layer.geometry, self.network.shapes[layer.inputs[0]]
        _, rows, columns = self.network.shapes[layer.name]
        bottom = (rows - 1) * g.stride[0] - g.padding[0] + g.dilation[0] * (g.kernel[0] - 1) - (height - 1)
        right = (columns - 1) * g.stride[1] - g.padding[1] + g.dilation[1] * (g.kernel[1] - 1) - (width - 1)
        return Border(g.padding[0], max(bottom, 0), g.padding[1], max(right, 0))

    def _read(self, name: str, on_map: bool) -> int:
        """The map of a value in the wanted layout; a change of layout is a step of its own."""
        if (name, on_map) in self.places:
            return self.places[name, on_map]
        source = self.places[name, not on_map]
        order = np.arange(math.prod(self.network.shapes[name])).reshape(self.network.shapes[name])
        return self._gather(name, source, self.on_map[name], order, name, on_map)

    def _gather(
        self, name: str, source: int, source_on_map: bool, order: Ints, target: str, target_on_map: bool
    ) -> int:
        """Write `target`, whose element e is element `order[e]` of the value `name`, into a new map."""
        x = self.builder.maps[source]
        height, width, channels = _pixels(self.network.shapes[name], source_on_map)
        rows, columns, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
        at = rows * x.row + columns * x.channels + c
        at = at.transpose(2, 0, 1) if source_on_map else at
        picked = at.reshape(-1)[order]
        if target_on_map:
            picked = picked.transpose(1, 2, 0)
        y = self._new_map(target, target_on_map)
        self.builder.step(kind=Kind.GATHER, x=source, y=y, table=self.builder.words(picked))
        return y

    # Layers.

    def _layer(self, layer: Layer, absorbed: Layer | None) -> None:
        """One layer; an add may have absorbed the convolution that feeds it."""
        if absorbed is not None:
            self._product(absorbed, layer)
            return
        match layer.op:
            case Op.CONV | Op.LINEAR:
                self._product(layer, None)
            case Op.MATMUL:
                self._matmul(layer)
            case Op.MAX_POOL | Op.AVG_POOL | Op.GLOBAL_AVG_POOL:
                self._pool(layer)
            case Op.ADD:
                self._add(layer)
            case Op.CONCAT:
                self._concat(layer)
            case Op.SOFTMAX:
                self._softmax(layer)
            case Op.LAYER_NORM:
                self._layer_norm(layer)
            case Op.FLATTEN | Op.RESHAPE | Op.TRANSPOSE:
                self._move(layer)

    def _fused_adds(self) -> dict[str, Layer]:
        """Residual adds by name, with the product layer whose last vectors they can share."""
        found: dict[str, Layer] = {}
        layers = self.network.layers
        for position, layer in enumerate(layers):
            if layer.op is not Op.ADD or not self._vector_add(layer):
                continue
            for source in reversed([other for other in layers[:position] if other.name in layer.inputs]):
                reads = sum(other.inputs.count(source.name) for other in layers)
                if reads == 1 and self._may_be_absorbed(source):
                    found[layer.name] = source
                    break
        return found

    def _may_be_absorbed(self, layer: Layer) -> bool:
        return layer.op is Op.CONV and self._by_vectors(layer) and not self._is_depthwise(layer)

    def _vector_add(self, layer: Layer) -> bool:
        """Can a residual add be done in two digits of 16 bits, each within int32?"""
        r = layer.requantizer
        formats = [self.network.formats[name] for name in (*layer.inputs, layer.name)]
        if not (isinstance(r, Requantizer) and r.rounding is Rounding.HALF_UP and all(map(_is_byte, formats))):
            return False
        shift = int(r.shift.ravel()[0])
        largest = BYTE_MAX * (int(r.multiplier.sum()) >> DIGIT_BITS) + abs(self._add_constant(layer) >> DIGIT_BITS)
        return DIGIT_BITS <= shift < DIGIT_BITS + 32 and largest + BYTE_MAX * 2 + 1 <= INT32_MAX

    def _by_vectors(self, layer: Layer) -> bool:
        """Can the sums of a product layer leave by vectors of bytes: int32 sums, half up or one threshold?"""
        r = layer.requantizer
        if isinstance(r, Thresholds):
            return self._by_one_threshold(layer, r)
        if not (isinstance(r, Requantizer) and r.rounding is Rounding.HALF_UP and _is_byte(layer.output)):
            return False
        if np.any(r.multiplier > (np.int64(1) << r.shift)):
            return False  # 32 bits might not hold what is left after the shift
        return self._sums_are_int32(layer)

    def _by_one_threshold(self, layer: Layer, r: Thresholds) -> bool:
        """Can sum - level, times two where neighbouring codes are two apart, be clipped in int32?"""
        largest = layer_bound(layer, self.network.formats, self.network.shapes) + np.abs(r.levels).max()
        one_byte = storage(layer.output)[2] == 1 and r.levels.shape[1] == 1
        return one_byte and bool((largest <= INT32_MAX // 2).all()) and self._sums_are_int32(layer)

    def _sums_are_int32(self, layer: Layer) -> bool:
        """Are a layer's sums, in one plane, those of a tile as they are?"""
        planes = self._planes(layer)
        one = planes is not None and len(planes.values) * storage(self._source(layer))[2] == 1
        policy, bits = self._fit(layer)
        return one and ((policy is Fit.NOTHING and self._fits_int32(layer)) or (policy, bits) == (Fit.WRAP, 32))

    def _by_wide_vectors(self, layer: Layer) -> bool:
        """Can the sums of a product layer, which several planes make, leave by vectors of 64 bits?"""
        r, planes = layer.requantizer, self._planes(layer)
        several = planes is not None and len(planes.values) * storage(self._source(layer))[2] > 1
        half_up = isinstance(r, Requantizer) and r.rounding is Rounding.HALF_UP and storage(layer.output)[1] == 1
        return several and half_up

    def _planes(self, layer: Layer) -> Planes | None:
        """The weights of a product layer for register tiles; None where int32 sums are not proved to be right."""
        if layer.name not in self.planes:
            planes = split_planes(self._values(layer))
            self.planes[layer.name] = planes if planes is not None and self._tiles_are_exact(layer, planes) else None
        return self.planes[layer.name]

    def _tiles_are_exact(self, layer: Layer, planes: Planes) -> bool:
        """Is every int32 sum of a tile the exact one, or the right one modulo 2^32?"""
        if self._fit(layer)[0] is Fit.SATURATE_STEP:
            return False
        if len(planes.values) * storage(self._source(layer))[2] == 1:
            wraps = layer.accumulator.overflow is Overflow.WRAP and layer.accumulator.bits <= 32
            return wraps or self._fits_int32(layer)
        largest = np.abs(planes.values).reshape(*planes.values.shape[:2], -1).sum(axis=2) * BYTE_MAX
        return bool((largest <= INT32_MAX).all())

    def _fits_int32(self, layer: Layer) -> bool:
        """Is it proved that the exact sums of a layer are int32?"""
        return bool((layer_bound(layer, self.network.formats, self.network.shapes) <= INT32_MAX).all())

    def _source(self, layer: Layer) -> Format:
        return self.network.formats[layer.inputs[0]]

    def _fit(self, layer: Layer) -> tuple[Fit, int]:
        """What has to be done with a layer's exact sums, proved by the bound of its weights."""
        accumulator = layer.accumulator
        bound = layer_bound(layer, self.network.formats, self.network.shapes)
        if (bound <= accumulator.high).all():
            return Fit.NOTHING, 0
        policy = {
            Overflow.WRAP: Fit.WRAP,
            Overflow.SATURATE_END: Fit.SATURATE,
            Overflow.SATURATE_STEP: Fit.SATURATE_STEP,
        }[accumulator.overflow]
        return policy, accumulator.bits

    def _values(self, layer: Layer) -> Ints:
        """The integers that meet the activations, int64 [filter, channel of group, row, column]."""
        assert layer.weight is not None
        values = layer.weight.values()
        if layer.region is not None:
            shift = layer.weight.format.bits - layer.region.low_bits
            values = np.concatenate([values, layer.region.low_weight.astype(np.int64) << shift], axis=1)
        return values.reshape(*values.shape, 1, 1) if values.ndim == 2 else values

    def _product(self, layer: Layer, add: Layer | None) -> None:
        """A convolution or linear layer, and perhaps the add that follows it."""
        on_map = layer.op is Op.CONV
        x = self._read(layer.inputs[0], on_map)
        if self._is_binary(layer):
            x = self._pack(layer, x)
        if layer.region is not None:
            x = self._split(layer, x)
        other = self._read(next(n for n in add.inputs if n != layer.name), True) if add is not None else x
        y = self._target(add or layer, on_map)
        values, planes = self._values(layer), self._planes(layer)
        fields = self._geometry(layer, values) | {"x": x, "y": y, "other": other}
        if planes is None:
            self._product_by_steps(layer, values, fields)
            return
        assert layer.bias is not None
        low = 0 if self._is_binary(layer) else self.builder.maps[x].low
        bias = layer.bias + low * values.reshape(len(values), -1).sum(axis=1)
        if self._is_binary(layer):  # see `tiles._Xnor`
            bias = bias + math.prod(values.shape[1:])
        if self._is_depthwise(layer):
            fields |= self._depthwise_weights(values)
            self.builder.step(kind=Kind.DEPTHWISE, **fields, **self._bytes(layer, None, bias, 1, 1))
            return
        tile = self._tile("xnor" if self._is_binary(layer) else self.instruction, len(values) // layer.geometry.groups)
        _, tile_groups, vectors = TILES[tile]
        fields |= {"tile": tile, "tile_groups": tile_groups, "vectors": vectors}
        fields |= self._tile_weights(layer, x, planes, vectors)
        if self._by_vectors(layer):
            fields |= self._bytes(layer, add, bias, layer.geometry.groups, vectors)
        elif self._by_wide_vectors(layer):
            fields |= self._wide(layer, planes, bias, vectors)
        elif layer.requantizer is None and not on_map and self._sums_are_int32(layer):
            fields |= {"emit": Emit.INTS, "bias32": self._bias32(bias, layer.geometry.groups, vectors)}
        else:
            fields |= self._codes(layer)
            fields |= {"bias": self.builder.words(bias), "table": self.builder.words(planes.sign)}
        self.builder.step(kind=Kind.PRODUCT, **fields)

    def _product_by_steps(self, layer: Layer, values: Ints, fields: dict[str, int]) -> None:
        """One product at a time: sums beyond int32, or that saturate on their way."""
        if layer.region is not None:
            raise NotCompiled(f"region layer {layer.name!r} needs wide sums")
        table = self.builder.words(values.transpose(0, 2, 3, 1))
        fields |= self._codes(layer) | {"bias": self.builder.words(layer.bias), "table": table}
        self.builder.step(kind=Kind.EXACT, **fields)

    def _tile(self, instruction: str, filters: int) -> int:
        """The tile for so many filters: the widest one that is not half empty."""
        mine = [i for i, (name, _, _) in enumerate(TILES) if name == instruction]
        wasted = {i: -(-filters // (TILES[i][2] * LANES)) * TILES[i][2] for i in mine}
        return min(mine, key=lambda i: (wasted[i], -TILES[i][2]))

    def _geometry(self, layer: Layer, values: Ints) -> dict[str, int]:
        g = layer.geometry
        return {
            "kernel_h": g.kernel[0], "kernel_w": g.kernel[1], "stride_h": g.stride[0], "stride_w": g.stride[1],
            "pad_h": g.padding[0], "pad_w": g.padding[1], "dilation_h": g.dilation[0], "dilation_w": g.dilation[1],
            "groups": g.groups, "filters": len(values) // g.groups,
            "depth": values.shape[1] // (2 if layer.region else 1),
        }  # fmt: skip

    def _tile_weights(self, layer: Layer, x: int, planes: Planes, vectors: int) -> dict[str, int]:
        """Weights in the order of the segments: a kernel row where its codes lie side by side, else a tap."""
        g, m = layer.geometry, self.builder.maps[x]
        rows, columns = planes.values.shape[3:]
        values = pack_bits(planes.values[0])[None] if self._is_binary(layer) else planes.values
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

    def _is_binary(self, layer: Layer) -> bool:
        """Both operands -1 or +1, and no padding, whose zero is neither: such products are counted as bits."""
        assert layer.weight is not None
        kinds = {self._source(layer).kind, layer.weight.format.kind}
        on_map = layer.op is Op.CONV
        plain = layer.geometry.groups == 1 and not (on_map and self._reach(layer) != NO_BORDER)
        return kinds == {CodeKind.BINARY} and plain and self._planes(layer) is not None

    def _pack(self, layer: Layer, x: int) -> int:
        """The bits of a map of -1 and +1."""
        m = self.builder.maps[x]
        y = self.builder.map(Map(m.height, m.width, -(-m.channels // 32) * 4, 0, 1, 1))
        self.builder.step(kind=Kind.PACK, x=x, y=y)
        return y

    def _is_depthwise(self, layer: Layer) -> bool:
        """One filter per channel: such layers have too little to sum for a register tile."""
        filters, depth = self._values(layer).shape[:2]
        return filters == layer.geometry.groups > 1 == depth and self._by_vectors(layer)

    def _depthwise_weights(self, values: Ints) -> dict[str, int]:
        taps = values[:, 0].reshape(len(values), -1).T
        padded = np.pad(taps, ((0, 0), (0, -len(values) % LANES))).astype(np.int8)
        return {"weights": self.builder.weights(padded.reshape(-1)), "tile_groups": 1}

    def _target(self, layer: Layer, on_map: bool) -> int:
        """The map that a layer writes; for the last layer a view of the [sample, output] array."""
        if layer is not self.network.layers[-1]:
            return self._new_map(layer.name, on_map)
        return self.builder.map(_logits_map(self.network.shapes[layer.name], on_map))

    # How sums leave.

    def _bytes(self, layer: Layer, add: Layer | None, bias: Ints, groups: int, vectors: int) -> dict[str, int]:
        b, r = self.builder, layer.requantizer
        if isinstance(r, Thresholds):
            bias = bias - r.levels[:, 0]
            r, scalars = _clip_at_zero(layer.output, r)
        else:
            assert isinstance(r, Requantizer)
            scalars = [*_byte_clip(layer.output, r)]
        filters = len(bias)
        shift = np.broadcast_to(r.shift.ravel(), filters)
        if add is not None:
            s, first = add.requantizer, add.inputs.index(layer.name)
            assert isinstance(s, Requantizer)
            mine, its = s.multiplier.ravel()[[first, 1 - first]].tolist()
            rest = int(s.shift.ravel()[0]) - DIGIT_BITS
            scalars += [mine, its, self._add_constant(add), rest, *_byte_clip(add.output, s)]
        half = (np.int64(1) << shift) >> 1
        lanes = groups, vectors
        return {
            "emit": Emit.BYTES if add is None else Emit.BYTES_ADD,
            "bias32": self._bias32(bias, *lanes),
            "multiplier32": b.ints(per_lane(np.broadcast_to(r.multiplier.ravel(), filters), *lanes, np.int32)),
            "half": b.words(even_before_odd(per_lane(half, *lanes, np.int64))),
            "shift": b.words(even_before_odd(per_lane(shift, *lanes, np.int64))),
            "scalars": b.words(scalars),
        }  # fmt: skip

    def _bias32(self, bias: Ints, groups: int, vectors: int) -> int:
        """A bias modulo 2^32, as tiles add it."""
        wrapped = ((bias + 2**31) & (2**32 - 1)) - 2**31
        return self.builder.ints(per_lane(wrapped, groups, vectors, np.int32))

    def _wide(self, layer: Layer, planes: Planes, bias: Ints, vectors: int) -> dict[str, int]:
        r, b = layer.requantizer, self.builder
        assert isinstance(r, Requantizer)
        multiplier, shift = (np.broadcast_to(v.ravel(), len(bias)) for v in (r.multiplier, r.shift))
        half = (np.int64(1) << shift) >> 1
        columns = {"table": planes.sign, "bias": bias, "multiplier": multiplier, "half": half, "shift": shift}
        groups = layer.geometry.groups
        lanes = {name: b.words(per_lane(v, groups, vectors, np.int64)) for name, v in columns.items()}
        policy, bits = self._fit(layer)
        spare = 64 - bits if policy is Fit.WRAP else 0
        high = layer.accumulator.high if policy is Fit.SATURATE else 2**62
        return lanes | {"emit": Emit.WIDE, "scalars": b.words([*_byte_clip(layer.output, r), spare, -high - 1, high])}

    def _add_constant(self, add: Layer) -> int:
        """What a residual add of stored codes adds to its two products: the codes' lowest values, and one half."""
        s = add.requantizer
        assert isinstance(s, Requantizer)
        lows = [self.network.formats[name].values[0] for name in add.inputs]
        products = sum(low * int(m) for low, m in zip(lows, s.multiplier.ravel(), strict=True))
        return products + (1 << int(s.shift.ravel()[0]) >> 1)

    def _codes(self, layer: Layer) -> dict[str, int]:
        """Everything that turns one exact sum into one code or logit."""
        policy, bits = self._fit(layer)
        fields: dict[str, int] = {"fit": policy, "fit_bits": bits, "emit": Emit.CODES}
        r, output, b = layer.requantizer, layer.output, self.builder
        if r is None:
            return fields | {"emit": Emit.LOGITS}
        shape = self.network.shapes[layer.name]
        channels = shape[0] if layer.channel_axis == 1 else shape[-1]
        fields |= {"zero": output.zero_point, "first_code": output.qmin}
        if isinstance(r, Thresholds):
            levels = np.broadcast_to(r.levels, (channels, r.levels.shape[1]))
            return fields | {
                "levels": b.words(levels.T), "level_count": levels.shape[1], "channels": channels, "code_low": r.low,
            }  # fmt: skip
        fields |= {"code_low": r.low, "code_high": r.high, "rounding": list(Rounding).index(r.rounding)}
        multiplier = np.broadcast_to(r.multiplier.ravel(), channels)
        return fields | {
            "multiplier": b.words(multiplier),
            "multiplier32": b.ints(multiplier),
            "shift": b.words(np.broadcast_to(r.shift.ravel(), channels)),
        }

    def _scaled(self, layer: Layer, index: int | None = None) -> dict[str, int]:
        """What an add, or one operand of a concatenation, does with its values."""
        r = layer.requantizer
        assert isinstance(r, Requantizer)
        pick = slice(None) if index is None else slice(index, index + 1)
        return self._clip(layer, r.low, r.high) | {
            "rounding": list(Rounding).index(r.rounding),
            "multiplier": self.builder.words(r.multiplier.ravel()[pick]),
            "shift": self.builder.words(r.shift.ravel()[pick]),
        }

    def _clip(self, layer: Layer, low: int, high: int) -> dict[str, int]:
        output = layer.output
        return {"zero": output.zero_point, "code_low": low, "code_high": high, "first_code": output.qmin}

    # The other layers.

    def _split(self, layer: Layer, x: int) -> int:
        """Fine and coarse codes side by side for a layer with region precision."""
        region, source = layer.region, self.network.formats[layer.inputs[0]]
        assert region is not None
        channels, height, width = self.network.shapes[layer.inputs[0]]
        if self.builder.maps[x].planes != 1:
            raise NotCompiled(f"region layer {layer.name!r} reads codes of two bytes")
        y = self.builder.map(Map(height, width, channels, 0, 1, 2, self._reach(layer)))
        rows, columns = -(-height // region.height), -(-width // region.width)
        first = sum(r * c for _, _, r, c in self.masks)
        self.masks.append((layer.name, first, rows, columns))
        self.builder.step(
            kind=Kind.SPLIT, x=x, y=y, region_h=region.height,
            region_w=region.width, threshold=region.threshold, low_bits=region.low_bits,
            drop=source.bits - region.low_bits, rounding=list(Rounding).index(region.rounding), mask=first,
            fraction_bits=FRACTION_BITS,
        )  # fmt: skip
        return y

    def _matmul(self, layer: Layer) -> None:
        a, b = (self._read(name, False) for name in layer.inputs)
        (*_, m, k), n = self.network.shapes[layer.inputs[0]], self.network.shapes[layer.inputs[1]][-1]
        fields = self._codes(layer) | {"table_size": m, "depth": k, "filters": n}
        self.builder.step(kind=Kind.MATMUL, x=a, other=b, y=self._new_map(layer.name, False), **fields)

    def _pool(self, layer: Layer) -> None:
        x, g = self._read(layer.inputs[0], True), layer.geometry
        _, height, width = self.network.shapes[layer.inputs[0]]
        kernel, stride, pad, dilation = g.kernel, g.stride, g.padding, g.dilation
        if layer.op is Op.GLOBAL_AVG_POOL:
            kernel, stride, pad, dilation = (height, width), (1, 1), (0, 0), (1, 1)
        fields = {} if layer.op is Op.MAX_POOL else self._codes(layer)
        self.builder.step(
            kind=Kind.MAX_POOL if layer.op is Op.MAX_POOL else Kind.SUM_POOL, x=x, y=self._new_map(layer.name, True),
            kernel_h=kernel[0], kernel_w=kernel[1], stride_h=stride[0], stride_w=stride[1], pad_h=pad[0],
            pad_w=pad[1], dilation_h=dilation[0], dilation_w=dilation[1], **fields,
        )  # fmt: skip

    def _add(self, layer: Layer) -> None:
        on_map = self.on_map[layer.inputs[0]]
        x, other = (self._read(name, on_map) for name in layer.inputs)
        y = self._new_map(layer.name, on_map)
        self.builder.step(kind=Kind.ADD, x=x, other=other, y=y, **self._scaled(layer))

    def _concat(self, layer: Layer) -> None:
        """Operands side by side: in the channels of a map or a vector, else in its pixels."""
        shapes = [self.network.shapes[name] for name in layer.inputs]
        on_map = len(shapes[0]) == 3 and self.on_map[layer.inputs[0]]
        y = self._new_map(layer.name, on_map)
        whole, at = self.builder.maps[y], 0
        low, unit, planes = storage(layer.output)
        for index, (name, shape) in enumerate(zip(layer.inputs, shapes, strict=True)):
            x = self._read(name, on_map)
            height, width, channels = _pixels(shape, on_map)
            border = whole.border if on_map else NO_BORDER
            part = self.builder.map(Map(height, width, channels, low, unit, planes, border, (y, at)))
            self.builder.step(kind=Kind.RESCALE, x=x, y=part, **self._scaled(layer, index))
            at += channels if on_map or len(shape) == 1 else width * channels

    def _softmax(self, layer: Layer) -> None:
        rule = layer.softmax
        assert rule is not None
        fields = self._clip(layer, layer.output.qmin, layer.output.qmax)
        self.builder.step(
            kind=Kind.SOFTMAX, x=self._read(layer.inputs[0], False), y=self._new_map(layer.name, False),
            table=self.builder.words(rule.table), table_size=len(rule.table), one=rule.one, **fields,
        )  # fmt: skip

    def _layer_norm(self, layer: Layer) -> None:
        assert layer.weight is not None
        self.builder.step(
            kind=Kind.LAYER_NORM, x=self._read(layer.inputs[0], False), y=self._new_map(layer.name, False),
            table=self.builder.words(layer.weight.values()), bias=self.builder.words(layer.bias),
            norm_bits=NORM_BITS, root_bits=ROOT_BITS, **self._codes(layer),
        )  # fmt: skip

    def _move(self, layer: Layer) -> None:
        """Flatten, reshape, transpose: another order of the same codes."""
        name = layer.inputs[0]
        shape = self.network.shapes[name]
        order = np.arange(math.prod(shape)).reshape(shape)
        if layer.op is Op.TRANSPOSE:
            order = order.transpose(layer.axes)
        order = order.reshape(self.network.shapes[layer.name])
        self._gather(name, self.places[name, self.on_map[name]], self.on_map[name], order, layer.name, False)


def _pixels(shape: Shape, on_map: bool) -> tuple[int, int, int]:
    """Rows, columns and channels of a value: of a map [channel, row, column], else one row of feature vectors."""
    if on_map:
        return shape[1], shape[2], shape[0]
    return 1, math.prod(shape[:-1]), shape[-1]


def _logits_map(shape: Shape, on_map: bool) -> Map:
    """A stand-in for the output array: its strides are filled in by `lay_out`, as it lies in no arena."""
    height, width, channels = _pixels(shape, on_map)
    return Map(height, width, channels, low=0, unit=1, planes=1, parent=(OUTPUT, height * width if on_map else 1))


def _is_byte(format: Format) -> bool:
    """One byte per code, whose neighbour is one further."""
    _, unit, planes = storage(format)
    return unit == 1 and planes == 1


def _byte_clip(output: Format, r: Requantizer) -> tuple[int, int, int]:
    """Zero point and clip bounds in stored codes, the bounds before the zero point is added."""
    zero = output.zero_point - output.qmin
    return zero, r.low - output.qmin - zero, r.high - output.qmin - zero


def _clip_at_zero(output: Format, r: Thresholds) -> tuple[Requantizer, list[int]]:
    """One threshold as the requantizer of a byte tile, for sums less their level: clipped to -1 and 0, then raised."""
    unit = storage(output)[1]
    one = Requantizer(np.full(1, unit), np.zeros(1, np.int64), 0, 0)
    return one, [unit * (r.low - output.qmin + 1), -unit, 0]
