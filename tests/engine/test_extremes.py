"""Largest operands, sums at the bounds of each accumulator width, and more terms than an accumulator can sum."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwsim import reference
from hwsim.formats import LOGITS, Format, Kind
from hwsim.network.check import MAX_NORM
from hwsim.network.layer import INPUT, Accumulator, Geometry, Layer, Op, Overflow, Requantizer, Softmax
from tests.support.agree import (
    COMPILED,
    S8,
    S16,
    U8,
    add,
    assert_kernels_agree,
    conv,
    execute,
    linear,
    network,
    random_codes,
)

U16 = Format(16)
IDENTITY = Requantizer(np.array([1]), np.array([0]), S16.qmin, S16.qmax)


def codes_as_logits(weight, bias, accumulator, r, x=U8, w=S8, output=S16):
    """Return a linear layer whose codes are copied to the logits."""
    first = linear(weight, w, bias, INPUT, "sums", r, output, accumulator)
    return network(x, (len(weight[0]),), first, linear(np.eye(len(weight), dtype=int), source="sums"))


# More terms than an accumulator can sum.


@pytest.mark.parametrize("w", [127, -128])
@pytest.mark.parametrize("overflow", Overflow)
def test_seventy_thousand_terms(w, overflow):
    """70,000 products of the largest magnitude exceed 32 bits: they wrap, saturate, or fit 33 bits."""
    terms, bits = 70_000, 33 if overflow is Overflow.CHECK else 32
    exact = terms * 255 * w
    weight = np.full((2, terms), w)
    weight[1, 1::2] = -weight[1, 1::2] - 1  # partial sums stay near zero
    high = 2 ** (bits - 1) - 1
    right = {
        Overflow.WRAP: (exact + 2**31) % 2**32 - 2**31,
        Overflow.SATURATE_END: min(max(exact, -high - 1), high),
        Overflow.SATURATE_STEP: min(max(exact, -high - 1), high),
        Overflow.CHECK: exact,
    }[overflow]
    other = 255 * int(weight[1].sum())
    r = Requantizer(np.array([1]), np.array([18]), S16.qmin, S16.qmax)
    net = codes_as_logits(weight, [0, 0], Accumulator(bits, overflow), r)
    wanted = assert_kernels_agree(net, np.full((1, terms), 255))
    np.testing.assert_array_equal(wanted.outputs, [[(right + 2**17) >> 18, (other + 2**17) >> 18]])


@pytest.mark.parametrize("terms", [65_793, 65_794])
def test_planes_of_wide_weights_at_the_edge_of_int32(terms):
    """-32640 is -127 * 256 - 128: 65,793 of its low bytes sum to just below 2^31, one more exceeds it."""
    weight = np.full((1, terms), -32640)
    assert (128 * 255 * terms < 2**31) == (terms == 65_793)
    r = Requantizer(np.array([1]), np.array([26]), S16.qmin, S16.qmax)
    net = codes_as_logits(weight, [0], Accumulator(48), r, w=S16)
    wanted = assert_kernels_agree(net, np.full((2, terms), 255))
    assert wanted.outputs.ravel().tolist() == [(-32640 * 255 * terms + 2**25) >> 26] * 2


# Sums at the bounds of int32 and of every other width.


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    "accumulator",
    [Accumulator(32, Overflow.SATURATE_END), Accumulator(32), Accumulator(33), Accumulator(48, Overflow.CHECK)],
    ids=str,
)
def test_bounds_of_exactly_two_to_the_31(over, sign, accumulator):
    """The proved bound is 2^31 - 1, 2^31 or 2^31 + 1, and the sum reaches it: only 2^31 - 1 fits int32."""
    bias = sign * (2**31 - 255 * 127 + over)
    r = Requantizer(np.array([1]), np.array([17]), S16.qmin, S16.qmax)
    net = codes_as_logits([[sign * 127]], [bias], accumulator, r)
    wanted = assert_kernels_agree(net, np.array([[255], [254], [0]]))
    sums = reference.apply_overflow(np.array([sign * 127 * x + bias for x in (255, 254, 0)]), accumulator)
    np.testing.assert_array_equal(wanted.outputs.ravel(), (sums + 2**16) >> 17)


@pytest.mark.parametrize("bits", [8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 47, 48])
@pytest.mark.parametrize("overflow", [Overflow.WRAP, Overflow.SATURATE_END, Overflow.SATURATE_STEP])
def test_sums_around_the_end_of_every_width(bits, overflow):
    """Biases are two below each bound; increasing codes cross the bound one by one."""
    high = 2 ** (bits - 1) - 1
    weight = np.array([[1], [-1], [127], [-128]])
    bias = np.array([high - 2, -high + 1, high - 254, -high + 255])
    shift = max(bits - 15, 0)
    r = Requantizer(np.array([1]), np.array([shift]), S16.qmin, S16.qmax)
    fine = Requantizer(np.array([1]), np.array([0]), S16.qmin, S16.qmax)  # the low bits, clipped
    for one in (r, fine):
        net = codes_as_logits(weight, bias, Accumulator(bits, overflow), one)
        assert_kernels_agree(net, np.arange(8)[:, None])


def test_logits_of_every_width():
    for bits in (8, 13, 31, 32):
        for overflow in (Overflow.WRAP, Overflow.SATURATE_END, Overflow.SATURATE_STEP):
            weight = random_codes(bits, S8, 17, 40)
            net = network(U8, (40,), linear(weight, accumulator=Accumulator(bits, overflow)))
            assert_kernels_agree(net, random_codes(1, U8, 5, 40))


# Wide operands.


@pytest.mark.parametrize("x", [U8, U16, S16, Format(16, signed=True, zero_point=-32768)], ids=str)
def test_weights_of_sixteen_bits_at_their_extremes(x):
    """Two signed bytes cover -32896 to 32639: larger weights are stored negated, or not in bytes."""
    extremes = np.array([-32768, 32767, 32640, 32639, -32640, -32767, -129, 128, 0, 1])
    filters = [extremes, *np.diag(extremes), np.full(10, 32767), np.full(10, 32640), np.full(10, -32768)]
    filters += [np.where(np.arange(10) % 2, low, high) for low in (-32768, -32640) for high in (32767, 32640, 32639)]
    weight = np.array(filters)
    r = Requantizer(np.array([1]), np.array([20]), S16.qmin, S16.qmax)
    net = codes_as_logits(weight, np.arange(len(weight)), Accumulator(48), r, x=x, w=S16)
    largest = np.full((1, 10), x.qmax), np.full((1, 10), x.qmin)
    codes = np.concatenate([*largest, random_codes(3, x, 6, 10)])
    assert_kernels_agree(net, codes)
    for row in weight:  # each filter alone, so that no other filter determines the step
        assert_kernels_agree(codes_as_logits(row[None], [5], Accumulator(48), r, x=x, w=S16), codes)


@pytest.mark.parametrize("filters", [1, 17, 40])
def test_wide_maps_and_wide_weights(filters):
    geometry = Geometry((3, 3), (2, 1), (1, 1))
    first = conv("one", INPUT, 7, filters, geometry, w=S16, output=U16, accumulator=Accumulator(48))
    net = network(U16, (7, 9, 10), first, conv("two", "one", filters, 3, last=True, w=Format(3, signed=True)))
    codes = random_codes(1, U16, 3, 7, 9, 10)
    codes[0] = 65535
    assert_kernels_agree(net, codes)


@pytest.mark.parametrize("kind", [Kind.MIDRISE, Kind.UNIFORM])
def test_operands_at_the_largest_magnitude(kind):
    """Both operands have 15-bit odd or 16-bit codes, in convolution, matmul, add and pools."""
    x = Format(15, kind=kind) if kind is Kind.MIDRISE else Format(16, signed=True, zero_point=-32768)
    wide = Accumulator(48)
    down = Requantizer(np.array([1]), np.array([22]), x.qmin, x.qmax)
    turned = Layer("turned", Op.TRANSPOSE, (INPUT,), x, axes=(0, 2, 1))
    product = Layer("product", Op.MATMUL, (INPUT, "turned"), x, requantizer=down, accumulator=wide)
    both = add("product", INPUT, x, Requantizer(np.array([2**31 - 1, 2**31 - 2]), np.array([33]), x.qmin, x.qmax))
    summed = Layer("summed", Op.AVG_POOL, ("add",), x, geometry=Geometry((5, 5), padding=(2, 2)),
                   requantizer=Requantizer(np.array([2**15 - 1]), np.array([20]), x.qmin, x.qmax),
                   accumulator=wide)  # fmt: skip
    out = conv("out", "summed", 2, 2, last=True, w=Format(9, kind=Kind.MIDRISE))
    net = network(x, (2, 6, 6), turned, product, both, summed, out)
    codes = random_codes(4, x, 4, 2, 6, 6)
    codes[0], codes[1] = x.qmax, x.qmin
    assert_kernels_agree(net, codes)


def test_values_of_more_than_sixteen_bits_run_by_the_definition():
    wide = Format(16, kind=Kind.MIDRISE)  # -65535 to 65535
    first = linear([[1, -1, 1]], Format(8, signed=True), [3], INPUT, "one", IDENTITY, S16, Accumulator(20))
    net = network(wide, (3,), first, linear([[1]], source="one"))
    codes = random_codes(5, wide, 4, 3)
    np.testing.assert_array_equal(execute(net, codes).outputs, assert_kernels_agree(net, codes, compiles=False).outputs)


# Layer norm, integer root and softmax at their limits.


def test_layer_norm_at_its_largest_size():
    """128 features of 16 bits: the variance is shifted up to just below 2^62."""
    features = MAX_NORM // 65535
    r = Requantizer(np.array([1]), np.array([14]), S16.qmin, S16.qmax)
    norm = Layer("norm", Op.LAYER_NORM, (INPUT,), S16, weight=linear([range(features)]).weight,
                 bias=np.arange(features), requantizer=r)  # fmt: skip
    norm = dataclasses.replace(norm, weight=dataclasses.replace(norm.weight, codes=norm.weight.codes[0]))
    eye = linear(np.eye(features, dtype=int), source="norm")
    codes = random_codes(6, U16, 40, features)
    codes[0], codes[1], codes[2], codes[3] = 65535, 0, np.arange(features) % 2 * 65535, np.arange(features) == 5
    for row in range(4, 20):  # nearly constant rows have the smallest roots
        codes[row] = 65535 - (np.arange(features) < row)
    assert_kernels_agree(network(U16, (features,), norm, eye), codes)


@pytest.mark.skipif(not COMPILED, reason="no compiler")
def test_integer_roots_are_exact_around_every_square():
    from hwsim.kernels.inference.pointwise import isqrt

    roots = np.concatenate([np.arange(1, 300), 2 ** np.arange(8, 31), random_codes(7, Format(31), 500), [2**31 - 1]])
    for root in roots.tolist():
        assert isqrt(root * root - 1) == root - 1
        assert isqrt(root * root) == isqrt(root * root + 1) == root


@pytest.mark.parametrize("one", [1, 255, 256, 65536])
@pytest.mark.parametrize("table", [[1], [2**31 - 1] * 300, [2**31 - 1, 2**30, 5, 1, 0, 1], [3, 0, 2]])
def test_softmax_of_extreme_tables(one, table):
    for output in (U16, Format(8, signed=True, zero_point=-128), Format(1)):
        rule = Softmax(np.array(table), one)
        soft = Layer("soft", Op.SOFTMAX, (INPUT,), output, softmax=rule)
        net = network(U8, (3, 50), soft, linear(np.eye(50, dtype=int), source="soft"))
        codes = random_codes(one, U8, 4, 3, 50)
        codes[0] = 7
        codes[1] %= 4
        assert_kernels_agree(net, codes)


def test_the_last_layer_may_give_logits_for_every_token():
    net = network(U8, (4, 6), linear(random_codes(8, S8, 5, 6), bias=range(5)))
    wanted = assert_kernels_agree(net, random_codes(9, U8, 5, 4, 6))
    assert wanted.outputs.shape == (5, 20) and net.formats["out"] == LOGITS
