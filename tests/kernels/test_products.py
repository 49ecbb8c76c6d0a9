"""Convolution and linear kernels against plain numpy int64 sums."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.kernels import products
from hwsim.network.layer import Geometry
from tests.networks import geometries


@st.composite
def convolutions(draw):
    """Codes, zero point, weights, bias and geometry; values up to the widest that 8-bit codes allow."""
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    channels = groups * draw(st.integers(1, 3))
    shape = (channels, draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    geometry = draw(geometries(shape, groups))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = rng.integers(-128, 256, (draw(st.integers(1, 4)), *shape)).astype(np.int16)
    filters = groups * draw(st.integers(1, 5))
    weights = rng.integers(-128, 256, (filters, channels // groups, *geometry.kernel))
    bias = rng.integers(-(2**31) + 1, 2**31, filters)
    return codes, draw(st.integers(-128, 127)), weights, bias, geometry


def convolve(codes, zero, weights, bias, geometry):
    packed = products.pack(weights, geometry.groups)
    return products.convolve(
        codes, zero, packed, bias.astype(np.int32), geometry.kernel, geometry.stride, geometry.padding
    )


def expected_sums(codes, zero, weights, bias, geometry):
    sums = reference.convolve(codes.astype(np.int64) - zero, weights, geometry)
    return reference.wrap32(sums + bias[:, None, None])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(convolutions())
def test_convolve_equals_int64_sums(case):
    np.testing.assert_array_equal(convolve(*case), expected_sums(*case))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 70), st.integers(1, 70), st.integers(1, 5), st.integers(-128, 127), st.integers(0, 2**32))
def test_multiply_equals_int64_sums(samples, features, outputs, zero, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-128, 256, (samples, features)).astype(np.int16)
    weights = rng.integers(-128, 256, (outputs, features))
    bias = rng.integers(-(2**31) + 1, 2**31, outputs)
    sums = products.multiply(codes, zero, products.pack(weights), bias.astype(np.int32))
    np.testing.assert_array_equal(sums, reference.wrap32((codes.astype(np.int64) - zero) @ weights.T + bias))


@pytest.mark.parametrize("code", [-255, 255])
@pytest.mark.parametrize("weight", [-128, 255])
def test_sums_of_the_largest_products_wrap_around(code, weight):
    terms = 70_000  # 255 * 255 * 70,000 is beyond 2^32
    codes = np.full((3, terms), code, dtype=np.int16)
    weights = np.full((2, terms), weight)
    bias = np.array([2**31 - 1, -(2**31) + 1])
    exact = code * weight * terms + bias
    assert np.any(np.abs(exact) >= 2**31)
    sums = products.multiply(codes, 0, products.pack(weights), bias.astype(np.int32))
    np.testing.assert_array_equal(sums, np.tile(reference.wrap32(exact), (3, 1)))


def test_large_maps_cross_the_blocks_of_pixels():
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 256, (3, 16, 17, 19)).astype(np.int16)
    weights = rng.integers(-128, 128, (9, 16, 3, 3))
    case = codes, 5, weights, rng.integers(-1000, 1000, 9), Geometry((3, 3), (2, 1), (1, 1))
    np.testing.assert_array_equal(convolve(*case), expected_sums(*case))


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 256, (33, 4, 8, 8)).astype(np.int16)
    case = codes, 0, rng.integers(-128, 128, (6, 4, 3, 3)), rng.integers(-9, 9, 6), Geometry((3, 3))
    threads = numba.get_num_threads()
    results = []
    try:
        for count in {1, min(2, numba.config.NUMBA_NUM_THREADS)}:
            numba.set_num_threads(count)
            results.append(convolve(*case))
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(results[0], results[-1])


def nibble_products(a: int, w: int) -> int:
    """An 8-bit product from four products of nibbles, as 4-bit hardware computes it."""
    a_high, a_low, w_high, w_low = a >> 4, a & 15, w >> 4, w & 15
    return (a_high * w_high << 8) + ((a_high * w_low + a_low * w_high) << 4) + a_low * w_low


@pytest.mark.parametrize("a_start", [-128, 0], ids=["s8 x s8", "u8 x s8"])
def test_four_nibble_products_make_every_8_bit_product(a_start):
    for a in range(a_start, a_start + 256):
        for w in range(-128, 128):
            assert nibble_products(a, w) == a * w
