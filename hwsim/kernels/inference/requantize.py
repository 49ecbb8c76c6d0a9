"""From one exact sum to one output code: accumulator, rounding, thresholds, clip."""

from __future__ import annotations

import numpy as np

from hwsim.kernels.compile import kernel
from hwsim.kernels.inference.instructions import Fit

i64, f32 = np.int64, np.float32
HALF_UP, HALF_EVEN, HALF_AWAY, FLOOR, TRUNC, GEMMLOWP_DOUBLE, F32_HALF_EVEN = range(7)
"""Places of the rules in `network.layer.Rounding` (a test holds them to it)."""

WRAP, SATURATE = int(Fit.WRAP), int(Fit.SATURATE)


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
def fit_row(totals, policy, bits):  # type: ignore[no-untyped-def]
    """Exact sums as they leave their accumulator, in place."""
    if policy == WRAP:
        for c in range(len(totals)):
            totals[c] = wrap(totals[c], bits)
    elif policy == SATURATE:
        for c in range(len(totals)):
            totals[c] = saturate(totals[c], bits)


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
def round_row(totals, shift, rule):  # type: ignore[no-untyped-def]
    """`total / 2^shift` by a rule of one step and a common shift, in place."""
    if rule == HALF_UP:
        half = (i64(1) << shift) >> i64(1)
        for c in range(len(totals)):
            totals[c] = (totals[c] + half) >> shift
    else:
        for c in range(len(totals)):
            totals[c] = round_shift(totals[c], shift, rule)


@kernel()
def clip_row(totals, zero, low, high):  # type: ignore[no-untyped-def]
    """Codes of rounded values: plus the zero point, then clipped, in place."""
    for c in range(len(totals)):
        totals[c] = min(max(totals[c] + zero, low), high)


@kernel()
def scale_row(totals, multiplier, shift, rule):  # type: ignore[no-untyped-def]
    """`total * multiplier / 2^shift` by a rule of integers, in place. Equals what `reference.requantize` does."""
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
    """Sums as float32 times float32 scales, rounded to the even neighbour, in place."""
    largest = f32(2.0**62)
    for c in range(len(totals)):
        product = f32(totals[c]) * scales[c]
        totals[c] = i64(np.rint(min(max(product, -largest), largest)))


@kernel()
def reach_row(totals, levels, count, channels, low):  # type: ignore[no-untyped-def]
    """`low` plus the number of levels that each sum reaches, in place; `levels` [count, channels] from a channel on."""
    reached = np.full(len(totals), low, i64)
    for i in range(count):
        level = levels[i * channels :]
        for c in range(len(totals)):
            reached[c] += i64(totals[c] >= level[c])
    totals[:] = reached


@kernel()
def codes_of(step, channel, totals, words, floats):  # type: ignore[no-untyped-def]
    """Output codes, in place, of exact sums (bias included) of the channels from `channel` on.

    Equals `reference.requantize` after `reference.apply_overflow`.
    """
    count = len(totals)
    fit_row(totals, step.fit, step.fit_bits)
    if step.level_count > 0:
        reach_row(totals, words[step.levels + channel :], step.level_count, step.channels, step.code_low)
        return
    if step.rounding == F32_HALF_EVEN:
        scale_row_f32(totals, floats[step.multiplier32 + channel :][:count])
    else:
        multiplier, shift = words[step.multiplier + channel :][:count], words[step.shift + channel :][:count]
        scale_row(totals, multiplier, shift, step.rounding)
    clip_row(totals, step.zero, step.code_low, step.code_high)
