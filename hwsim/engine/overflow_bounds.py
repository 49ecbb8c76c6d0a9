"""What is proved of each layer: which steps give its exact sums, and how these may leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.layouts import reach
from hwsim.engine.maps import NO_BORDER, storage
from hwsim.engine.weights import Planes, split_planes
from hwsim.formats import Format, Kind
from hwsim.kernels.inference.instructions import Fit
from hwsim.network.accumulator_bounds import layer_bound
from hwsim.network.graph import Network
from hwsim.network.layer import Layer, Op, Overflow, Requantizer, Rounding, Thresholds

Ints = NDArray[np.int64]
INT32_MAX = 2**31 - 1
BYTE_MAX = 255
DIGIT_BITS = 16
"""A residual add by vectors is done in two digits of so many bits."""


class OverflowBounds:
    """Answers for the layers of one network; each follows from its weights, formats and policies alone."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._planes: dict[str, Planes | None] = {}

    def source(self, layer: Layer) -> Format:
        """The format of a layer's (first) input."""
        return self.network.formats[layer.inputs[0]]

    def values(self, layer: Layer) -> Ints:
        """The integers that meet the activations, int64 [filter, channel of group, row, column].

        With region precision the low weights, shifted up, follow the full ones along the channels.
        """
        assert layer.weight is not None
        values = layer.weight.values()
        if layer.region is not None:
            shift = layer.weight.format.bits - layer.region.low_bits
            values = np.concatenate([values, layer.region.low_weight.astype(np.int64) << shift], axis=1)
        return values.reshape(*values.shape, 1, 1) if values.ndim == 2 else values

    def fit(self, layer: Layer) -> tuple[Fit, int]:
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

    def _fits_int32(self, layer: Layer) -> bool:
        """Is it proved that the exact sums of a layer are int32?"""
        return bool((layer_bound(layer, self.network.formats, self.network.shapes) <= INT32_MAX).all())

    def planes(self, layer: Layer) -> Planes | None:
        """The weights of a product layer for register tiles; None where int32 sums are not proved to be right."""
        if layer.name not in self._planes:
            planes = split_planes(self.values(layer))
            self._planes[layer.name] = planes if planes is not None and self._tiles_are_exact(layer, planes) else None
        return self._planes[layer.name]

    def _tiles_are_exact(self, layer: Layer, planes: Planes) -> bool:
        """Is every int32 sum of a tile the exact one, or the right one modulo 2^32?"""
        if self.fit(layer)[0] is Fit.SATURATE_STEP:
            return False
        if len(planes.values) * storage(self.source(layer))[2] == 1:
            wraps = layer.accumulator.overflow is Overflow.WRAP and layer.accumulator.bits <= 32
            return wraps or self._fits_int32(layer)
        taps = np.abs(planes.values).reshape(*planes.values.shape[:2], -1)
        largest = taps.sum(axis=2, dtype=np.int64) * BYTE_MAX
        return bool((largest <= INT32_MAX).all())

    def sums_are_int32(self, layer: Layer) -> bool:
        """Are a layer's sums, in one plane, those of a tile as they are?"""
        planes = self.planes(layer)
        one = planes is not None and len(planes.values) * storage(self.source(layer))[2] == 1
        policy, bits = self.fit(layer)
        return one and ((policy is Fit.NOTHING and self._fits_int32(layer)) or (policy, bits) == (Fit.WRAP, 32))

    def by_vectors(self, layer: Layer) -> bool:
        """Can the sums of a product layer leave by vectors of bytes: int32 sums, half up or one threshold?"""
        r = layer.requantizer
        if isinstance(r, Thresholds):
            return self._by_one_threshold(layer, r)
        if not (isinstance(r, Requantizer) and r.rounding is Rounding.HALF_UP and is_byte(layer.output)):
            return False
        if np.any(r.multiplier > (np.int64(1) << r.shift)):
            return False  # 32 bits might not hold what is left after the shift
        return self.sums_are_int32(layer)

    def _by_one_threshold(self, layer: Layer, r: Thresholds) -> bool:
        """Can sum - level, times two where neighbouring codes are two apart, be clipped in int32?"""
        level = np.abs(np.clip(r.levels, -INT32_MAX, INT32_MAX)).max()
        largest = layer_bound(layer, self.network.formats, self.network.shapes) + level
        one_byte = storage(layer.output)[2] == 1 and r.levels.shape[1] == 1
        return one_byte and bool((largest <= INT32_MAX // 2).all()) and self.sums_are_int32(layer)

    def by_wide_vectors(self, layer: Layer) -> bool:
        """Can the sums of a product layer, which several planes make, leave by vectors of 64 bits?"""
        r, planes = layer.requantizer, self.planes(layer)
        several = planes is not None and len(planes.values) * storage(self.source(layer))[2] > 1
        half_up = isinstance(r, Requantizer) and r.rounding is Rounding.HALF_UP and storage(layer.output)[1] == 1
        return several and half_up

    def is_binary(self, layer: Layer) -> bool:
        """Both operands -1 or +1, and no padding, whose zero is neither: such products are counted as bits."""
        assert layer.weight is not None
        kinds = {self.source(layer).kind, layer.weight.format.kind}
        on_map = layer.op is Op.CONV
        plain = layer.geometry.groups == 1 and not (on_map and reach(self.network, layer) != NO_BORDER)
        return kinds == {Kind.BINARY} and plain and self.planes(layer) is not None

    def is_depthwise(self, layer: Layer) -> bool:
        """One filter per channel: such layers have too little to sum for a register tile."""
        assert layer.weight is not None
        filters, depth = layer.weight.codes.shape[:2]
        return filters == layer.geometry.groups > 1 == depth and layer.region is None and self.by_vectors(layer)

    def _vector_add(self, layer: Layer) -> bool:
        """Can a residual add be done in two digits of 16 bits, each within int32?"""
        r = layer.requantizer
        formats = [self.network.formats[name] for name in (*layer.inputs, layer.name)]
        if not (isinstance(r, Requantizer) and r.rounding is Rounding.HALF_UP and all(map(is_byte, formats))):
            return False
        shift = int(r.shift.ravel()[0])
        largest = BYTE_MAX * (int(r.multiplier.sum()) >> DIGIT_BITS) + abs(self.add_constant(layer) >> DIGIT_BITS)
        return DIGIT_BITS <= shift < DIGIT_BITS + 32 and largest + BYTE_MAX * 2 + 1 <= INT32_MAX

    def add_constant(self, add: Layer) -> int:
        """What a residual add of stored codes adds to its two products: the codes' lowest values, and one half."""
        s = add.requantizer
        assert isinstance(s, Requantizer)
        lows = [self.network.formats[name].value_range[0] for name in add.inputs]
        products = sum(low * int(m) for low, m in zip(lows, s.multiplier.ravel(), strict=True))
        return products + (1 << int(s.shift.ravel()[0]) >> 1)

    def _may_be_absorbed(self, layer: Layer) -> bool:
        return layer.op is Op.CONV and self.by_vectors(layer) and not self.is_depthwise(layer)

    def fused_adds(self, written: frozenset[str]) -> dict[str, Layer]:
        """Residual adds by name, with the product layer whose last vectors they can share.

        The sums of such a layer never become a map: those in `written` have to.
        """
        found: dict[str, Layer] = {}
        layers = self.network.layers
        for position, layer in enumerate(layers):
            if layer.op is not Op.ADD or not self._vector_add(layer):
                continue
            for source in reversed([other for other in layers[:position] if other.name in layer.inputs]):
                reads = sum(other.inputs.count(source.name) for other in layers)
                if reads == 1 and source.name not in written and self._may_be_absorbed(source):
                    found[layer.name] = source
                    break
        return found


def is_byte(format: Format) -> bool:
    """One byte per code, whose neighbour is one further."""
    _, unit, planes = storage(format)
    return unit == 1 and planes == 1
