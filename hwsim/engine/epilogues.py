"""Epilogues of steps: multiplier, shift, zero point and clip bounds, packed in the order that the kernels read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.maps import storage
from hwsim.engine.overflow_bounds import DIGIT_BITS, OverflowBounds
from hwsim.engine.program import Builder
from hwsim.engine.weights import Planes, even_before_odd, per_lane
from hwsim.formats import Format
from hwsim.kernels.inference.instructions import Epilogue, OverflowPolicy
from hwsim.network.graph import Network
from hwsim.network.layer import Layer, Requantizer, Rounding, Thresholds

Ints = NDArray[np.int64]
Fields = dict[str, int]


class Epilogues:
    """Epilogue fields of the steps of one network."""

    def __init__(self, network: Network, builder: Builder, bounds: OverflowBounds) -> None:
        self.network, self.builder, self.bounds = network, builder, bounds

    def byte(self, layer: Layer, add: Layer | None, bias: Ints, groups: int, vectors: int) -> Fields:
        """Return the fields of Epilogue.BYTES, or of Epilogue.BYTES_ADD for a layer fused with an add.

        `bias` int64 [filter]; `groups` and `vectors` as in `weights.per_lane`. The constants are those of
        `microkernels.Requantization`.
        """
        b, r = self.builder, layer.requantizer
        if isinstance(r, Thresholds):
            bias = bias - r.levels[:, 0]
            r, scalars = _threshold_as_clip(layer.output, r)
        else:
            assert isinstance(r, Requantizer)
            scalars = [*_byte_clip(layer.output, r)]
        filters = len(bias)
        shift = np.broadcast_to(r.shift.ravel(), filters)
        if add is not None:
            s, first = add.requantizer, add.inputs.index(layer.name)
            assert isinstance(s, Requantizer)
            multipliers = s.multiplier.ravel()[[first, 1 - first]].tolist()
            rest = int(s.shift.ravel()[0]) - DIGIT_BITS
            scalars += [*multipliers, self.bounds.add_constant(add), rest, *_byte_clip(add.output, s)]
        half = (np.int64(1) << shift) >> 1
        lanes = groups, vectors
        return {
            "epilogue": Epilogue.BYTES if add is None else Epilogue.BYTES_ADD,
            "bias32": self.bias32(bias, *lanes),
            "multiplier32": b.ints(per_lane(np.broadcast_to(r.multiplier.ravel(), filters), *lanes, np.int32)),
            "half": b.longs(even_before_odd(per_lane(half, *lanes, np.int64))),
            "shift": b.longs(even_before_odd(per_lane(shift, *lanes, np.int64))),
            "scalars": b.longs(scalars),
        }  # fmt: skip

    def wide(self, layer: Layer, planes: Planes, bias: Ints, vectors: int) -> Fields:
        """Return the fields of Epilogue.WIDE, for `microkernels.requantize_planes`; `bias` int64 [filter]."""
        r, b = layer.requantizer, self.builder
        assert isinstance(r, Requantizer)
        multiplier, shift = (np.broadcast_to(v.ravel(), len(bias)) for v in (r.multiplier, r.shift))
        half = (np.int64(1) << shift) >> 1
        columns = {"table": planes.sign, "bias": bias, "multiplier": multiplier, "half": half, "shift": shift}
        groups = layer.geometry.groups
        lanes = {name: b.longs(per_lane(v, groups, vectors, np.int64)) for name, v in columns.items()}
        policy, bits = self.bounds.overflow_policy(layer)
        spare = 64 - bits if policy is OverflowPolicy.WRAP else 0
        high = layer.accumulator.high if policy is OverflowPolicy.SATURATE else 2**62
        scalars = b.longs([*_byte_clip(layer.output, r), spare, -high - 1, high])
        return lanes | {"epilogue": Epilogue.WIDE, "scalars": scalars}

    def bias32(self, bias: Ints, groups: int, vectors: int) -> int:
        """Append a bias, int64 [filter], modulo 2^32 as the micro-kernels add it, and return its offset."""
        wrapped = ((bias + 2**31) & (2**32 - 1)) - 2**31
        return self.builder.ints(per_lane(wrapped, groups, vectors, np.int32))

    def scalar(self, layer: Layer) -> Fields:
        """Return the fields of Epilogue.CODES, or of Epilogue.LOGITS for a layer without a requantizer."""
        policy, bits = self.bounds.overflow_policy(layer)
        fields: Fields = {"overflow": policy, "accumulator_bits": bits, "epilogue": Epilogue.CODES}
        r, output, b = layer.requantizer, layer.output, self.builder
        if r is None:
            return fields | {"epilogue": Epilogue.LOGITS}
        shape = self.network.shapes[layer.name]
        channels = shape[0] if layer.channel_axis == 1 else shape[-1]
        fields |= {"zero": output.zero_point, "first_code": output.qmin}
        if isinstance(r, Thresholds):
            levels = np.broadcast_to(r.levels, (channels, r.levels.shape[1]))
            return fields | {
                "levels": b.longs(levels.T), "level_count": levels.shape[1], "channels": channels, "code_low": r.low,
            }  # fmt: skip
        fields |= {"code_low": r.low, "code_high": r.high, "rounding": list(Rounding).index(r.rounding)}
        multiplier = np.broadcast_to(r.multiplier.ravel(), channels)
        return fields | {
            "multiplier": b.longs(multiplier),
            "multiplier32": b.ints(multiplier),
            "shift": b.longs(np.broadcast_to(r.shift.ravel(), channels)),
        }

    def rescaling(self, layer: Layer, index: int | None = None) -> Fields:
        """Return the fields of an add, or of operand `index` of a concatenation."""
        r = layer.requantizer
        assert isinstance(r, Requantizer)
        pick = slice(None) if index is None else slice(index, index + 1)
        return self.clip(layer, r.low, r.high) | {
            "rounding": list(Rounding).index(r.rounding),
            "multiplier": self.builder.longs(r.multiplier.ravel()[pick]),
            "shift": self.builder.longs(r.shift.ravel()[pick]),
        }

    def clip(self, layer: Layer, low: int, high: int) -> Fields:
        """Return zero point and clip bounds, as codes."""
        output = layer.output
        return {"zero": output.zero_point, "code_low": low, "code_high": high, "first_code": output.qmin}


def _byte_clip(output: Format, r: Requantizer) -> tuple[int, int, int]:
    """Return zero point and clip bounds in stored codes, the bounds before the zero point is added."""
    zero = output.zero_point - output.qmin
    return zero, r.low - output.qmin - zero, r.high - output.qmin - zero


def _threshold_as_clip(output: Format, r: Thresholds) -> tuple[Requantizer, list[int]]:
    """Return one threshold as a requantizer and the scalars (zero, low, high), for sums less their level.

    Such a sum is clipped to -1 or 0 (times the unit of the format), then raised to the two codes.
    """
    unit = storage(output)[1]
    one = Requantizer(np.full(1, unit), np.zeros(1, np.int64), 0, 0)
    return one, [unit * (r.low - output.qmin + 1), -unit, 0]
