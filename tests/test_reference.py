"""The definition itself, against numbers worked out by hand, big Python integers, and closed forms."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.formats import Format, Kind, QTensor
from hwsim.network.layer import Geometry, Layer, Op, Region, Requantizer

SIZES = st.integers(1, 7)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(-(2**61), 2**61), st.integers(0, 62))
def test_round_shift_is_the_nearest_integer_with_ties_up(value, shift):
    expected = floor(Fraction(value, 2**shift) + Fraction(1, 2)) if shift else value
    assert reference.round_shift(np.array([value]), shift).tolist() == [expected]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(-(2**60), 2**60))
def test_wrap_is_arithmetic_modulo_a_power_of_two(value):
    for bits in (8, 31, 32, 48):
        wrapped = int(reference.wrap(np.array([value]), bits)[0])
        assert -(2 ** (bits - 1)) <= wrapped < 2 ** (bits - 1) and (wrapped - value) % 2**bits == 0


def conv_by_hand(x, w, g, n, f, y, c):
    """One accumulator, in Python integers, straight from the definition of a convolution."""
    per_group = w.shape[1]
    group = f // (w.shape[0] // g.groups)
    total = 0
    for channel in range(per_group):
        for i in range(g.kernel[0]):
            for j in range(g.kernel[1]):
                row, column = y * g.stride[0] + i - g.padding[0], c * g.stride[1] + j - g.padding[1]
                if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                    total += int(x[n, group * per_group + channel, row, column]) * int(w[f, channel, i, j])
    return total


@pytest.mark.parametrize(
    "g",
    [
        Geometry((3, 3), (1, 1), (1, 1)),
        Geometry((3, 2), (2, 1), (0, 2), groups=2),
        Geometry((1, 1), (3, 2), (0, 0), groups=4),
        Geometry((5, 4), (1, 2), (2, 0)),
    ],
)
def test_convolve_equals_seven_plain_loops(g):
    rng = np.random.default_rng(0)
    x = rng.integers(-255, 256, (2, 4, 6, 5))
    w = rng.integers(-128, 128, (4, 4 // g.groups, *g.kernel))
    out = reference.convolve(x, w, g)
    assert out.shape[2:] == g.output_size(6, 5)
    for index, value in np.ndenumerate(out):
        assert value == conv_by_hand(x, w, g, *index)


def test_padding_is_the_value_zero_not_the_code_zero():
    x = Format(8, zero_point=10)
    layer = Layer(
        "c", Op.CONV, ("input",), x, weight=QTensor(np.ones((1, 1, 3, 3), int), Format(8, signed=True)),
        bias=np.array([1]), geometry=Geometry((3, 3), (1, 1), (1, 1)),
    )  # fmt: skip
    assert reference.accumulate(layer, [np.full((1, 1, 1, 1), 12)], [x]).tolist() == [[[[2 + 1]]]]


def test_binary_weights_are_plus_and_minus_one():
    weight = QTensor(np.array([[0, 1, 1]]), Format(1, kind=Kind.BINARY))
    layer = Layer("l", Op.LINEAR, ("input",), Format(8), weight=weight, bias=np.array([100]))
    assert reference.accumulate(layer, [np.array([[5, 7, 11]])], [Format(8)]).tolist() == [[100 - 5 + 7 + 11]]


def test_average_pool_sums_values_and_counts_padding_as_zero():
    x = Format(8, zero_point=3)
    layer = Layer("p", Op.AVG_POOL, ("input",), x, geometry=Geometry((2, 2), (2, 2), (1, 1)))
    codes = np.array([[[[4, 5], [6, 8]]]])
    assert reference.accumulate(layer, [codes], [x]).tolist() == [[[[1, 2], [3, 5]]]]
    everything = Layer("p", Op.GLOBAL_AVG_POOL, ("input",), x)
    assert reference.accumulate(everything, [codes], [x]).tolist() == [[[[11]]]]


def test_requantize_by_hand():
    r = Requantizer(np.array([3, 1]), np.array([2, 0]), low=-2, high=100)
    layer = Layer("l", Op.LINEAR, ("input",), Format(8, signed=True, zero_point=1), requantizer=r)
    # 3 * 2 / 4 = 1.5 -> 2, 3 * -2 / 4 = -1.5 -> -1, clip at both ends; channel 1 is not scaled
    sums = np.array([[2, 7], [-2, -1], [-40, -40], [400, 400]])
    assert reference.requantize(layer, sums).tolist() == [[3, 8], [0, 0], [-2, -2], [100, 100]]


def test_add_rounds_once():
    r = Requantizer(np.array([1, 1]), np.array([1]), low=0, high=255)
    layer = Layer("a", Op.ADD, ("x", "y"), Format(8, zero_point=10), requantizer=r)
    formats = [Format(8, zero_point=2), Format(8, zero_point=4)]
    a, b = np.array([[3, 3, 0]]), np.array([[5, 4, 3]])  # values 1 + 1, 1 + 0, -2 - 1
    assert reference.add(layer, [a, b], formats).tolist() == [[11, 11, 9]]


def test_regions_at_the_edge_count_only_what_they_hold():
    codes = np.zeros((1, 2, 3, 3), dtype=np.int64)
    codes[:, :, 2, 2] = 10  # a region of one pixel, two channels: mean 10
    region = Region(2, 2, 10 << 4, np.zeros(1, np.int8))
    assert reference.sensitive_regions(region, codes).tolist() == [[[False, False], [False, True]]]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIZES, SIZES, SIZES, st.integers(0, 2**32))
def test_weight_stationary_walk(samples, rows, columns, seed):
    rng = np.random.default_rng(seed)
    a, w = rng.integers(-128, 128, (samples, rows)), rng.integers(-128, 128, (rows, columns))
    out, cycles = reference.walk_weight_stationary(a, w)
    np.testing.assert_array_equal(out, a @ w)
    assert cycles == rows + samples + rows + columns - 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIZES, SIZES, SIZES, st.integers(0, 2**32))
def test_output_stationary_walk(rows, terms, columns, seed):
    rng = np.random.default_rng(seed)
    a, w = rng.integers(-128, 128, (rows, terms)), rng.integers(-128, 128, (terms, columns))
    out, cycles = reference.walk_output_stationary(a, w)
    np.testing.assert_array_equal(out, a @ w)
    assert cycles == terms + 2 * rows + columns - 2
