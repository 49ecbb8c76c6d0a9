"""From one exact sum to one output code: accumulator, rounding, thresholds, clip."""

from __future__ import annotations

import numpy as np

from hwsim.kernels.compile import kernel
from hwsim.kernels.words import Fit

i64, f32 = np.int64, np.float32
HALF_UP, HALF_EVEN, HALF_AWAY, FLOOR, TRUNC, GEMMLOWP_DOUBLE, F32_HALF_EVEN = range(7)
"""Places of the rules in `network.layer.Rounding` (a test holds them to it)."""

NOTHING, WRAP, SATURATE = int(Fit.NOTHING), int(Fit.WRAP), int(Fit.SATURATE)


@kernel(inline="always")
def wrap(value, bits):  # type: ignore[no-untyped-def]
    """Two's complement of `bits`."""
    half = i64(1) << (bits - 1)
    return ((value + half) & ((i64(1) << bits) - 1)) - half


@kernel(inline="always")
def saturate(value, bits):  # type: ignore[no-untyped-def]
    """The nearest integer that has `bits`."""
    high = (i64(1) << (bits - 1)) - 1
    return min(max(value, -high - 1), high)


@kernel()
def fit(value, policy, bits):  # type: ignore[no-untyped-def]
    """An exact sum as it leaves its accumulator."""
    if policy == WRAP:
        return wrap(value, bits)
    if policy == SATURATE:
        return saturate(value, bits)
    return value


@kernel()
def round_shift(value, shift, rule):  # type: ignore[no-untyped-def]
    """`value / 2^shift` by a rule of one step. Equals `reference.round_shift`."""
    down = value >> shift
    rest = value - (down << shift)
    if rest == 0 or rule == FLOOR:
        return down
    if rule == TRUNC:
        return down + i64(value < 0)
    half = (i64(1) << shift) >> i64(1)
    if rest != half or rule == HALF_UP:
        return down + i64(rest >= half)
    if rule == HALF_EVEN:
        return down + (down & 1)
    return down + i64(value >= 0)


@kernel()
def scale(value, multiplier, shift, rule):  # type: ignore[no-untyped-def]
    """`value * multiplier / 2^shift` by any rule but the one of floats."""
    if rule == GEMMLOWP_DOUBLE:
        left, right = max(i64(31) - shift, i64(0)), max(shift - i64(31), i64(0))
        return round_shift(round_shift(wrap(value << left, 32) * multiplier, i64(31), HALF_UP), right, HALF_AWAY)
    return round_shift(value * multiplier, shift, rule)


@kernel()
def scale_f32(value, scale):  # type: ignore[no-untyped-def]
    """The sum as float32 times a float32 scale, rounded to the even neighbour."""
    product = f32(value) * scale
    return i64(np.rint(min(max(product, f32(-(2.0**62))), f32(2.0**62))))


@kernel()
def code_of(step, channel, total, words, floats):  # type: ignore[no-untyped-def]
    """The output code of an exact sum, bias included. Equals `reference.requantize` after `reference.fit`."""
    total = fit(total, step.fit, step.fit_bits)
    if step.level_count > 0:
        levels = step.levels + channel * step.level_count
        reached = i64(0)
        for i in range(step.level_count):
            reached += i64(total >= words[levels + i])
        return step.code_low + reached
    if step.rounding == F32_HALF_EVEN:
        scaled = scale_f32(total, floats[step.multiplier32 + channel])
    else:
        scaled = scale(total, words[step.multiplier + channel], words[step.shift + channel], step.rounding)
    return min(max(scaled + step.zero, step.code_low), step.code_high)
