"""Every rounding rule in every epilogue: exact ties, both signs, all shifts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwsim.formats import TERNARY, Format, Kind
from hwsim.kernels.inference import requantize as kernels
from hwsim.kernels.inference.instructions import Epilogue
from hwsim.kernels.inference.instructions import StepKind as Step
from hwsim.network.layer import INPUT, INT32, Accumulator, Geometry, Layer, Op, Requantizer, Rounding, Thresholds
from tests.support.agree import COMPILED, S8, S16, U8, assert_kernels_agree, conv, linear, network, steps

ONE_STEP = [rule for rule in Rounding if rule.one_step]
ALL_CODES = np.arange(-(2**15), 2**15)[:, None]


def test_the_kernels_use_the_indices_of_the_enum():
    names = [name for name in vars(kernels) if name in Rounding.__members__]
    assert {name: getattr(kernels, name) for name in names} == {r.name: i for i, r in enumerate(Rounding)}


def each_alone(first: Layer, x: Format = S16):
    """Return a network whose layer `first` reads one code per channel; the logits are its codes."""
    return network(x, (1,), first, linear(np.eye(len(first.bias), dtype=int), source=first.name))


def float_bits(scales) -> np.ndarray:
    return np.asarray(scales, dtype=np.float32).view(np.int32).astype(np.int64)


@pytest.mark.parametrize("rule", Rounding)
def test_all_codes_by_all_small_shifts(rule):
    """All 65,536 values of 16 bits, shifted by 0 to 17, so that every tie occurs."""
    shifts = np.arange(18)
    r = Requantizer(np.ones(18, np.int64), shifts, S16.qmin, S16.qmax, rule)
    if rule is Rounding.F32_HALF_EVEN:
        r = dataclasses.replace(r, multiplier=float_bits(2.0**-shifts), shift=0 * shifts)
    if rule is Rounding.GEMMLOWP_DOUBLE:
        r = dataclasses.replace(r, multiplier=np.full(18, 2**30), shift=shifts + 30)
    net = each_alone(linear(np.ones((18, 1)), source=INPUT, name="one", r=r, output=S16))
    assert_kernels_agree(net, ALL_CODES)


@pytest.mark.parametrize(
    ("rule", "bits"), [*((rule, bits) for rule in ONE_STEP for bits in (32, 48)), (Rounding.GEMMLOWP_DOUBLE, 32)]
)
def test_ties_at_every_large_shift(rule, bits):
    """Products that are an odd number of halves of 2^shift, and their neighbors, up to the largest shift."""
    mantissa = 63 - bits
    shifts = np.repeat(np.arange(mantissa + 1, 62), 2)
    halves = np.where(np.arange(len(shifts)) % 2, 1, -1) << np.maximum(shifts - mantissa, 0)  # half of 2^shift
    bias = np.clip(halves, -(2 ** (bits - 1)) + 4, 2 ** (bits - 1) - 4)
    r = Requantizer(np.full(len(shifts), 1 << (mantissa - 1)), shifts, S16.qmin, S16.qmax, rule)
    one = linear(np.ones((len(shifts), 1)), S8, bias, INPUT, "one", r, S16, Accumulator(bits))
    assert_kernels_agree(each_alone(one, Format(3, signed=True)), np.arange(-4, 4)[:, None])


@pytest.mark.parametrize("zero", [0, 1, 100, 255])
@pytest.mark.parametrize("shift", [0, 1, 2, 7, 8, 22, 30, 31, 32, 38, 45])
def test_ties_by_vectors_of_bytes(shift, zero):
    """Half up, one byte per code: 20 channels with 256 sums each, around 20 different codes."""
    output = Format(8, zero_point=zero)
    multiplier = np.full(20, 1 << min(shift, 30))  # one, or a power of two that leaves up to 15 fraction bits
    fraction = shift - min(shift, 30)
    bias = ((np.arange(20) - 10) * 16 << fraction) + (1 << fraction >> 1) - 128
    r = Requantizer(multiplier, np.full(20, shift), 0, 255)
    one = dataclasses.replace(
        conv("one", INPUT, 1, 20, r=r, output=output, w=TERNARY), weight=conv("w", INPUT, 1, 20, w=TERNARY).weight,
        bias=bias,
    )  # fmt: skip
    one = dataclasses.replace(one, weight=dataclasses.replace(one.weight, codes=np.ones((20, 1, 1, 1), np.int8)))
    net = network(U8, (1, 16, 16), one, _identity(20))
    for kernel in COMPILED:
        assert (Step.GEMM, Epilogue.BYTES) in steps(net, kernel)
    assert_kernels_agree(net, np.arange(256).reshape(1, 1, 16, 16))


def _identity(channels: int) -> Layer:
    out = conv("out", "one", channels, channels, last=True)
    eye = np.eye(channels, dtype=np.int8).reshape(channels, channels, 1, 1)
    return dataclasses.replace(
        out, weight=dataclasses.replace(out.weight, codes=eye), bias=np.zeros(channels, np.int64)
    )


@pytest.mark.parametrize("rule", ONE_STEP)
def test_adds_and_concatenations_by_every_rule(rule):
    """Two copies of each code: sums and single values with every tie of shifts 0 to 9."""
    for shift in range(10):
        r = Requantizer(np.array([1, 2]), np.array([shift]), S16.qmin, S16.qmax, rule)
        both = Layer("add", Op.ADD, (INPUT, INPUT), S16, requantizer=r)
        rows = dataclasses.replace(r, shift=np.array([shift, shift + 1]))
        joined = Layer("joined", Op.CONCAT, ("add", INPUT), S16, requantizer=rows)
        net = network(S16, (1,), both, joined, linear(np.eye(2, dtype=int), source="joined"))
        assert_kernels_agree(net, ALL_CODES[::7])


@pytest.mark.parametrize("rule", Rounding)
def test_pools_matmul_and_layer_norm_by_every_rule(rule):
    """One multiplier for all channels, or one per channel, in every requantized layer that is no convolution."""
    shift, count = 36, 5
    full = Requantizer(np.array([2**30 + 7]), np.array([shift]), 0, 200, rule)
    if rule is Rounding.F32_HALF_EVEN:
        full = dataclasses.replace(full, multiplier=float_bits([2.0**-6]), shift=np.array([0]))
    each = dataclasses.replace(full, multiplier=np.repeat(full.multiplier, count), shift=np.repeat(full.shift, count))
    geometry = Geometry((2, 3), (1, 2), (1, 0), padding_end=(0, 2))
    gamma = linear([[3, -2, 5, 7, -128]]).weight
    layers = (
        Layer("pool", Op.AVG_POOL, (INPUT,), U8, geometry=geometry, requantizer=full),
        Layer("product", Op.MATMUL, ("pool", INPUT), U8, requantizer=full),
        Layer("norm", Op.LAYER_NORM, ("product",), U8, weight=dataclasses.replace(gamma, codes=gamma.codes[0]),
              bias=np.arange(5), requantizer=each),
        Layer("mean", Op.GLOBAL_AVG_POOL, ("norm",), U8, requantizer=full),
    )  # fmt: skip
    net = network(U8, (5, 3, 5), *layers, conv("out", "mean", 5, 4, last=True))
    codes = np.random.default_rng(3).integers(0, 256, (6, 5, 3, 5))
    assert_kernels_agree(net, codes)


@pytest.mark.parametrize("bits", [9, 24, 25, 32, 48])
def test_float_scales_of_every_size(bits):
    """float32 has 24 bits: a larger sum is rounded before it is multiplied."""
    scales = [2.0**-k for k in (0, 1, 8, 20, 30, 46)] + [1 / 3, 1e-3, 7e-9, 0.0, 1.1754944e-38, 3.4e38, 1e6]
    r = Requantizer(float_bits(scales), np.zeros(len(scales), np.int64), S16.qmin, S16.qmax, Rounding.F32_HALF_EVEN)
    high = 2 ** (bits - 1) - 1
    for bias in (0, high // 3, -high // 2, high - 2**15 if bits > 17 else 0, -high + 2**15 if bits > 17 else 0):
        one = linear(np.ones((len(scales), 1)), S8, np.full(len(scales), bias), INPUT, "one", r, S16, Accumulator(bits))
        assert_kernels_agree(each_alone(one), ALL_CODES[::37])


@pytest.mark.parametrize("output", [Format(1), Format(2, signed=True), Format(1, kind=Kind.BINARY), U8, S16], ids=str)
@pytest.mark.parametrize("common", [False, True])
def test_thresholds(output, common):
    """Every sum of 16 bits against levels that are equal, far apart, and out of reach."""
    room = min(255, output.qmax - output.qmin)
    levels = np.sort(np.random.default_rng(room).integers(-40_000, 40_000, (1 if common else 3, room)), axis=1)
    levels[:, room // 2] = levels[:, -1] if room == 1 else levels[:, room // 2 - 1]
    first = linear([[1], [-1], [1]], bias=[0, 5, -9], source=INPUT, name="one", r=Thresholds(levels, output.qmin))
    first = dataclasses.replace(first, output=output, accumulator=INT32)
    net = each_alone(first)
    assert_kernels_agree(net, ALL_CODES)
