"""Multipliers and shifts of real ratios."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.formats import Format
from hwsim.network.fixed_point import add_requantizer, fixed_point, requantizer


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.floats(2.0**-31, 2.0**30))
def test_fixed_point_is_within_half_a_unit_of_a_31_bit_mantissa(ratio):
    multiplier, shift = fixed_point(ratio)
    assert 2**30 <= multiplier < 2**31 and 0 <= shift <= 62
    assert abs(Fraction(multiplier, 2**shift) - Fraction(ratio)) <= Fraction(ratio) / 2**31


@pytest.mark.parametrize("exponent", range(-31, 30))
def test_powers_of_two_are_exact(exponent):
    multiplier, shift = fixed_point(2.0**exponent)
    assert Fraction(multiplier, 2**shift) == Fraction(2) ** exponent


def test_a_mantissa_that_rounds_up_to_one_is_normalized():
    multiplier, shift = fixed_point(float(np.nextafter(0.5, 0)))
    assert (multiplier, shift) == (2**30, 31)


def test_tiny_ratios_make_every_accumulator_zero():
    for ratio in (2.0**-40, 2.0**-70, 5e-324):
        multiplier, shift = fixed_point(ratio)
        assert (multiplier, shift) == (0, 0)
    multiplier, shift = fixed_point(2.0**-32)  # the smallest that keeps its mantissa: the lowest sum is a tie
    assert (-(2**31) * multiplier + (1 << shift >> 1)) >> shift == 0
    assert (-(2**31) * (multiplier + 1) + (1 << shift >> 1)) >> shift == -1


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("nan"), float("inf"), 2.0**31, 1e300])
def test_invalid_ratios(ratio):
    with pytest.raises(HwsimError, match="ratio"):
        fixed_point(ratio)


def test_relu_is_the_lower_clip_bound():
    output = Format(8, signed=True, zero_point=-5)
    assert requantizer(0.1, output, relu=True).low == -5
    assert requantizer([0.1, 0.2], output, relu=False).low == -128


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.floats(2.0**-20, 2.0**20), st.floats(2.0**-20, 2.0**20))
def test_add_is_exact_to_the_mantissa_of_the_larger_ratio(a, b):
    r = add_requantizer(a, b, Format(8), relu=False)
    shift = int(r.shift[0])
    assert r.multiplier.max() < 2**31 and 0 <= shift <= 62
    for ratio, multiplier in zip((a, b), r.multiplier, strict=True):
        assert abs(Fraction(int(multiplier), 2**shift) - Fraction(ratio)) <= Fraction(max(a, b)) / 2**30
