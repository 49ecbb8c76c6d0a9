"""Rounding in Python's unbounded integers, one division at a time; written independently of `hwsim.reference`."""

from __future__ import annotations

import numpy as np

from hwsim.debug.explanation import RoundingStep
from hwsim.network.layer import Rounding

TOOLS = {
    Rounding.HALF_UP: "AP_RND; CMSIS-NN built with single rounding; TFLite 16x8",
    Rounding.HALF_EVEN: "AP_RND_CONV; Brevitas and QONNX with power-of-two scales; np.rint; Gemmini",
    Rounding.HALF_AWAY: "AP_RND_INF; LiteRT reference fully connected; QONNX's HALF_UP; C's round()",
    Rounding.FLOOR: "AP_TRN, which hls4ml uses by default; a bare >>",
    Rounding.TRUNC: "AP_TRN_ZERO; a division of integers in C",
    Rounding.GEMMLOWP_DOUBLE: "TFLite Micro; CMSIS-NN by default",
    Rounding.F32_HALF_EVEN: "onnxruntime; XNNPACK; torch's quantized kernels",
}
"""Tools that round by each rule."""

MAX_FLOAT_PRODUCT = 2.0**62
"""Limit to which a float32 product is clipped before it becomes an integer."""


def round_division(value: int, divisor: int, rule: Rounding) -> RoundingStep:
    """Divide and round by a rule that is one step.

    >>> round_division(-10, 4, Rounding.HALF_UP).result, round_division(-10, 4, Rounding.HALF_UP).tie
    (-2, True)
    """
    quotient, remainder = divmod(value, divisor)
    tie = 2 * remainder == divisor
    match rule:
        case Rounding.HALF_UP:
            up = 2 * remainder >= divisor
        case Rounding.HALF_EVEN | Rounding.F32_HALF_EVEN:
            up = 2 * remainder > divisor or (tie and quotient % 2 == 1)
        case Rounding.HALF_AWAY:
            up = 2 * remainder > divisor or (tie and value >= 0)
        case Rounding.FLOOR:
            up = False
        case Rounding.TRUNC:
            up = remainder > 0 and value < 0
        case Rounding.GEMMLOWP_DOUBLE:
            raise AssertionError(f"{rule} is no single step")
    return RoundingStep(value, divisor, quotient, remainder, tie, rule, quotient + int(up))


def gemmlowp_steps(value: int, multiplier: int, shift: int) -> tuple[RoundingStep, RoundingStep]:
    """Return the two roundings of TFLite's reference kernels: half up at bit 31, then half away from zero.

    >>> [step.result for step in gemmlowp_steps(5, 2**30, 32)]
    [3, 2]
    """
    left, right = max(31 - shift, 0), max(shift - 31, 0)
    high = round_division(wrap(value << left, 32) * multiplier, 1 << 31, Rounding.HALF_UP)
    return high, round_division(high.result, 1 << right, Rounding.HALF_AWAY)


def float32_step(value: int, scale: np.float32) -> RoundingStep:
    """Multiply `value`, as a float32, by `scale` in float32 and round half to even.

    >>> float32_step(3, np.float32(0.5)).result, float32_step(2**24 + 1, np.float32(1)).result
    (2, 16777216)
    """
    with np.errstate(over="ignore"):
        product = float(np.float32(value) * scale)
    numerator, divisor = min(max(product, -MAX_FLOAT_PRODUCT), MAX_FLOAT_PRODUCT).as_integer_ratio()
    return round_division(numerator, divisor, Rounding.F32_HALF_EVEN)


def float32_scale(bits: int) -> np.float32:
    """Return the float32 with the given bits, the encoding of a multiplier under f32_half_even.

    >>> float(float32_scale(0x3F000000))
    0.5
    """
    return np.uint32(bits).view(np.float32)


def wrap(value: int, bits: int) -> int:
    """Return the integer in two's complement of `bits` that equals `value` modulo 2^bits.

    >>> wrap(128, 8), wrap(-129, 8)
    (-128, 127)
    """
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half
