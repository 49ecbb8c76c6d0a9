"""Static overflow bounds of layers: which steps give the exact sums, and which epilogues are exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.layouts import window_border
from hwsim.engine.maps import NO_BORDER, storage
from hwsim.engine.weights import Planes, split_planes
from hwsim.formats import Format, Kind
from hwsim.kernels.inference.instructions import OverflowPolicy
from hwsim.network.accumulator_bounds import layer_bound
from hwsim.network.graph import Network
from hwsim.network.layer import Layer, Op, Overflow, Requantizer, Rounding, Thresholds

Ints = NDArray[np.int64]
INT32_MAX = 2**31 - 1
BYTE_MAX = 255
DIGIT_BITS = 16
"""Bits of each of the two digits in which a vector residual add is computed."""


class OverflowBounds:
    """Bounds of the layers of one network, derived from weights, formats and policies, never from data."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._planes: dict[str, Planes | None] = {}

    def source(self, layer: Layer) -> Format:
        """Return the format of a layer's first input."""
        return self.network.formats[layer.inputs[0]]

    def weights(self, layer: Layer) -> Ints:
        """Return the weights of a layer as integers, int64 [filter, channel of group, row, column].

        With region precision the low weights, shifted up, follow the full weights along the channels.
        """
        assert layer.weight is not None
        values = layer.weight.values()
        if layer.region is not None:
            shift = layer.weight.format.bits - layer.region.low_bits
            values = np.concatenate([values, layer.region.low_weight.astype(np.int64) << shift], axis=1)
        return values.reshape(*values.shape, 1, 1) if values.ndim == 2 else values

    def overflow_policy(self, layer: Layer) -> tuple[OverflowPolicy, int]:
        """Return the overflow to apply to a layer's exact sums, and the accumulator's bits (0 for no overflow)."""
        accumulator = layer.accumulator
        bound = layer_bound(layer, self.network.formats, self.network.shapes)
        if (bound <= accumulator.high).all():
            return OverflowPolicy.NONE, 0
        policy = {
            Overflow.WRAP: OverflowPolicy.WRAP,
            Overflow.SATURATE_END: OverflowPolicy.SATURATE,
            Overflow.SATURATE_STEP: OverflowPolicy.SATURATE_STEP,
        }[accumulator.overflow]
        return policy, accumulator.bits

    def _fits_int32(self, layer: Layer) -> bool:
        """Return whether the exact sums of a layer are proved to fit int32."""
        return bool((layer_bound(layer, self.network.formats, self.network.shapes) <= INT32_MAX).all())

    def planes(self, layer: Layer) -> Planes | None:
        """Return the weights of a layer for register blocks; None where their int32 sums are not proved to be right."""
        if layer.name not in self._planes:
            planes = split_planes(self.weights(layer))
            self._planes[layer.name] = planes if planes is not None and self._blocks_are_exact(layer, planes) else None
        return self._planes[layer.name]

    def _blocks_are_exact(self, layer: Layer, planes: Planes) -> bool:
        """Return whether every int32 sum of a register block is exact, or right modulo 2^32 where that suffices."""
        if self.overflow_policy(layer)[0] is OverflowPolicy.SATURATE_STEP:
            return False
        if len(planes.values) * storage(self.source(layer))[2] == 1:
            wraps = layer.accumulator.overflow is Overflow.WRAP and layer.accumulator.bits <= 32
            return wraps or self._fits_int32(layer)
        taps = np.abs(planes.values).reshape(*planes.values.shape[:2], -1)
        largest = taps.sum(axis=2, dtype=np.int64) * BYTE_MAX
        return bool((largest <= INT32_MAX).all())

    def sums_are_int32(self, layer: Layer) -> bool:
        """Return whether the int32 sums of register blocks, in one plane, equal the layer's accumulators."""
        planes = self.planes(layer)
        one = planes is not None and len(planes.values) * storage(self.source(layer))[2] == 1
        policy, bits = self.overflow_policy(layer)
        if (policy, bits) == (OverflowPolicy.WRAP, 32):
            return one
        return one and policy is OverflowPolicy.NONE and self._fits_int32(layer)

    def byte_epilogue_fits(self, layer: Layer) -> bool:
        """Return whether Epilogue.BYTES is exact for a layer: int32 sums, rounded half up or with one threshold."""
        r = layer.requantizer
        if isinstance(r, Thresholds):
            return self._one_threshold_fits(layer, r)
        if not (isinstance(r, Requantizer) and r.rounding is Rounding.HALF_UP and is_byte(layer.output)):
            return False
        if np.any(r.multiplier > (np.int64(1) << r.shift)):
            return False  # the shifted product might exceed 32 bits
        return self.sums_are_int32(layer)

    def _one_threshold_fits(self, layer: Layer, r: Thresholds) -> bool:
        """Return whether sum - level, times the unit of the output format, fits int32 before the clip."""
        level = np.abs(np.clip(r.levels, -INT32_MAX, INT32_MAX)).max()
        largest = layer_bound(layer, self.network.formats, self.network.shapes) + level
        one_byte = storage(layer.output)[2] == 1 and r.levels.shape[1] == 1
        return one_byte and bool((largest <= INT32_MAX // 2).all()) and self.sums_are_int32(layer)

    def wide_epilogue_fits(self, layer: Layer) -> bool:
        """Return whether Epilogue.WIDE is exact for a layer: several planes, rounded half up."""
        r, planes = layer.requantizer, self.planes(layer)
        several = planes is not None and len(planes.values) * storage(self.source(layer))[2] > 1
        half_up = isinstance(r, Requantizer) and r.rounding is Rounding.HALF_UP and storage(layer.output)[1] == 1
        return several and half_up

    def is_binary(self, layer: Layer) -> bool:
        """Return whether products can be counted as bits: both operands -1 or +1, no padding (zero is neither)."""
        assert layer.weight is not None
        kinds = {self.source(layer).kind, layer.weight.format.kind}
        on_map = layer.op is Op.CONV
        plain = layer.geometry.groups == 1 and not (on_map and window_border(self.network, layer) != NO_BORDER)
        return kinds == {Kind.BINARY} and plain and self.planes(layer) is not None

    def is_depthwise(self, layer: Layer) -> bool:
        """Return whether a layer has one filter per channel: its reduction is too short for a register block."""
        assert layer.weight is not None
        filters, depth = layer.weight.codes.shape[:2]
        return filters == layer.geometry.groups > 1 == depth and layer.region is None and self.byte_epilogue_fits(layer)

    def _vector_add_fits(self, layer: Layer) -> bool:
        """Return whether a residual add can be computed in two digits of 16 bits, each within int32."""
        r = layer.requantizer
        formats = [self.network.formats[name] for name in (*layer.inputs, layer.name)]
        if not (isinstance(r, Requantizer) and r.rounding is Rounding.HALF_UP and all(map(is_byte, formats))):
            return False
        shift = int(r.shift.ravel()[0])
        largest = BYTE_MAX * (int(r.multiplier.sum()) >> DIGIT_BITS) + abs(self.add_constant(layer) >> DIGIT_BITS)
        return DIGIT_BITS <= shift < DIGIT_BITS + 32 and largest + BYTE_MAX * 2 + 1 <= INT32_MAX

    def add_constant(self, add: Layer) -> int:
        """Return the constant of a residual add of stored codes: the scaled lowest values, and one half."""
        s = add.requantizer
        assert isinstance(s, Requantizer)
        lows = [self.network.formats[name].value_range[0] for name in add.inputs]
        products = sum(low * int(m) for low, m in zip(lows, s.multiplier.ravel(), strict=True))
        return products + (1 << int(s.shift.ravel()[0]) >> 1)

    def _can_be_fused(self, layer: Layer) -> bool:
        return layer.op is Op.CONV and self.byte_epilogue_fits(layer) and not self.is_depthwise(layer)

    def fused_adds(self, stored: frozenset[str]) -> dict[str, Layer]:
        """Return residual adds by name, with the convolution that each is fused with.

        The result of a fused convolution is never stored, so the layers named in `stored` are not fused.
        """
        found: dict[str, Layer] = {}
        layers = self.network.layers
        for position, layer in enumerate(layers):
            if layer.op is not Op.ADD or not self._vector_add_fits(layer):
                continue
            for source in reversed([other for other in layers[:position] if other.name in layer.inputs]):
                reads = sum(other.inputs.count(source.name) for other in layers)
                if reads == 1 and source.name not in stored and self._can_be_fused(source):
                    found[layer.name] = source
                    break
        return found


def is_byte(format: Format) -> bool:
    """Return whether a format has one byte per code and neighboring codes one apart."""
    _, unit, planes = storage(format)
    return unit == 1 and planes == 1
