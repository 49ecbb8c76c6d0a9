"""Rounding in Python's unbounded integers, one division at a time: written apart from `hwsim.reference` on purpose."""

from __future__ import annotations

import numpy as np

from hwsim.debug.explanation import Stage
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
"""Which tools round by which rule."""

FLOAT_LIMIT = 2.0**62
"""Where a float32 product is cut off before it becomes an integer."""


def stage(value: int, divisor: int, rule: Rounding) -> Stage:
    """`value / divisor`, rounded by a rule that is one step.

    >>> stage(-10, 4, Rounding.HALF_UP)
    Stage(value=-10, divisor=4, kept=-3, rest=2, tie=True, rule=<Rounding.HALF_UP: 'half_up'>, result=-2)
    """
    kept, rest = divmod(value, divisor)
    tie = 2 * rest == divisor
    match rule:
        case Rounding.HALF_UP:
            up = 2 * rest >= divisor
        case Rounding.HALF_EVEN | Rounding.F32_HALF_EVEN:
            up = 2 * rest > divisor or (tie and kept % 2 == 1)
        case Rounding.HALF_AWAY:
            up = 2 * rest > divisor or (tie and value >= 0)
        case Rounding.FLOOR:
            up = False
        case Rounding.TRUNC:
            up = rest > 0 and value < 0
        case Rounding.GEMMLOWP_DOUBLE:
            raise AssertionError(f"{rule} is no single step")
    return Stage(value, divisor, kept, rest, tie, rule, kept + int(up))


def gemmlowp_stages(value: int, multiplier: int, shift: int) -> tuple[Stage, Stage]:
    """The two roundings of TFLite's reference kernels: half up at bit 31, half away from zero for the rest.

    >>> [s.result for s in gemmlowp_stages(5, 2**30, 32)]
    [3, 2]
    """
    left, right = max(31 - shift, 0), max(shift - 31, 0)
    high = stage(wrap(value << left, 32) * multiplier, 1 << 31, Rounding.HALF_UP)
    return high, stage(high.result, 1 << right, Rounding.HALF_AWAY)


def float_stage(value: int, scale: np.float32) -> Stage:
    """The float32 product of `value` as a float32 with `scale`, rounded to the even neighbour.

    >>> float_stage(3, np.float32(0.5)).result, float_stage(2**24 + 1, np.float32(1)).result
    (2, 16777216)
    """
    with np.errstate(over="ignore"):
        product = float(np.float32(value) * scale)
    numerator, divisor = min(max(product, -FLOAT_LIMIT), FLOAT_LIMIT).as_integer_ratio()
    return stage(numerator, divisor, Rounding.F32_HALF_EVEN)


def float_scale(bits: int) -> np.float32:
    """The float32 whose bits a multiplier holds.

    >>> float(float_scale(0x3F000000))
    0.5
    """
    return np.uint32(bits).view(np.float32)


def wrap(value: int, bits: int) -> int:
    """The integer in two's complement of `bits` that equals `value` modulo 2^bits.

    >>> wrap(128, 8), wrap(-129, 8)
    (-128, 127)
    """
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half
