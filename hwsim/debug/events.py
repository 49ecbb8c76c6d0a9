"""Numbers of ties, clips and accumulator overflows in a run, per layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.debug.rounding import MAX_FLOAT_PRODUCT, float32_scale
from hwsim.formats import Format
from hwsim.network.graph import Network
from hwsim.network.layer import Accumulator, Layer, Op, Requantizer, Rounding, Thresholds, along_channels

Ints = NDArray[np.int64]
WIDE = 1 << 62
"""Clip bound beyond every value."""


@dataclass(frozen=True)
class ArithmeticEvents:
    """Events of one layer in a run; None for an event that the layer cannot have.

    Attributes
    ----------
    outputs : number of output codes
    ties : outputs with a tie in a rounding
    clips_low, clips_high : outputs clipped at the lower and upper bound
    overflows : outputs whose sum overflowed the accumulator
    """

    outputs: int
    ties: int | None
    clips_low: int | None
    clips_high: int | None
    overflows: int | None


class _UnboundedAccumulator(Accumulator):
    """An accumulator without the limit on its width, for exact sums in int64."""

    def __post_init__(self) -> None:
        pass


def events(network: Network, run: Mapping[str, NDArray[np.integer]]) -> dict[str, ArithmeticEvents]:
    """Count the events of a run of `network` by layer name; `run` is [sample, *shape] by layer, as `trace` returns it.

    >>> events(network, hwsim.trace(network, codes))["conv1"].ties  # doctest: +SKIP
    12
    """
    found = {}
    for layer in network.layers:
        operands = [run[name].astype(np.int64) for name in layer.inputs]
        formats = [network.formats[name] for name in layer.inputs]
        low, high = _clips(layer, operands, formats)
        ties, overflows = _ties(layer, operands, formats), _overflows(layer, operands, formats)
        found[layer.name] = ArithmeticEvents(run[layer.name].size, ties, low, high, overflows)
    return found


def _overflows(layer: Layer, operands: list[Ints], formats: list[Format]) -> int | None:
    if not layer.accumulates:
        return None
    exact = reference.accumulate(replace(layer, accumulator=_UnboundedAccumulator(63)), operands, formats)
    return int(np.count_nonzero(exact != reference.accumulate(layer, operands, formats)))


def _clips(layer: Layer, operands: list[Ints], formats: list[Format]) -> tuple[int | None, int | None]:
    """Return the numbers of codes below and above the clip bounds, before the clip."""
    r = layer.requantizer
    if layer.op is Op.SOFTMAX:
        wide = replace(layer, output=Format(48, signed=True, zero_point=layer.output.zero_point))
        low, high = layer.output.qmin, layer.output.qmax
    elif isinstance(r, Requantizer):
        wide = replace(layer, requantizer=replace(r, low=-WIDE, high=WIDE))
        low, high = r.low, r.high
    else:
        return None, None
    codes = reference.compute(wide, operands, formats)
    return int(np.count_nonzero(codes < low)), int(np.count_nonzero(codes > high))


def _ties(layer: Layer, operands: list[Ints], formats: list[Format]) -> int | None:
    r = layer.requantizer
    if layer.op is Op.SOFTMAX:
        return _softmax_ties(layer, operands[0])
    if r is None or isinstance(r, Thresholds):
        return None
    multipliers, shifts = r.multiplier.ravel(), r.shift.ravel()
    values = [format.decode(codes) for format, codes in zip(formats, operands, strict=True)]
    if layer.op is Op.ADD:
        return _count(_tied(values[0] * multipliers[0] + values[1] * multipliers[1], shifts))
    if layer.op is Op.CONCAT:
        return sum(
            _count(_requantizer_ties(part, multipliers[i : i + 1], shifts[i : i + 1], r.rounding))
            for i, part in enumerate(values)
        )
    sums = reference.accumulate(layer, operands, formats)
    multiplier, shift = (along_channels(v, layer, sums.ndim) for v in (r.multiplier, r.shift))
    return _count(_requantizer_ties(sums, multiplier, shift, r.rounding))


def _requantizer_ties(sums: Ints, multiplier: Ints, shift: Ints, rounding: Rounding) -> NDArray[np.bool_]:
    """Return True where requantization of `sums` has a tie; multiplier and shift broadcast against the sums."""
    match rounding:
        case Rounding.F32_HALF_EVEN:
            scale = np.vectorize(float32_scale, otypes=[np.float32])(multiplier)
            product = np.clip(sums.astype(np.float32) * scale, -MAX_FLOAT_PRODUCT, MAX_FLOAT_PRODUCT)
            return np.asarray(product - np.floor(product) == np.float32(0.5))
        case Rounding.GEMMLOWP_DOUBLE:
            left, right = np.maximum(31 - shift, 0), np.maximum(shift - 31, 0)
            first = reference.wrap(sums << left, 32) * multiplier
            return _tied(first, np.array([31])) | _tied(reference.round_shift(first, 31), right)
    return _tied(sums * multiplier, shift)


def _tied(values: Ints, shift: Ints) -> NDArray[np.bool_]:
    """Return True where a value lies exactly between two multiples of 2^shift; `shift` broadcasts."""
    half = (np.int64(1) << shift) >> 1  # 0 for shift 0, which has no ties
    return np.asarray((half > 0) & ((values & ((np.int64(1) << shift) - 1)) == half))


def _softmax_ties(layer: Layer, codes: Ints) -> int:
    rule = layer.softmax
    assert rule is not None
    below = codes.max(axis=-1, keepdims=True) - codes
    weight = np.where(below < len(rule.table), rule.table[np.minimum(below, len(rule.table) - 1)], 0)
    total = weight.sum(axis=-1, keepdims=True)
    return _count(2 * (weight * rule.one % total) == total)


def _count(found: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(found))
