"""How sums leave a step: the constants of requantizers, in the order in which kernels read them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.maps import storage
from hwsim.engine.overflow_bounds import DIGIT_BITS, OverflowBounds
from hwsim.engine.program import Builder
from hwsim.engine.weights import Planes, even_before_odd, per_lane
from hwsim.formats import Format
from hwsim.kernels.inference.instructions import Emit, Fit
from hwsim.network.graph import Network
from hwsim.network.layer import Layer, Requantizer, Rounding, Thresholds

Ints = NDArray[np.int64]
Fields = dict[str, int]


class Epilogues:
    """Fields of a step that say what becomes of its sums."""

    def __init__(self, network: Network, builder: Builder, proofs: OverflowBounds) -> None:
        self.network, self.builder, self.proofs = network, builder, proofs

    def bytes(self, layer: Layer, add: Layer | None, bias: Ints, groups: int, vectors: int) -> Fields:
        """By vectors of bytes, and perhaps through the add that follows; see `tiles.byte_tile`."""
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
            scalars += [mine, its, self.proofs.add_constant(add), rest, *_byte_clip(add.output, s)]
        half = (np.int64(1) << shift) >> 1
        lanes = groups, vectors
        return {
            "emit": Emit.BYTES if add is None else Emit.BYTES_ADD,
            "bias32": self.bias32(bias, *lanes),
            "multiplier32": b.ints(per_lane(np.broadcast_to(r.multiplier.ravel(), filters), *lanes, np.int32)),
            "half": b.words(even_before_odd(per_lane(half, *lanes, np.int64))),
            "shift": b.words(even_before_odd(per_lane(shift, *lanes, np.int64))),
            "scalars": b.words(scalars),
        }  # fmt: skip

    def wide(self, layer: Layer, planes: Planes, bias: Ints, vectors: int) -> Fields:
        """By vectors of 64 bits; see `tiles.emit_wide`."""
        r, b = layer.requantizer, self.builder
        assert isinstance(r, Requantizer)
        multiplier, shift = (np.broadcast_to(v.ravel(), len(bias)) for v in (r.multiplier, r.shift))
        half = (np.int64(1) << shift) >> 1
        columns = {"table": planes.sign, "bias": bias, "multiplier": multiplier, "half": half, "shift": shift}
        groups = layer.geometry.groups
        lanes = {name: b.words(per_lane(v, groups, vectors, np.int64)) for name, v in columns.items()}
        policy, bits = self.proofs.fit(layer)
        spare = 64 - bits if policy is Fit.WRAP else 0
        high = layer.accumulator.high if policy is Fit.SATURATE else 2**62
        return lanes | {"emit": Emit.WIDE, "scalars": b.words([*_byte_clip(layer.output, r), spare, -high - 1, high])}

    def bias32(self, bias: Ints, groups: int, vectors: int) -> int:
        """A bias modulo 2^32, as tiles add it."""
        wrapped = ((bias + 2**31) & (2**32 - 1)) - 2**31
        return self.builder.ints(per_lane(wrapped, groups, vectors, np.int32))

    def codes(self, layer: Layer) -> Fields:
        """Everything that turns one exact sum into one code or logit."""
        policy, bits = self.proofs.fit(layer)
        fields: Fields = {"fit": policy, "fit_bits": bits, "emit": Emit.CODES}
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

    def scaled(self, layer: Layer, index: int | None = None) -> Fields:
        """What an add, or one operand of a concatenation, does with its values."""
        r = layer.requantizer
        assert isinstance(r, Requantizer)
        pick = slice(None) if index is None else slice(index, index + 1)
        return self.clip(layer, r.low, r.high) | {
            "rounding": list(Rounding).index(r.rounding),
            "multiplier": self.builder.words(r.multiplier.ravel()[pick]),
            "shift": self.builder.words(r.shift.ravel()[pick]),
        }

    def clip(self, layer: Layer, low: int, high: int) -> Fields:
        """Zero point and clip bounds, as codes."""
        output = layer.output
        return {"zero": output.zero_point, "code_low": low, "code_high": high, "first_code": output.qmin}


def _byte_clip(output: Format, r: Requantizer) -> tuple[int, int, int]:
    """Zero point and clip bounds in stored codes, the bounds before the zero point is added."""
    zero = output.zero_point - output.qmin
    return zero, r.low - output.qmin - zero, r.high - output.qmin - zero


def _clip_at_zero(output: Format, r: Thresholds) -> tuple[Requantizer, list[int]]:
    """One threshold as the requantizer of a byte tile, for sums less their level: clipped to -1 and 0, then raised."""
    unit = storage(output)[1]
    one = Requantizer(np.full(1, unit), np.zeros(1, np.int64), 0, 0)
    return one, [unit * (r.low - output.qmin + 1), -unit, 0]
