"""The definition of the integers, against hand-worked numbers, unbounded Python integers, and closed forms."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, exp, floor, isqrt, trunc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.formats import TERNARY, Format, Kind, QTensor
from hwsim.network.layer import (
    INPUT,
    NORM_BITS,
    Accumulator,
    Geometry,
    Layer,
    Op,
    Overflow,
    Region,
    Requantizer,
    Rounding,
    Softmax,
    Thresholds,
)
from tests.support.networks import geometries

SIZES = st.integers(1, 7)
U8, S8, S16, S32 = Format(8), Format(8, signed=True), Format(16, signed=True), Format(32, signed=True)
WIDTHS = range(8, 49)


# Rounding.


def nearest(exact: Fraction, tie: int) -> int:
    """Return the nearest integer; `tie` exactly between two integers."""
    below = floor(exact)
    remainder = exact - below
    return tie if remainder == Fraction(1, 2) else below + (remainder > Fraction(1, 2))


def even(exact: Fraction) -> int:
    return floor(exact) + floor(exact) % 2


def away(exact: Fraction) -> int:
    return ceil(exact) if exact > 0 else floor(exact)


EXACTLY = {
    Rounding.HALF_UP: lambda exact: nearest(exact, ceil(exact)),
    Rounding.HALF_EVEN: lambda exact: nearest(exact, even(exact)),
    Rounding.HALF_AWAY: lambda exact: nearest(exact, away(exact)),
    Rounding.FLOOR: floor,
    Rounding.TRUNC: trunc,
}


def values_around(shift: int) -> list[int]:
    """Return integers around multiples and ties of 2^shift, of both signs, up to 63 bits."""
    marks = {m << shift >> 1 for m in (0, 1, 2, 3, 4, 5, 6, 7, 9, 2**12, 2**12 + 1)} | {2**62 - 1}
    near = {sign * mark + step for mark in marks for step in (-1, 0, 1) for sign in (-1, 1)}
    return sorted(v for v in near if abs(v) < 2**62)


@pytest.mark.parametrize("rule", EXACTLY)
def test_round_shift_is_exact_rounding_around_every_tie(rule):
    for shift in range(63):
        values = values_around(shift)
        expected = [EXACTLY[rule](Fraction(v, 2**shift)) for v in values]
        assert reference.round_shift(np.array(values), shift, rule).tolist() == expected, shift


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(-(2**62), 2**62 - 1), st.integers(0, 62), st.sampled_from(list(EXACTLY)))
def test_round_shift_is_exact_rounding(value, shift, rule):
    expected = EXACTLY[rule](Fraction(value, 2**shift))
    assert reference.round_shift(np.array([value]), shift, rule).tolist() == [expected]


@pytest.mark.parametrize("rule", [Rounding.GEMMLOWP_DOUBLE, Rounding.F32_HALF_EVEN])
def test_rules_of_two_steps_are_refused_by_round_shift(rule):
    with pytest.raises(AssertionError, match="no single step"):
        reference.round_shift(np.array([1]), 1, rule)


def requantized(sums, r: Requantizer, output: Format = S32) -> list[int]:
    """Requantize sums of one channel."""
    layer = Layer("l", Op.LINEAR, (INPUT,), output, requantizer=r)
    return reference.requantize(layer, np.asarray(sums, dtype=np.int64)[:, None]).ravel().tolist()


def unclipped(multiplier: int, shift: int, rule: Rounding) -> Requantizer:
    return Requantizer(np.array([multiplier]), np.array([shift]), S32.qmin, S32.qmax, rule)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(0, 62), st.sampled_from(list(EXACTLY)))
def test_requantize_is_one_exact_rounding_of_the_product(total, multiplier, shift, rule):
    exact = EXACTLY[rule](Fraction(total * multiplier, 2**shift))
    clipped = min(max(exact, S32.qmin), S32.qmax)
    assert requantized([total], unclipped(multiplier, shift, rule)) == [clipped]


def gemmlowp(acc: int, q: int, e: int) -> int:
    """Apply TFLite's rule in Python integers: scale = q * 2^(e - 31)."""
    left, right = max(e, 0), max(-e, 0)
    shifted = ((acc << left) + 2**31) % 2**32 - 2**31
    p = shifted * q
    h = (p + 2**30) >> 31
    if right == 0:
        return h
    magnitude = (abs(h) + (1 << (right - 1))) >> right  # ties away from zero
    return magnitude if h >= 0 else -magnitude


GEMMLOWP_SUMS = st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(GEMMLOWP_SUMS, st.integers(2**30, 2**31 - 1) | st.sampled_from((2**30, 3 * 2**29, 1, 0)), st.integers(0, 62))
def test_gemmlowp_double_is_its_rule_in_python_integers(total, multiplier, shift):
    found = requantized([total], unclipped(multiplier, shift, Rounding.GEMMLOWP_DOUBLE))
    assert found == [min(max(gemmlowp(total, multiplier, 31 - shift), S32.qmin), S32.qmax)]


def test_gemmlowp_double_rounds_twice():
    """A sum above 3/8 becomes 1/2 by the first rounding, then 1; a negative tie goes up, then away from zero."""
    r = unclipped(2**30, 33, Rounding.GEMMLOWP_DOUBLE)  # h = acc / 2 half up, then h / 4 half away
    sums = [3, 4, 5, -3, -4, -5, -6, 11, -11, -12]
    assert requantized(sums, r) == [1, 1, 1, 0, -1, -1, -1, 2, -1, -2]
    single = unclipped(2**30, 33, Rounding.HALF_UP)
    assert requantized(sums, single) == [0, 1, 1, 0, 0, -1, -1, 1, -1, -1]


def float_scale(scale: float) -> Requantizer:
    bits = int(np.array([scale], dtype=np.float32).view(np.int32)[0])
    return unclipped(bits, 0, Rounding.F32_HALF_EVEN)


def test_float_scales_by_hand():
    assert requantized([1, 3, 5, -1, -3, 7], float_scale(0.5)) == [0, 2, 2, 0, -2, 4]  # ties to even
    assert requantized([2**24 + 1, 2**24 + 3], float_scale(1.0)) == [2**24, 2**24 + 4]  # a float32 has 24 bits
    third = Fraction(float(np.float32(1 / 3)))
    assert third * 3 * 2**23 != 2**23  # the product is rounded to a float32 before it is rounded to an integer
    assert requantized([3 * 2**23, -3 * 2**23], float_scale(1 / 3)) == [2**23, -(2**23)]
    assert requantized([2**31 - 1, -(2**31), 5], float_scale(0.0)) == [0, 0, 0]
    assert requantized([5, -5], float_scale(1e30)) == [S32.qmax, S32.qmin]


def test_float_products_beyond_float32_are_clipped_without_a_warning():
    largest = float(np.finfo(np.float32).max)
    assert requantized([5, -5, 1, 0], float_scale(largest)) == [S32.qmax, S32.qmin, S32.qmax, 0]


def to_float32(exact: Fraction) -> Fraction:
    """Return the nearest float32 of a number in the normal range, ties to even."""
    if exact == 0:
        return exact
    exponent = floor_log2(abs(exact))
    unit = Fraction(2) ** (exponent - 23)
    return nearest(exact / unit, even(exact / unit)) * unit


def floor_log2(exact: Fraction) -> int:
    guess = exact.numerator.bit_length() - exact.denominator.bit_length()
    return guess if Fraction(2) ** guess <= exact else guess - 1


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(-(2**47), 2**47 - 1) | st.integers(-300, 300), st.floats(2.0**-40, 1.0, width=32))
def test_float_scales_round_twice_in_float32_and_once_to_even(total, scale):
    product = to_float32(to_float32(Fraction(total)) * Fraction(scale))
    expected = min(max(nearest(product, even(product)), S32.qmin), S32.qmax)
    assert requantized([total], float_scale(scale)) == [expected]


# Accumulators.


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(-(2**60), 2**60))
def test_wrap_is_arithmetic_modulo_a_power_of_two(value):
    for bits in WIDTHS:
        wrapped = int(reference.wrap(np.array([value]), bits)[0])
        assert -(2 ** (bits - 1)) <= wrapped < 2 ** (bits - 1) and (wrapped - value) % 2**bits == 0


def test_sums_at_the_ends_of_every_width():
    for bits in WIDTHS:
        half = 2 ** (bits - 1)
        sums = np.array([half - 1, half, half + 1, -half, -half - 1, 3 * half, -3 * half - 1])
        wrapped = [half - 1, -half, -half + 1, -half, half - 1, -half, half - 1]
        ends = [half - 1] * 3 + [-half] * 2 + [half - 1, -half]
        assert reference.apply_overflow(sums, Accumulator(bits)).tolist() == wrapped
        assert reference.apply_overflow(sums, Accumulator(bits, Overflow.SATURATE_END)).tolist() == ends


def summed(overflow: Overflow, bias: int = 0, bits: int = 8, **order: list) -> int:
    """Return the sum of a 2 x 2 convolution over two channels, all codes 1, with weights `values` at positions `at`."""
    weight = np.zeros((1, 2, 2, 2), np.int64)
    for (row, column, channel), value in zip(order["at"], order["values"], strict=True):
        weight[0, channel, row, column] = value
    layer = Layer(
        "c", Op.CONV, (INPUT,), U8, weight=QTensor(weight, S16), bias=np.array([bias]), geometry=Geometry((2, 2)),
        accumulator=Accumulator(bits, overflow),
    )  # fmt: skip
    return int(reference.accumulate(layer, [np.ones((1, 2, 2, 2), np.int64)], [U8]).ravel()[0])


IN_ORDER = [(row, column, channel) for row in range(2) for column in range(2) for channel in range(2)]


@pytest.mark.parametrize("first", range(7))
def test_saturate_step_order_is_row_column_channel(first):
    """200 saturates at 127 before -100 is added; any other order of the two products gives another sum."""
    at = [IN_ORDER[first], IN_ORDER[first + 1]]
    assert summed(Overflow.SATURATE_STEP, at=at, values=[200, -100]) == 27
    assert summed(Overflow.SATURATE_STEP, at=at, values=[-100, 200]) == 100
    assert summed(Overflow.SATURATE_STEP, at=at, values=[-200, 100]) == -28
    for values in ([200, -100], [-100, 200]):
        assert summed(Overflow.SATURATE_END, at=at, values=values) == 100


def test_saturation_begins_at_the_bias():
    at, values = IN_ORDER[:2], [50, -60]
    assert summed(Overflow.SATURATE_STEP, bias=100, at=at, values=values) == 127 - 60
    assert summed(Overflow.SATURATE_STEP, bias=1000, at=at, values=values) == 127 - 60  # the bias itself is saturated
    assert summed(Overflow.SATURATE_STEP, bias=-1000, at=at, values=values) == -128  # -128, then -78, then -138
    assert summed(Overflow.SATURATE_END, bias=1000, at=at, values=values) == 127
    assert summed(Overflow.WRAP, bias=1000, at=at, values=values) == (990 + 128) % 256 - 128


def saturated(start: int, products: list[int], bits: int) -> int:
    """Saturate after every product, in Python integers."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    total = min(max(start, low), high)
    for product in products:
        total = min(max(total + product, low), high)
    return total


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data(), st.sampled_from((8, 12, 20)), st.sampled_from((1, 2)))
def test_saturate_step_is_one_product_at_a_time(data, bits, groups):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    geometry = data.draw(geometries((4, 4, 3), groups))
    x, bias = rng.integers(-128, 128, (2, 4, 4, 3)), rng.integers(-200, 200, 4)
    weight = QTensor(rng.integers(-128, 128, (4, 4 // groups, *geometry.kernel)), S8)
    step = Accumulator(bits, Overflow.SATURATE_STEP)
    conv = Layer("c", Op.CONV, (INPUT,), U8, weight=weight, bias=bias, geometry=geometry, accumulator=step)
    out = reference.accumulate(conv, [x], [S8])
    for n, f, row, column in np.ndindex(out.shape):
        products = products_by_hand(x, weight.codes, geometry, n, f, row, column)
        assert out[n, f, row, column] == saturated(int(bias[f]), products, bits)

    flat, dense = x.reshape(2, 4, 12), QTensor(rng.integers(-128, 128, (4, 12)), S8)
    linear = Layer("l", Op.LINEAR, (INPUT,), U8, weight=dense, bias=bias, accumulator=step)
    out = reference.accumulate(linear, [flat], [S8])
    for n, token, f in np.ndindex(out.shape):
        products = (flat[n, token] * dense.codes[f]).tolist()
        assert out[n, token, f] == saturated(int(bias[f]), products, bits)

    other = x.reshape(2, 12, 4)
    product = Layer("m", Op.MATMUL, (INPUT, "b"), U8, accumulator=step)
    out = reference.accumulate(product, [flat, other], [S8, S8])
    for n, token, f in np.ndindex(out.shape):
        assert out[n, token, f] == saturated(0, (flat[n, token] * other[n, :, f]).tolist(), bits)


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("op", [Op.CONV, Op.LINEAR])
def test_no_samples_have_no_sums(overflow, op):
    shape = (3, 2, 1, 1) if op is Op.CONV else (3, 2)
    layer = Layer(
        "l", op, (INPUT,), U8, weight=QTensor(np.ones(shape, int), S8), bias=np.zeros(3, int),
        accumulator=Accumulator(20, overflow),
    )  # fmt: skip
    x = np.zeros((0, 2, 4, 5) if op is Op.CONV else (0, 2), np.int64)
    assert reference.accumulate(layer, [x], [U8]).shape == ((0, 3, 4, 5) if op is Op.CONV else (0, 3))


# Convolutions.


def products_by_hand(x, w, g, n, f, y, c) -> list[int]:
    """Return the products of one accumulator in Python integers, in the order of the reduction."""
    per_group = w.shape[1]
    group = f // (w.shape[0] // g.groups)
    products = []
    for i in range(g.kernel[0]):
        for j in range(g.kernel[1]):
            row = y * g.stride[0] + i * g.dilation[0] - g.padding[0]
            column = c * g.stride[1] + j * g.dilation[1] - g.padding[1]
            for channel in range(per_group):
                inside = 0 <= row < x.shape[2] and 0 <= column < x.shape[3]
                value = int(x[n, group * per_group + channel, row, column]) if inside else 0
                products.append(value * int(w[f, channel, i, j]))
    return products


@pytest.mark.parametrize(
    "g",
    [
        Geometry((3, 3), (1, 1), (1, 1)),
        Geometry((3, 2), (2, 1), (0, 2), groups=2),
        Geometry((1, 1), (3, 2), (0, 0), groups=4),
        Geometry((5, 4), (1, 2), (2, 0)),
        Geometry((3, 3), (1, 1), (2, 2), dilation=(2, 2)),
        Geometry((2, 3), (2, 1), (0, 1), groups=4, dilation=(4, 2)),
        Geometry((3, 3), (2, 2), (0, 0), padding_end=(1, 1)),
        Geometry((3, 2), (1, 3), (2, 1), groups=2, dilation=(3, 1), padding_end=(0, 4)),
    ],
)
def test_convolve_equals_seven_plain_loops(g):
    rng = np.random.default_rng(0)
    x = rng.integers(-255, 256, (2, 4, 6, 5))
    w = rng.integers(-128, 128, (4, 4 // g.groups, *g.kernel))
    out = reference.convolve(x, w, g)
    assert out.shape[2:] == g.output_size(6, 5)
    for index, value in np.ndenumerate(out):
        assert value == sum(products_by_hand(x, w, g, *index))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data(), st.tuples(st.just(2), SIZES, SIZES))
def test_pools_equal_plain_loops(data, shape):
    """Dilation and padding on every side: padding is never a maximum, and zero in a sum."""
    g = data.draw(geometries(shape))
    format = Format(8, signed=True, zero_point=-128)
    codes = np.random.default_rng(sum(shape)).integers(-128, 128, (2, *shape))
    largest = reference.compute(Layer("m", Op.MAX_POOL, (INPUT,), format, geometry=g), [codes], [format])
    sums = reference.accumulate(Layer("a", Op.AVG_POOL, (INPUT,), format, geometry=g), [codes], [format])
    assert largest.shape[2:] == sums.shape[2:] == g.output_size(*shape[1:])
    for n, channel, y, c in np.ndindex(largest.shape):
        rows = [y * g.stride[0] + i * g.dilation[0] - g.padding[0] for i in range(g.kernel[0])]
        columns = [c * g.stride[1] + j * g.dilation[1] - g.padding[1] for j in range(g.kernel[1])]
        inside = [
            int(codes[n, channel, row, column])
            for row in rows for column in columns if 0 <= row < shape[1] and 0 <= column < shape[2]
        ]  # fmt: skip
        assert largest[n, channel, y, c] == max(inside, default=-128)
        assert sums[n, channel, y, c] == sum(code + 128 for code in inside)


def test_padding_is_the_value_zero_not_the_code_zero():
    x = Format(8, zero_point=10)
    layer = Layer(
        "c", Op.CONV, ("input",), x, weight=QTensor(np.ones((1, 1, 3, 3), int), Format(8, signed=True)),
        bias=np.array([1]), geometry=Geometry((3, 3), (1, 1), (1, 1)),
    )  # fmt: skip
    assert reference.accumulate(layer, [np.full((1, 1, 1, 1), 12)], [x]).tolist() == [[[[2 + 1]]]]


@pytest.mark.parametrize(
    ("format", "codes", "values"),
    [
        (Format(1, kind=Kind.BINARY), [0, 1, 1], [-1, 1, 1]),
        (TERNARY, [-1, 0, 1], [-1, 0, 1]),
        (Format(2, kind=Kind.MIDRISE), [0, 1, 3], [-3, -1, 3]),
        (Format(16, kind=Kind.MIDRISE), [0, 32768, 65535], [-65535, 1, 65535]),
        (Format(2, kind=Kind.CODEBOOK, table=(-32768, 5, 9, 32767)), [3, 0, 2], [32767, -32768, 9]),
    ],
)
def test_weights_of_every_kind_are_decoded(format, codes, values):
    layer = Layer(
        "l", Op.LINEAR, ("input",), Format(8), weight=QTensor(np.array([codes]), format), bias=np.array([100])
    )
    expected = 100 + 5 * values[0] + 7 * values[1] + 11 * values[2]
    assert reference.accumulate(layer, [np.array([[5, 7, 11]])], [Format(8)]).tolist() == [[expected]]


@pytest.mark.parametrize(
    ("x", "values"), [(Format(1, kind=Kind.BINARY), [-1, 1]), (Format(4, kind=Kind.MIDRISE), [-15, -13])]
)
def test_padding_is_zero_in_formats_without_a_zero_code(x, values):
    layer = Layer(
        "c", Op.CONV, ("input",), U8, weight=QTensor(np.ones((1, 1, 1, 3), int), S8), bias=np.array([0]),
        geometry=Geometry((1, 3), padding=(0, 1)),
    )  # fmt: skip
    assert reference.accumulate(layer, [np.array([[[[0, 1]]]])], [x]).tolist() == [[[[sum(values)] * 2]]]


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


def test_add_by_every_rule():
    a, b = np.array([[0, 1, 2, 3, 0, 0]]), np.array([[1, 0, 0, 0, 3, 5]])
    for rule, exactly in EXACTLY.items():
        r = Requantizer(np.array([3, 1]), np.array([1]), low=0, high=255, rounding=rule)
        layer = Layer("a", Op.ADD, ("x", "y"), Format(8, zero_point=10), requantizer=r)
        values = zip((a - 2).ravel().tolist(), (b - 4).ravel().tolist(), strict=True)
        expected = [10 + exactly(Fraction(3 * left + right, 2)) for left, right in values]
        assert reference.add(layer, [a, b], [Format(8, zero_point=2), Format(8, zero_point=4)]).tolist() == [expected]


def test_concatenation_gives_each_operand_its_own_scale():
    r = Requantizer(np.array([1, 3, 1]), np.array([1, 1, 0]), low=0, high=20)
    layer = Layer("c", Op.CONCAT, ("x", "y", "x"), Format(8, zero_point=5), requantizer=r)
    x, y = np.array([[[0, 1], [2, 9]]]), np.array([[[1, 0]]])  # values -1 to 8, and 1 and -1
    formats = [Format(4, zero_point=1), Format(1, kind=Kind.BINARY), Format(4, zero_point=1)]
    out = reference.concat(layer, [x, y, x], formats)
    assert out.tolist() == [[[5, 5], [6, 9], [7, 4], [4, 5], [6, 13]]]
    narrow = Layer("c", Op.CONCAT, ("x", "y", "x"), Format(8, zero_point=5), requantizer=Requantizer(
        r.multiplier, r.shift, low=5, high=9))  # fmt: skip
    np.testing.assert_array_equal(reference.concat(narrow, [x, y, x], formats), np.clip(out, 5, 9))


# Thresholds.


def test_thresholds_count_the_levels_that_are_reached():
    levels = np.array([[-3, 0, 0, 7], [1, 1, 1, 1]])
    layer = Layer("l", Op.LINEAR, (INPUT,), Format(4, signed=True), requantizer=Thresholds(levels, low=-2))
    sums = np.array([[-4, 0], [-3, 1], [-1, 2], [0, -9], [6, 1], [7, 1]])
    assert reference.requantize(layer, sums).tolist() == [[-2, -2], [-1, 2], [-1, 2], [1, -2], [1, 2], [2, 2]]


@pytest.mark.parametrize("rule", Rounding)
@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_thresholds_equal_every_monotone_requantizer_of_few_bits(rule, bits):
    """Each level is the smallest sum that reaches its code, over all sums of 11 bits."""
    sums = np.arange(-1024, 1024)
    rng = np.random.default_rng(bits)
    for output in (Format(bits), Format(bits, signed=True, zero_point=rng.integers(-(1 << bits - 1), 1 << bits - 1))):
        for multiplier, shift in ((2**30, 30), (2**30, 34), (3 * 2**29, 36), (int(rng.integers(2**30, 2**31)), 38)):
            r = Requantizer(np.array([multiplier]), np.array([shift]), output.qmin, output.qmax, rule)
            if rule is Rounding.F32_HALF_EVEN:
                r = float_scale(multiplier / 2**shift)
                r = Requantizer(r.multiplier, r.shift, output.qmin, output.qmax, rule)
            codes = np.array(requantized(sums, r, output))
            assert np.all(np.diff(codes) >= 0)
            low = int(codes[0])
            count = max(int(codes[-1]) - low, 1)
            levels = [int(sums[codes > low + k][0]) if (codes > low + k).any() else 5000 for k in range(count)]
            thresholds = Layer("l", Op.LINEAR, (INPUT,), output, requantizer=Thresholds(np.array([levels]), low))
            np.testing.assert_array_equal(reference.requantize(thresholds, sums[:, None]).ravel(), codes)


# Softmax, layer norm, matmul and reorderings.


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=9), st.sampled_from((1, 7, 255, 256, 65536)))
def test_softmax_divides_by_the_sum_of_the_table_entries(codes, one):
    table = [int(2**31 * exp(-d / 9)) - 1 for d in range(100)]
    layer = Layer(
        "p", Op.SOFTMAX, (INPUT,), Format(8, signed=True, zero_point=-100), softmax=Softmax(np.array(table), one)
    )
    weight = [table[max(codes) - c] if max(codes) - c < 100 else 0 for c in codes]
    exact = [EXACTLY[Rounding.HALF_UP](Fraction(w * one, sum(weight))) for w in weight]
    expected = [min(max(share - 100, -128), 127) for share in exact]
    assert reference.softmax(layer, np.array([codes])).tolist() == [expected]


def test_softmax_is_independent_per_row():
    layer = Layer("p", Op.SOFTMAX, (INPUT,), U8, softmax=Softmax(np.array([3, 1]), 200))
    rows = np.array([[[5, 5], [5, 4], [4, 5], [250, 0]]])
    assert reference.softmax(layer, rows).tolist() == [[[100, 100], [150, 50], [50, 150], [200, 0]]]


def normalized(values: list[int]) -> list[int]:
    """Normalize a row in Python integers: exact mean and variance, one integer root, half up."""
    size, total = len(values), sum(values)
    variance = size * sum(v * v for v in values) - total * total
    root = max(isqrt(variance << 16), 1)
    return [EXACTLY[Rounding.HALF_UP](Fraction((size * v - total) << NORM_BITS + 8, root)) for v in values]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(-(2**16), 2**16), min_size=1, max_size=100) | st.lists(st.integers(-2, 2), min_size=1))
def test_normalize_is_its_rule_in_python_integers(values):
    assert reference.normalize(np.array([values])).tolist() == [normalized(values)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(-255, 255), min_size=2, max_size=64).filter(lambda v: len(set(v)) > 1))
def test_normalize_is_close_to_real_arithmetic(values):
    x = np.array(values, dtype=np.float64)
    exact = (x - x.mean()) / x.std()
    found = reference.normalize(np.array([values]))[0] / 2**NORM_BITS
    # half a unit of rounding, and a root that is too small by less than one in 256 * D * deviation
    assert np.abs(found - exact).max() <= 0.5 / 2**NORM_BITS + np.abs(exact).max() / (256 * len(x) * x.std() - 1)


def test_layer_norm_has_a_weight_per_feature():
    weight = QTensor(np.array([2, -1, 3]), S8)
    layer = Layer("n", Op.LAYER_NORM, (INPUT,), S8, weight=weight, bias=np.array([10, 20, 30]))
    normal = reference.normalize(np.array([[-3, 0, 3]]))
    found = reference.accumulate(layer, [np.array([[-2, 1, 4]])], [Format(4, signed=True, zero_point=1)])
    np.testing.assert_array_equal(found, normal * [2, -1, 3] + [10, 20, 30])
    constant = reference.accumulate(layer, [np.array([[5, 5, 5]])], [Format(4, signed=True, zero_point=1)])
    assert constant.tolist() == [[10, 20, 30]]


def test_matmul_multiplies_the_last_two_axes():
    a, b = np.arange(12).reshape(1, 2, 2, 3), np.arange(18).reshape(1, 2, 3, 3)
    layer = Layer("m", Op.MATMUL, ("a", "b"), S8)
    out = reference.accumulate(layer, [a, b], [Format(8, zero_point=2), U8])
    for head, row, column in np.ndindex(2, 2, 3):
        assert out[0, head, row, column] == sum(
            int(a[0, head, row, k] - 2) * int(b[0, head, k, column]) for k in range(3)
        )


def test_reorderings_keep_every_code_and_the_sample():
    x = np.arange(2 * 24).reshape(2, 2, 3, 4)
    moved = Layer("t", Op.TRANSPOSE, (INPUT,), U8, axes=(2, 0, 1))
    shaped = Layer("r", Op.RESHAPE, (INPUT,), U8, shape=(6, 4))
    flat = Layer("f", Op.FLATTEN, (INPUT,), U8)
    turned = reference.compute(moved, [x], [U8])
    assert turned.shape == (2, 4, 2, 3) and turned[1, 3, 0, 2] == x[1, 0, 2, 3]
    assert reference.compute(shaped, [x], [U8])[1, 5].tolist() == x[1, 1, 2].tolist()
    assert reference.compute(flat, [x], [U8])[1].tolist() == list(range(24, 48))


# Regions.


def test_regions_at_the_edge_count_only_their_own_codes():
    codes = np.zeros((1, 2, 3, 3), dtype=np.int64)
    codes[:, :, 2, 2] = 10  # a region of one pixel, two channels: mean 10
    region = Region(2, 2, 10 << 4, np.zeros(1, np.int8))
    assert reference.sensitive_regions(region, codes).tolist() == [[[False, False], [False, True]]]


def test_regions_per_channel_count_only_the_codes_of_the_channel():
    codes = np.zeros((1, 2, 3, 3), dtype=np.int64)
    codes[0, 0, 2, 2], codes[0, 1, :2, :2] = 10, [[10, 10], [10, 9]]  # a whole region of mean 9.75
    region = Region(2, 2, 10 << 4, np.zeros(1, np.int8), per_channel=True)
    lower_right = [[False, False], [False, True]]
    assert reference.sensitive_regions(region, codes).tolist() == [[lower_right, [[False, False], [False, False]]]]
    codes[0, 1, 1, 1] = 10
    mask = reference.sensitive_regions(region, codes)
    assert mask.tolist() == [[lower_right, [[True, False], [False, False]]]]
    pixels = reference.spread(mask, region, codes.shape)
    assert pixels.shape == codes.shape and np.argwhere(pixels[0, 0]).tolist() == [[2, 2]]
    assert np.argwhere(pixels[0, 1]).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_regions_per_channel_select_weights_per_channel():
    """One pixel, two channels with codes 160 and 16: the first is sensitive, the second is the coarse code 1."""
    weight = QTensor(np.array([[[[3]], [[5]]]], np.int8), S8)
    region = Region(1, 1, 100 << 4, np.array([[[[7]], [[2]]]]), per_channel=True)
    layer = Layer("c", Op.CONV, ("x",), S32, weight=weight, bias=np.zeros(1, np.int64), region=region)
    sums = reference.region_products(layer, region, np.array([160, 16]).reshape(1, 2, 1, 1), U8)
    assert sums.item() == 160 * 3 + (1 * 2 << 8)


# Walks through a PE array.


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
