"""Residual adds that are fused with the convolution of an operand: the fusion changes no bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwsim.formats import Format
from hwsim.kernels.inference.instructions import Epilogue
from hwsim.network.layer import INPUT, Geometry, Requantizer, Rounding
from tests.support.agree import (
    COMPILED,
    S8,
    U8,
    add,
    assert_cuts_agree,
    assert_kernels_agree,
    conv,
    network,
    random_codes,
    steps,
)

SAME = Geometry((3, 3), padding=(1, 1))
ZERO = Format(8, signed=True, zero_point=21)
CHANNELS = 18


def residual(*layers, x=U8, size=(5, 6)):
    """Return a network of `layers`, the last named "add", and an output layer."""
    return network(x, (CHANNELS, *size), *layers, conv("out", "add", CHANNELS, 4, SAME, last=True, seed=50))


def branch(name="a", source=INPUT, **more):
    return conv(name, source, CHANNELS, CHANNELS, more.pop("geometry", SAME), **more)


def fused(net) -> list[int]:
    """Return the number of fused adds for each kernel."""
    return [sum(emit is Epilogue.BYTES_ADD for _, emit in steps(net, kernels)) for kernels in COMPILED]


@pytest.mark.parametrize("inputs", [("a", INPUT), (INPUT, "a")])
@pytest.mark.parametrize("size", [(5, 6), (1, 1), (3, 2), (4, 9)])
def test_a_convolution_as_first_or_second_operand(inputs, size):
    net = residual(branch(), add(*inputs), size=size)
    assert set(fused(net)) <= {1}
    for samples in (1, 3, 4, 9):
        codes = random_codes(samples, U8, samples, CHANNELS, *size)
        assert_kernels_agree(net, codes)
    for kernels in COMPILED:
        assert_cuts_agree(net, codes, kernels)


@pytest.mark.parametrize("inputs", [("a", "b"), ("b", "a")])
def test_both_operands_are_convolutions(inputs):
    net = residual(branch(), branch("b", seed=7), add(*inputs))
    assert set(fused(net)) <= {1}
    assert_kernels_agree(net, random_codes(1, U8, 5, CHANNELS, 5, 6))


def test_one_convolution_feeds_the_other():
    net = residual(branch(), branch("b", "a", seed=7), add("a", "b"))
    assert set(fused(net)) <= {1}
    assert_kernels_agree(net, random_codes(2, U8, 5, CHANNELS, 5, 6))


def test_a_convolution_that_is_read_twice():
    last = branch("b", "a", seed=7)
    joined = dataclasses.replace(add("add0", "b"), name="add", inputs=("add0", "b"))
    net = residual(branch(), dataclasses.replace(add("a", INPUT), name="add0"), last, joined)
    assert_kernels_agree(net, random_codes(3, U8, 5, CHANNELS, 5, 6))
    assert set(fused(net)) <= {1}  # the second add only: "a" is read by the first add and by "b"


def test_the_same_operand_twice():
    net = residual(branch(), add("a", "a"))
    assert set(fused(net)) <= {0}
    assert_kernels_agree(net, random_codes(4, U8, 5, CHANNELS, 5, 6))


def test_two_adds_in_a_row():
    first = dataclasses.replace(add("a", INPUT), name="add0")
    net = residual(branch(), first, branch("b", seed=3), add("add0", "b"))
    assert set(fused(net)) <= {2}
    assert_kernels_agree(net, random_codes(5, U8, 5, CHANNELS, 5, 6))


@pytest.mark.parametrize("x", [U8, ZERO, Format(3), Format(12)], ids=str)
@pytest.mark.parametrize("middle", [U8, ZERO, Format(6, signed=True, narrow_range=True)], ids=str)
@pytest.mark.parametrize("output", [U8, ZERO, Format(2), Format(9)], ids=str)
def test_operands_and_results_of_every_format(x, middle, output):
    r = Requantizer(np.array([1 << 30, 3 << 28]), np.array([31]), output.zero_point, output.qmax - 1)
    net = residual(branch(output=middle), add("a", INPUT, output, r), x=x)
    assert_kernels_agree(net, random_codes(6, x, 3, CHANNELS, 5, 6))


@pytest.mark.parametrize("groups", [2, 9, CHANNELS])
@pytest.mark.parametrize("inputs", [("a", INPUT), (INPUT, "a")])
def test_grouped_and_depthwise_convolutions(groups, inputs):
    net = residual(branch(geometry=dataclasses.replace(SAME, groups=groups)), add(*inputs))
    assert_kernels_agree(net, random_codes(7, U8, 5, CHANNELS, 5, 6))


@pytest.mark.parametrize("rounding", [rule for rule in Rounding if rule.one_step])
def test_every_rounding(rounding):
    r = Requantizer(np.array([1, 1]), np.array([1]), 0, 255, rounding)  # half of all sums are ties
    net = residual(branch(), add("a", INPUT, r=r))
    assert_kernels_agree(net, random_codes(8, U8, 3, CHANNELS, 5, 6))


@pytest.mark.parametrize("shift", [0, 1, 7, 8, 15, 16, 17, 30, 31, 32, 46, 47, 48, 49, 62])
@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_every_shift_with_exact_ties(shift, largest, zero):
    """Multipliers with sums within the codes, half of them ties; or the largest multipliers."""
    power = min(max(shift - 1, 0), 30)
    both = np.array([2**31 - 1, 2**31 - 1] if largest else [1 << power, 3 << power >> 1])
    format = ZERO if zero else U8
    r = Requantizer(both.astype(np.int64), np.array([shift]), format.qmin, format.qmax)
    net = residual(branch(output=format), add("a", INPUT, format, r), x=format, size=(2, 5))
    codes = random_codes(9, format, 2, CHANNELS, 2, 5)
    codes[0, :9], codes[0, 9:] = format.qmin, format.qmax
    assert_kernels_agree(net, codes)


@pytest.mark.parametrize("other", [3, 2**20, 2**31 - 1])
def test_every_pair_of_codes(other):
    """The convolution copies one channel, so that the add reads all 65,536 pairs of codes."""
    copy_codes = Requantizer(np.array([1 << 30]), np.array([30]), 0, 255)
    one = conv("a", INPUT, 2, 2, r=copy_codes)
    eye = np.array([[0, 1], [1, 0]]).reshape(2, 2, 1, 1)  # each channel is added to the other
    one = dataclasses.replace(one, weight=dataclasses.replace(one.weight, codes=eye), bias=np.zeros(2, np.int64))
    r = Requantizer(np.array([2**30, other]), np.array([31]), 0, 255)
    out = conv("out", "add", 2, 2, last=True, w=S8)
    pairs = np.stack(np.meshgrid(np.arange(256), np.arange(256))).reshape(1, 2, 256, 256)
    net = network(U8, (2, 256, 256), one, add("a", INPUT, r=r), out)
    assert set(fused(net)) <= {1}
    assert_kernels_agree(net, pairs)
