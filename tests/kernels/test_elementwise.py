"""Requantization, adds and pools against the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.formats import Format
from hwsim.kernels import elementwise
from hwsim.network.layer import Geometry, Layer, Op, Requantizer
from tests.networks import codes_of, formats, geometries, requantizers


def layer_with(requantizer, output, op=Op.AVG_POOL):
    return Layer("layer", op, ("input",), output, requantizer=requantizer)


def requantize(accumulators, r, output):
    return elementwise.requantize(
        accumulators.astype(np.int32), r.multiplier, r.shift, output.zero_point, r.low, r.high
    )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_requantize_equals_the_reference(data):
    output = data.draw(formats())
    channels = data.draw(st.integers(1, 4))
    largest = data.draw(st.sampled_from((1, 200, 70_000, 2**31)))
    r = data.draw(requantizers(output, channels, largest))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    accumulators = rng.integers(-largest, largest, (2, channels, 7), dtype=np.int64)
    accumulators[0, :, :3] = -(2**31), 2**31 - 1, 0
    expected = reference.requantize(layer_with(r, output), accumulators)
    np.testing.assert_array_equal(requantize(accumulators, r, output), expected)


@pytest.mark.parametrize("shift", [1, 5, 31])
def test_exact_ties_of_both_signs_go_up(shift):
    output = Format(8, signed=True, zero_point=3)
    r = Requantizer(np.array([1 << (shift - 1)]), np.array([shift]), -128, 127)  # acc / 2: odd sums tie
    accumulators = np.arange(-9, 10, dtype=np.int64).reshape(1, 1, -1)
    expected = [(a + 1) // 2 + 3 for a in range(-9, 10)]
    assert requantize(accumulators, r, output).ravel().tolist() == expected
    assert reference.requantize(layer_with(r, output), accumulators).ravel().tolist() == expected


def test_shift_0_rounds_nothing():
    r = Requantizer(np.array([1]), np.array([0]), -128, 127)
    accumulators = np.arange(-5, 6, dtype=np.int64).reshape(1, 1, -1)
    assert requantize(accumulators, r, Format(8, signed=True)).ravel().tolist() == list(range(-5, 6))


def test_largest_products_fit_64_bits():
    r = Requantizer(np.array([2**31 - 1]), np.array([62]), -128, 127)
    accumulators = np.array([-(2**31), 2**31 - 1], dtype=np.int64).reshape(1, 1, -1)
    assert requantize(accumulators, r, Format(8, signed=True)).ravel().tolist() == [-1, 1]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_add_equals_the_reference(data):
    format_a, format_b, output = (data.draw(formats()) for _ in range(3))
    r = data.draw(requantizers(output, 2, format_a.max_magnitude + format_b.max_magnitude, common_shift=True))
    a, b = (codes_of(data.draw, f, (3, 11)).astype(np.int16) for f in (format_a, format_b))
    got = elementwise.add(
        a, format_a.zero_point, b, format_b.zero_point, r.multiplier, r.shift[0], output.zero_point, r.low, r.high
    )
    operands = [a.astype(np.int64), b.astype(np.int64)]
    np.testing.assert_array_equal(got, reference.add(layer_with(r, output, Op.ADD), operands, [format_a, format_b]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_pools_equal_the_reference(data):
    x = data.draw(formats())
    shape = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8)))
    g = data.draw(geometries(shape))
    codes = codes_of(data.draw, x, (2, *shape)).astype(np.int16)
    wide = codes.astype(np.int64)
    largest = elementwise.max_pool(codes, x.qmin, g.kernel, g.stride, g.padding)
    np.testing.assert_array_equal(largest, reference.windows(wide, g, fill=x.qmin).max(axis=(-2, -1)))
    layer = Layer("pool", Op.AVG_POOL, ("input",), x, geometry=g)
    sums = elementwise.sum_pool(codes, x.zero_point, g.kernel, g.stride, g.padding)
    np.testing.assert_array_equal(sums, reference.accumulate(layer, wide, x))


def test_padding_of_a_max_pool_is_the_smallest_code():
    codes = np.full((1, 1, 2, 2), -5, dtype=np.int16)
    g = Geometry((1, 1), (1, 1), (1, 1))
    pooled = elementwise.max_pool(codes, -8, g.kernel, g.stride, g.padding)
    assert pooled[0, 0].tolist() == [[-8] * 4, [-8, -5, -5, -8], [-8, -5, -5, -8], [-8] * 4]
