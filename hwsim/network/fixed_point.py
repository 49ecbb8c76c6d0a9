"""Fixed-point form of a real ratio of scales: an integer multiplier and a shift, derived at compile time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from hwsim.errors import HwsimError
from hwsim.formats import Format
from hwsim.network.layer import Requantizer

MANTISSA_BITS = 31
"""Bits of a multiplier."""

MAX_SHIFT = 62
"""Longest shift of a requantizer."""


def fixed_point(ratio: float) -> tuple[int, int]:
    """Return the multiplier (31 bits) and shift with `multiplier * 2^-shift` nearest to `ratio`.

    The mantissa is rounded half up, and a power of two is exact. A ratio below 2^-32, which rounds every 32-bit
    accumulator to zero, gives (0, 0). Raises HwsimError for a ratio that is not positive and finite, or is too large.

    >>> multiplier, shift = fixed_point(0.25)
    >>> multiplier == 2**30, shift
    (True, 32)
    """
    if not (ratio > 0 and math.isfinite(ratio)):
        raise HwsimError(f"requantizer: the ratio of scales {ratio} is not a positive number")
    mantissa, exponent = math.frexp(ratio)
    multiplier, shift = math.floor(mantissa * 2**MANTISSA_BITS + 0.5), MANTISSA_BITS - exponent
    if multiplier == 2**MANTISSA_BITS:
        multiplier, shift = multiplier // 2, shift - 1
    if shift > MAX_SHIFT:  # so small a ratio rounds every accumulator to zero
        return 0, 0
    if shift < 0:
        raise HwsimError(f"requantizer: the ratio of scales {ratio} does not fit a {MANTISSA_BITS}-bit multiplier")
    return multiplier, shift


def requantizer(ratios: ArrayLike, output: Format, relu: bool) -> Requantizer:
    """Return the requantizer for ratios `input scale / output scale`, one per channel or one for all.

    >>> requantizer(0.5, Format(8, signed=True), relu=True).low
    0
    """
    pairs = [fixed_point(float(r)) for r in np.atleast_1d(np.asarray(ratios, dtype=np.float64))]
    multiplier, shift = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    return Requantizer(multiplier, shift, *clip_bounds(output, relu))


def add_requantizer(ratio_a: float, ratio_b: float, output: Format, relu: bool) -> Requantizer:
    """Return the requantizer of a residual add: one multiplier per operand, one common shift.

    The larger ratio has a mantissa of 31 bits; the smaller ratio has the shift of the larger.
    """
    shift = min(fixed_point(max(ratio_a, ratio_b))[1], MAX_SHIFT)
    multipliers = np.array([math.floor(r * 2.0**shift + 0.5) for r in (ratio_a, ratio_b)], dtype=np.int64)
    if multipliers.max() >= 2**MANTISSA_BITS:  # the larger mantissa was rounded up to a power of two
        shift -= 1
        multipliers = np.array([math.floor(r * 2.0**shift + 0.5) for r in (ratio_a, ratio_b)], dtype=np.int64)
    return Requantizer(multipliers, np.array([shift], dtype=np.int64), *clip_bounds(output, relu))


def clip_bounds(output: Format, relu: bool) -> tuple[int, int]:
    """Return the smallest and largest output code; with a ReLU the smallest code is the zero point."""
    return (max(output.qmin, output.zero_point) if relu else output.qmin), output.qmax
