"""Requantization of exact sums to output codes: accumulator overflow, rounding, thresholds and clip."""

from __future__ import annotations

import numpy as np

from hwsim.kernels.compile import kernel
from hwsim.kernels.inference.instructions import OverflowPolicy

i64, f32 = np.int64, np.float32
HALF_UP, HALF_EVEN, HALF_AWAY, FLOOR, TRUNC, GEMMLOWP_DOUBLE, F32_HALF_EVEN = range(7)
"""Indices of the members of `network.layer.Rounding` (a test compares them)."""

WRAP, SATURATE = int(OverflowPolicy.WRAP), int(OverflowPolicy.SATURATE)


@kernel(inline="always")
def wrap(value, bits):  # type: ignore[no-untyped-def]
    """Return `value` modulo 2^bits, in two's complement."""
    half = i64(1) << (bits - 1)
    return ((value + half) & ((i64(1) << bits) - 1)) - half


@kernel(inline="always")
def saturate(value, bits):  # type: ignore[no-untyped-def]
    """Return the nearest integer of `bits` in two's complement."""
    high = (i64(1) << (bits - 1)) - 1
    return min(max(value, -high - 1), high)


@kernel()
def apply_overflow(totals, policy, bits):  # type: ignore[no-untyped-def]
    """Apply the overflow of an accumulator of `bits` to exact sums, int64 [channel], in place."""
    if policy == WRAP:
        for c in range(len(totals)):
            totals[c] = wrap(totals[c], bits)
    elif policy == SATURATE:
        for c in range(len(totals)):
            totals[c] = saturate(totals[c], bits)


@kernel()
def round_shift(value, shift, rule):  # type: ignore[no-untyped-def]
    """Return `value / 2^shift`, rounded by a rule of one step. Equals `reference.round_shift`."""
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
def round_row(totals, shift, rule):  # type: ignore[no-untyped-def]
    """Compute `total / 2^shift`, rounded by a rule of one step, for int64 [channel] and one shift, in place."""
    if rule == HALF_UP:
        half = (i64(1) << shift) >> i64(1)
        for c in range(len(totals)):
            totals[c] = (totals[c] + half) >> shift
    else:
        for c in range(len(totals)):
            totals[c] = round_shift(totals[c], shift, rule)


@kernel()
def clip_row(totals, zero, low, high):  # type: ignore[no-untyped-def]
    """Add the zero point to rounded values, int64 [channel], and clip to [low, high], in place."""
    for c in range(len(totals)):
        totals[c] = min(max(totals[c] + zero, low), high)


@kernel()
def scale_row(totals, multiplier, shift, rule):  # type: ignore[no-untyped-def]
    """Compute `total * multiplier / 2^shift`, rounded by an integer rule, for int64 [channel] each, in place.

    Equals the rounding of `reference.requantize`.
    """
    if rule == HALF_UP:
        for c in range(len(totals)):
            s = shift[c]
            totals[c] = (totals[c] * multiplier[c] + ((i64(1) << s) >> i64(1))) >> s
    elif rule == FLOOR:
        for c in range(len(totals)):
            totals[c] = (totals[c] * multiplier[c]) >> shift[c]
    elif rule == GEMMLOWP_DOUBLE:
        for c in range(len(totals)):
            left, right = max(i64(31) - shift[c], i64(0)), max(shift[c] - i64(31), i64(0))
            high = (wrap(totals[c] << left, 32) * multiplier[c] + (i64(1) << 30)) >> i64(31)
            totals[c] = round_shift(high, right, HALF_AWAY)
    else:
        for c in range(len(totals)):
            totals[c] = round_shift(totals[c] * multiplier[c], shift[c], rule)


@kernel()
def scale_row_f32(totals, scales):  # type: ignore[no-untyped-def]
    """Multiply sums, int64 [channel], by float32 scales in float32 and round half to even, in place."""
    largest = f32(2.0**62)
    for c in range(len(totals)):
        product = f32(totals[c]) * scales[c]
        totals[c] = i64(np.rint(min(max(product, -largest), largest)))


@kernel()
def threshold_row(totals, levels, count, channels, low):  # type: ignore[no-untyped-def]
    """Replace each sum, int64 [channel], by `low` plus the number of levels that are at most the sum.

    `levels` int64 is [count, channels], flat, from the first channel of `totals` on.
    """
    reached = np.full(len(totals), low, i64)
    for i in range(count):
        level = levels[i * channels :]
        for c in range(len(totals)):
            reached[c] += i64(totals[c] >= level[c])
    totals[:] = reached


@kernel()
def requantize_row(step, channel, totals, constants):  # type: ignore[no-untyped-def]
    """Replace exact sums (bias included) of the channels from `channel` on, int64 [channel], by output codes.

    Equals the accumulator overflow and `reference.requantize`, one after the other.
    """
    count, longs = len(totals), constants.longs
    apply_overflow(totals, step.overflow, step.accumulator_bits)
    if step.level_count > 0:
        threshold_row(totals, longs[step.levels + channel :], step.level_count, step.channels, step.code_low)
        return
    if step.rounding == F32_HALF_EVEN:
        scale_row_f32(totals, constants.floats[step.multiplier32 + channel :][:count])
    else:
        multiplier, shift = longs[step.multiplier + channel :][:count], longs[step.shift + channel :][:count]
        scale_row(totals, multiplier, shift, step.rounding)
    clip_row(totals, step.zero, step.code_low, step.code_high)
