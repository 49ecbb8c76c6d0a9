"""Properties of a network, and every check of its fields."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

from hwsim import reference
from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.network.graph import Network, accumulator_bounds
from hwsim.network.layer import (
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
from tests.support.networks import networks_with_inputs

U8, S8 = Format(8), Format(8, signed=True)


def requantizer(count=1, **changes) -> Requantizer:
    fields = {"multiplier": np.full(count, 2**30), "shift": np.full(count, 35), "low": 0, "high": 255}
    return Requantizer(**(fields | changes))


def weights(*shape, format=S8) -> QTensor:
    return QTensor(np.ones(shape, dtype=np.int8), format)


CONV = Layer(
    "conv", Op.CONV, ("input",), U8, 1.0, weights(4, 2, 3, 3), np.zeros(4, np.int64), requantizer(4),
    Geometry((3, 3), (1, 1), (1, 1)), Region(2, 2, 100, np.zeros((4, 2, 3, 3), np.int8)),
)  # fmt: skip
ADD = Layer("add", Op.ADD, ("conv", "conv"), U8, requantizer=requantizer(2, shift=np.array([35])))
POOL = Layer("pool", Op.MAX_POOL, ("add",), U8, geometry=Geometry((2, 2), (2, 2)))
FLAT = Layer("flat", Op.FLATTEN, ("pool",), U8)
OUT = Layer("out", Op.LINEAR, ("flat",), LOGITS, 1.0, weights(3, 36), np.zeros(3, np.int64))


def network(conv=CONV, add=ADD, pool=POOL, flat=FLAT, out=OUT, **changes) -> Network:
    fields = {"input": U8, "input_shape": (2, 6, 6), "input_scale": 1 / 255, "layers": (conv, add, pool, flat, out)}
    return Network(**(fields | changes))


def but(layer: Layer, **changes) -> Layer:
    return dataclasses.replace(layer, **changes)


def test_shapes_formats_and_lookup():
    net = network()
    assert net.shapes == {
        "input": (2, 6, 6), "conv": (4, 6, 6), "add": (4, 6, 6), "pool": (4, 3, 3), "flat": (36,), "out": (3,),
    }  # fmt: skip
    assert net.formats["out"] == LOGITS and net["pool"] is POOL and net.logit_scale == 1.0
    with pytest.raises(UnknownName, match="Did you mean 'pool'"):
        net["pol"]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(networks_with_inputs())
def test_shapes_and_formats_equal_those_of_the_computed_codes(case):
    net, codes = case
    for name, values in reference.run(net, codes).items():
        assert values.shape[1:] == net.shapes[name]
        net.formats[name].require(values, name)


def test_inputs_are_encoded_half_up_and_clipped():
    net = network(input=Format(8, zero_point=100), input_scale=0.5, conv=but(CONV, region=None))
    values = np.full((1, 2, 6, 6), 0.25, dtype=np.float32)
    values[0, 0, 0, :5] = 0.0, -0.25, 0.24, 1e9, -1e9
    codes = net.encode(values)
    assert codes.dtype == np.int32 and codes[0, 0, 0].tolist() == [100, 100, 100, 255, 0, 101]
    with pytest.raises(HwsimError, match="inputs"):
        net.encode(values[0])


def bad_requantizer(**changes):
    return lambda: network(conv=but(CONV, requantizer=requantizer(4, **changes)))


def bad_region(**changes):
    return lambda: network(conv=but(CONV, region=dataclasses.replace(CONV.region, **changes)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: network(layers=()), "no layers"),
        (lambda: network(input=Format(17)), "network input: got uint17; allowed: at most 16 bits"),
        (lambda: network(input_shape=(2, 0, 6)), "network input shape"),
        (lambda: network(input_scale=0.0), "network input scale"),
        (lambda: network(pool=but(POOL, name="conv")), "'conv': two layers have this name"),
        (lambda: network(pool=but(POOL, inputs=("ad",))), "layer 'pool' input: got ad; .*Did you mean 'add'"),
        (lambda: network(conv=but(CONV, inputs=("pool",))), "layer 'conv' input: got pool"),
        (lambda: network(add=but(ADD, inputs=("conv",))), "'add': add takes 2 inputs, got 1"),
        (lambda: network(add=but(ADD, inputs=("conv", "input"))), "'add': add needs two inputs of one shape"),
        (lambda: network(out=but(OUT, output=S8, requantizer=requantizer())), "'out': the last layer must"),
        (lambda: network(layers=(CONV,)), "'conv': the last layer must"),
        (lambda: network(conv=but(CONV, output=Format(17))), "layer 'conv' output: got uint17"),
        (
            lambda: network(conv=but(CONV, output=Format(1, kind=Kind.CODEBOOK, table=(0, 1)))),
            "layer 'conv' output: got codebook of 1 bits; allowed: uniform, midrise or binary codes",
        ),
        (lambda: network(conv=but(CONV, requantizer=None)), "'conv': conv needs a requantizer"),
        (lambda: network(pool=but(POOL, requantizer=requantizer())), "'pool': max_pool takes no requantizer"),
        (lambda: network(pool=but(POOL, weight=weights(1, 1))), "'pool': only convolution, linear and norm"),
        (lambda: network(conv=but(CONV, bias=None)), "'conv': only convolution, linear and norm"),
        (lambda: network(conv=but(CONV, geometry=Geometry((3, 3), (0, 1)))), "layer 'conv' geometry"),
        (lambda: network(conv=but(CONV, geometry=Geometry((3, 3), groups=0))), "layer 'conv' groups"),
        (lambda: network(conv=but(CONV, geometry=Geometry((3, 3), (2**16, 1)))), "layer 'conv' geometry: got 65536"),
        (lambda: network(conv=but(CONV, geometry=Geometry((3, 3), padding=(2**14, 2**14)))), "layer '(conv|out)'"),
        (lambda: network(conv=but(CONV, geometry=Geometry((2, 3)))), "layer 'conv' weight: got kernel"),
        (lambda: network(conv=but(CONV, geometry=Geometry((3, 3), groups=2))), "'conv': 4 filters of 2 channels"),
        (lambda: network(pool=but(POOL, geometry=Geometry((7, 1)))), "'pool': the window"),
        (lambda: network(pool=but(POOL, output=S8)), "'pool': max_pool keeps the format"),
        (lambda: network(pool=but(POOL, inputs=("flat",), name="flat2"), flat=but(FLAT, inputs=("add",))), "flat"),
        (lambda: network(conv=but(CONV, scale=float("nan"))), "layer 'conv' scale: got nan"),
        (lambda: network(conv=but(CONV, weight=weights(4, 18))), "layer 'conv' weight: got 2 axes"),
        (lambda: network(conv=but(CONV, weight=weights(4, 2, 3, 3, format=Format(17)))), "at most 16 bits"),
        (lambda: network(conv=but(CONV, weight=weights(4, 2, 3, 3, format=Format(8, zero_point=1)))), "zero point 0"),
        (lambda: network(out=but(OUT, weight=weights(3, 35))), "'out': the weights need 35 features"),
        (lambda: network(out=but(OUT, bias=np.zeros(2, np.int64))), "layer 'out' bias"),
        (lambda: network(out=but(OUT, bias=np.zeros(3, np.int32))), "layer 'out' bias: got int32"),
        (lambda: network(out=but(OUT, bias=np.array([0, 2**31, 0]))), "layer 'out' bias: got 2147483648"),
        (lambda: network(out=but(OUT, bias=np.array([0, 0, -(2**63)]))), "layer 'out' bias: got -9223372036854775808"),
        (bad_requantizer(multiplier=np.full(3, 1)), "layer 'conv' requantizer: got 3 multipliers, 4 shifts"),
        (bad_requantizer(multiplier=np.full(4, 2**31)), "requantizer multiplier: got 2147483648"),
        (bad_requantizer(multiplier=np.full(4, 1.0)), "requantizer: got float64"),
        (bad_requantizer(shift=np.full(4, 63)), "requantizer shift: got 63"),
        (bad_requantizer(low=-1), "requantizer clip: got -1 to 255"),
        (bad_requantizer(low=9, high=8), "requantizer clip: got 9 to 8"),
        (lambda: network(input=S8), "layer 'conv' region input: got int8"),
        (lambda: network(input=Format(8, zero_point=1)), "layer 'conv' region input"),
        (bad_region(height=0), "layer 'conv' region: got 0x2"),
        (bad_region(threshold=-1), "threshold -1"),
        (bad_region(threshold=2**31), "below 2\\^31"),
        (bad_region(low_bits=8), "region low_bits: got 8; allowed: 1 to 7"),
        (bad_region(low_weight=np.zeros((4, 2, 3, 2), np.int8)), "region low_weight"),
        (bad_region(low_weight=np.full((4, 2, 3, 3), 8)), "region low_weight"),
        (lambda: network(out=but(OUT, region=CONV.region)), "'out' region: only convolutions"),
        (
            bad_region(rounding=Rounding.GEMMLOWP_DOUBLE),
            "layer 'conv' region rounding: got gemmlowp_double; .*one step",
        ),
        (bad_region(rounding=Rounding.F32_HALF_EVEN), "layer 'conv' region rounding: got f32_half_even"),
        (lambda: Accumulator(bits=7), "accumulator.bits: got 7; allowed: 8 to 48"),
        (lambda: Accumulator(bits=49), "accumulator.bits: got 49"),
    ],
)
def test_invalid_networks(make, words):
    with pytest.raises(HwsimError, match=words):
        make()


# Windows.


def bad_window(layer=CONV, place="conv", **changes):
    return lambda: network(**{place: but(layer, geometry=dataclasses.replace(layer.geometry, **changes))})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (bad_window(dilation=(0, 1)), "layer 'conv' geometry: .*dilation from 1"),
        (bad_window(dilation=(1, -1)), "layer 'conv' geometry: .*dilation from 1"),
        (bad_window(dilation=(2**15 + 1, 1)), "layer 'conv' geometry: got 32769; allowed: at most 32768"),
        (bad_window(dilation=(4, 1)), "'conv': the window"),
        (bad_window(padding=(-1, 0)), "layer 'conv' geometry: .*padding from 0"),
        (bad_window(padding_end=(0, -1)), "layer 'conv' geometry: .*padding from 0"),
        (bad_window(padding_end=(-1, 0)), "layer 'conv' geometry: .*padding from 0"),
        (bad_window(padding_end=(0, 2**15 + 1)), "layer 'conv' geometry: got 32769"),
        (bad_window(padding_end=(2**14, 2**14)), "layer '(conv|out)'"),
        (bad_window(kernel=(0, 3)), "layer 'conv' geometry: .*kernel"),
        (bad_window(stride=(1, -2)), "layer 'conv' geometry: .*stride"),
        (bad_window(groups=-1), "layer 'conv' groups: got -1; allowed: 1 or more"),
        (bad_window(POOL, "pool", dilation=(6, 1)), "'pool': the window"),
        (bad_window(POOL, "pool", padding_end=(-2, 0)), "layer 'pool' geometry"),
    ],
)
def test_invalid_windows(make, words):
    with pytest.raises(HwsimError, match=words):
        make()


@pytest.mark.parametrize(
    ("geometry", "size"),
    [
        (Geometry((3, 3), (2, 2), (1, 1)), (3, 4)),
        (Geometry((3, 3), (2, 2), padding_end=(1, 1)), (3, 4)),
        (Geometry((3, 2), padding=(1, 0), dilation=(2, 5), padding_end=(0, 3)), (3, 6)),
        (Geometry((1, 1), (4, 9), dilation=(9, 9)), (2, 1)),
    ],
)
def test_output_sizes(geometry, size):
    assert geometry.output_size(6, 8) == size


# Accumulators and requantizers.


def summing(accumulator, **changes):
    """Return a network with a linear layer with the given accumulator before the last layer."""
    fields = {"requantizer": requantizer(3, multiplier=np.ones(3, int), shift=np.full(3, 5)), "output": U8}
    middle = but(OUT, name="middle", accumulator=accumulator, **(fields | changes))
    last = but(OUT, name="out", inputs=("middle",), weight=weights(2, 3), bias=np.zeros(2, np.int64))
    return network(layers=(CONV, ADD, POOL, FLAT, middle, last))


STEP = Accumulator(20, Overflow.SATURATE_STEP)
GEMMLOWP, F32 = Rounding.GEMMLOWP_DOUBLE, Rounding.F32_HALF_EVEN


def many_multipliers(multiplier, shift, rounding=Rounding.HALF_UP):
    return {"requantizer": Requantizer(np.array(multiplier), np.array(shift), 0, 255, rounding)}


CHECKED = {"weight": QTensor(np.array([[1] * 36, [127] + [1] * 35, [-128] * 36], np.int8), S8)}
"""Weights with sums of up to 36 * 255, 162 * 255 and 4608 * 255."""


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: summing(Accumulator(16, Overflow.CHECK), **CHECKED),
            "layer 'middle' accumulator: got sums of up to 41310 in channel 1; allowed: at most 32767 with 16 bits",
        ),
        (
            lambda: summing(Accumulator(21, Overflow.CHECK), **CHECKED),
            "layer 'middle' accumulator: got sums of up to 1175040 in channel 2; .*Use more bits, or wrap or saturate",
        ),
        (
            lambda: summing(Accumulator(14, Overflow.CHECK), bias=np.array([0, 0, 8192])),
            "sums of up to 9180 in channel 0; allowed: at most 8191",
        ),
        (
            lambda: network(out=but(OUT, accumulator=Accumulator(13, Overflow.CHECK))),
            "layer 'out' accumulator: got sums of up to 9180 in channel 0",
        ),
        (lambda: network(out=but(OUT, accumulator=Accumulator(33))), "'out' accumulator: got 33 bits; .*at most 32"),
        (lambda: network(pool=but(POOL, accumulator=Accumulator(16))), "'pool': max_pool has no accumulator"),
        (lambda: network(add=but(ADD, accumulator=Accumulator(16))), "'add': add has no accumulator"),
        (lambda: network(flat=but(FLAT, accumulator=Accumulator(40))), "'flat': flatten has no accumulator"),
        (
            lambda: network(conv=but(CONV, accumulator=STEP)),
            "'conv': only .* layers without regions can saturate_step",
        ),
        (
            lambda: network(
                pool=but(POOL, op=Op.AVG_POOL, requantizer=requantizer(), accumulator=STEP)
            ),
            "'pool': only convolution, linear and matmul layers",
        ),
        (lambda: summing(Accumulator(40), bias=np.array([0, 2**39, 0])), "bias: got 549755813888; .*40-bit.*channel 1"),
        (lambda: summing(Accumulator(20), bias=np.array([0, 0, -(2**31)])), "bias: got -2147483648; .*channel 2"),
        (
            lambda: summing(Accumulator(40), **many_multipliers([1, 2**23 - 1, 2**23], [1, 2, 3])),
            "layer 'middle' requantizer: got a product of 64 bits; allowed: at most 63 bits, here 64 .channel 2",
        ),
        (
            lambda: summing(Accumulator(33), **many_multipliers([2**30], [3])),
            "layer 'middle' requantizer: got a product of 64 bits; .*channel 0",
        ),
        (
            lambda: summing(Accumulator(16), **many_multipliers([1, 3, 7], [16, 19, 19])),
            "layer 'middle' requantizer: got a shift of 19; allowed: shifts no longer .*, here 18 .channel 1",
        ),
        (
            lambda: summing(Accumulator(32), **many_multipliers([0, 1, 1], [33, 1, 1])),
            "got a shift of 33; .* here 32 .channel 0",
        ),
        (
            lambda: summing(Accumulator(33), **many_multipliers([2**29], [40], Rounding.GEMMLOWP_DOUBLE)),
            "layer 'middle' requantizer rounding: got gemmlowp_double of 33 bits; allowed: accumulators of 32 bits",
        ),
        (
            lambda: summing(Accumulator(), **many_multipliers([0x3F800000, 0x7F800000, 1], [0] * 3, F32)),
            "layer 'middle' requantizer multiplier: got 2139095040; allowed: bits of a finite float32, .*channel 1",
        ),
        (
            lambda: summing(Accumulator(), **many_multipliers([0x7FC00000], [0], F32)),
            "got 2143289344; allowed: bits of a finite float32.*channel 0",
        ),
        (
            lambda: summing(Accumulator(), **many_multipliers([0x3F800000, 0, -1], [0] * 3, F32)),
            "got -1; allowed: bits of a finite float32.*channel 2",
        ),
        (
            lambda: summing(Accumulator(), **many_multipliers([0x3F800000] * 3, [0, 1, 0], F32)),
            "bits of a finite float32, with shift 0 .channel 1",
        ),
        (
            lambda: network(add=but(ADD, requantizer=requantizer(2, shift=np.array([35]), rounding=GEMMLOWP))),
            "layer 'add' requantizer rounding: got gemmlowp_double; allowed: a rounding of one step",
        ),
        (
            lambda: network(add=but(ADD, requantizer=requantizer(2, shift=np.array([0]), rounding=F32))),
            "layer 'add' requantizer rounding: got f32_half_even",
        ),
        (lambda: network(add=but(ADD, requantizer=requantizer(2))), "'add' requantizer: got 2 multipliers, 2 shifts"),
        (lambda: network(add=but(ADD, requantizer=requantizer())), "'add' requantizer: got 1 multipliers, 1 shifts"),
        (
            lambda: network(add=but(ADD, requantizer=Requantizer(np.array([1, 2]), np.array([35]), 0, 255))),
            "layer 'add' requantizer: got a shift of 35; .* here 34",
        ),
    ],
)  # fmt: skip
def test_invalid_accumulators_and_requantizers(make, words):
    with pytest.raises(HwsimError, match=words):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: summing(Accumulator(17, Overflow.CHECK), weight=QTensor(CHECKED["weight"].codes[[0, 1, 1]], S8)),
        lambda: summing(Accumulator(15, Overflow.CHECK)),
        lambda: summing(Accumulator(48, Overflow.CHECK), bias=np.array([0, 2**46, -(2**46)])),
        lambda: summing(Accumulator(40), **many_multipliers([1, 2**23 - 1, 2**22], [1, 62, 62])),
        lambda: summing(Accumulator(32), **many_multipliers([2**31 - 1, 1, 0], [62, 33, 32])),
        lambda: summing(Accumulator(8, Overflow.SATURATE_STEP), **many_multipliers([1], [9])),
        lambda: summing(Accumulator(32), **many_multipliers([2**31 - 1], [62], Rounding.GEMMLOWP_DOUBLE)),
        lambda: summing(Accumulator(48), **many_multipliers([0, 0x7F7FFFFF, 0x00800000], [0] * 3, F32)),
    ],
)  # fmt: skip
def test_accumulators_and_requantizers_at_their_limits(make):
    assert isinstance(make(), Network)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_check_at_its_limit_is_proved(sign):
    """36 weights of 1 times 255, plus a bias: a bound of 32767 fits 16 bits, a bound of 32768 does not."""
    accumulator, rest = Accumulator(16, Overflow.CHECK), 32767 - 36 * 255
    proved = summing(accumulator, bias=sign * np.array([0, 0, rest]))
    assert accumulator_bounds(proved)["middle"].tolist() == [9180, 9180, 32767]
    with pytest.raises(BadInput, match="sums of up to 32768 in channel 2"):
        summing(accumulator, bias=sign * np.array([0, 0, rest + 1]))


# Thresholds.


def thresholds(levels, low=0):
    return lambda: network(conv=but(CONV, region=None, requantizer=Thresholds(np.array(levels), low)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (thresholds([[1, 2], [0, 0], [5, 4], [1, 1]]), "'conv' requantizer levels: got decreasing levels; .*channel 2"),
        (thresholds([[3, 2, 4]]), "decreasing levels; .*channel 0"),
        (thresholds([[1, 2]] * 3), r"'conv' requantizer levels: got int64 \(3, 2\); allowed: int64 \[1 or 4, count\]"),
        (thresholds([1, 2]), r"levels: got int64 \(2,\)"),
        (thresholds([[1.0, 2.0]]), r"levels: got float64"),
        (thresholds(np.zeros((1, 0), int)), "levels: got 0 from code 0; allowed: 1 to 255"),
        (thresholds([[0] * 256]), "levels: got 256 from code 0"),
        (thresholds([[0] * 255], low=1), "levels: got 255 from code 1; allowed: 1 to 255, inside uint8"),
        (thresholds([[0]], low=-1), "levels: got 1 from code -1"),
        (
            lambda: network(add=but(ADD, requantizer=Thresholds(np.array([[1]]), 0))),
            "'add' requantizer: an add or a concatenation takes multipliers, not thresholds",
        ),
    ],
)
def test_invalid_thresholds(make, words):
    with pytest.raises(HwsimError, match=words):
        make()


def test_thresholds_at_their_limits():
    assert isinstance(thresholds([[0] * 255])(), Network) and isinstance(thresholds([[7]] * 4, low=254)(), Network)


# Networks of feature vectors.

NORM = Layer("norm", Op.LAYER_NORM, ("input",), U8, 1.0, weights(6), np.zeros(6, np.int64), requantizer())
TURN = Layer("turn", Op.TRANSPOSE, ("norm",), U8, axes=(1, 0))
PRODUCT = Layer("product", Op.MATMUL, ("norm", "turn"), U8, requantizer=requantizer())
SOFT = Layer("soft", Op.SOFTMAX, ("product",), U8, softmax=Softmax(np.array([8, 4, 2, 1]), 255))
JOIN = Layer("join", Op.CONCAT, ("soft", "product"), U8, requantizer=requantizer(2))
SHAPED = Layer("shaped", Op.RESHAPE, ("join",), U8, shape=(2, 4, 4))
HEAD = Layer("head", Op.LINEAR, ("shaped",), LOGITS, 1.0, weights(3, 4), np.zeros(3, np.int64))
TOKENS = {"norm": NORM, "turn": TURN, "product": PRODUCT, "soft": SOFT, "join": JOIN, "shaped": SHAPED, "head": HEAD}


def tokens(input_format=S8, **changes) -> Network:
    return Network(input_format, (4, 6), 1.0, tuple((TOKENS | changes).values()))


def bad_softmax(**changes):
    return lambda: tokens(soft=but(SOFT, softmax=dataclasses.replace(SOFT.softmax, **changes)))


def test_shapes_of_feature_vectors():
    assert tokens().shapes == {
        "input": (4, 6), "norm": (4, 6), "turn": (6, 4), "product": (4, 4), "soft": (4, 4), "join": (8, 4),
        "shaped": (2, 4, 4), "head": (2, 4, 3),
    }  # fmt: skip
    flat = [but(JOIN, inputs=("norm", "norm")), but(SHAPED, shape=(48,)), but(HEAD, weight=weights(3, 48))]
    assert tokens(join=flat[0], shaped=flat[1], head=flat[2]).shapes["head"] == (3,)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (bad_softmax(table=np.array([0, 1])), "layer 'soft' softmax table: got 0; .*the first entry from 1"),
        (bad_softmax(table=np.array([5, -1])), "layer 'soft' softmax table: got -1"),
        (bad_softmax(table=np.array([2**31])), r"softmax table: got 2147483648; allowed: 0 to 2\^31 - 1"),
        (bad_softmax(table=np.zeros(0, int)), r"softmax table: got int64 \(0,\); allowed: int64, 1 to 65536 entries"),
        (bad_softmax(table=np.ones(65537, int)), r"softmax table: got int64 \(65537,\)"),
        (bad_softmax(table=np.ones((1, 2), int)), r"softmax table: got int64 \(1, 2\)"),
        (bad_softmax(table=np.array([1.0])), "softmax table: got float64"),
        (bad_softmax(one=0), "layer 'soft' softmax one: got 0; allowed: 1 to 65536"),
        (bad_softmax(one=65537), "softmax one: got 65537"),
        (lambda: tokens(soft=but(SOFT, softmax=None)), "'soft': only softmax layers have a softmax rule"),
        (lambda: tokens(turn=but(TURN, softmax=SOFT.softmax)), "'turn': only softmax layers have a softmax rule"),
        (lambda: tokens(soft=but(SOFT, requantizer=requantizer())), "'soft': softmax takes no requantizer"),
        (
            lambda: tokens(product=but(PRODUCT, output=Format(4, kind=Kind.MIDRISE), requantizer=requantizer(high=15))),
            "layer 'soft' softmax input: got midrise of 4 bits; allowed: uniform codes",
        ),
        (lambda: tokens(norm=but(NORM, weight=weights(5), bias=np.zeros(5, int))), "'norm': the weights need 5"),
        (lambda: tokens(norm=but(NORM, weight=weights(6, 1))), "layer 'norm' weight: got 2 axes"),
        (lambda: tokens(norm=but(NORM, bias=None)), "'norm': only convolution, linear and norm"),
        (lambda: tokens(norm=but(NORM, requantizer=None)), "'norm': layer_norm needs a requantizer"),
        (lambda: tokens(turn=but(TURN, axes=(0, 0))), r"'turn': axes \(0, 0\) are no permutation of the 2 axes"),
        (lambda: tokens(turn=but(TURN, axes=(0, 1, 2))), "'turn': axes"),
        (lambda: tokens(turn=but(TURN, axes=(-1, 0))), "'turn': axes"),
        (lambda: tokens(turn=but(TURN, output=S8)), "'turn': transpose keeps the format"),
        (lambda: tokens(product=but(PRODUCT, inputs=("norm", "norm"))), r"'product': matmul needs \[..., m, k\]"),
        (lambda: tokens(product=but(PRODUCT, inputs=("norm",))), "'product': matmul takes 2 inputs, got 1"),
        (
            lambda: tokens(product=but(PRODUCT, weight=weights(4, 4), bias=np.zeros(4, int))),
            "'product': only convolution, linear and norm",
        ),
        (lambda: tokens(product=but(PRODUCT, requantizer=requantizer(3))), "'product' requantizer: got 3 multipliers"),
        (lambda: tokens(join=but(JOIN, inputs=("soft",))), "'join': concat takes 2 inputs or more, got 1"),
        (lambda: tokens(join=but(JOIN, inputs=("soft", "norm"))), "'join': inputs .* differ beyond the first axis"),
        (lambda: tokens(join=but(JOIN, requantizer=requantizer(3))), "'join' requantizer: got 3 multipliers"),
        (
            lambda: tokens(join=but(JOIN, requantizer=requantizer(2, rounding=Rounding.GEMMLOWP_DOUBLE))),
            "layer 'join' requantizer rounding: got gemmlowp_double; allowed: a rounding of one step",
        ),
        (lambda: tokens(shaped=but(SHAPED, shape=(2, 4, 5))), r"'shaped': shape \(2, 4, 5\) has another number"),
        (lambda: tokens(shaped=but(SHAPED, shape=(-2, -16))), "'shaped': shape"),
        (lambda: tokens(shaped=but(SHAPED, shape=())), "'shaped': shape"),
        (lambda: tokens(shaped=but(SHAPED, output=S8)), "'shaped': reshape keeps the format"),
        (lambda: tokens(shaped=but(SHAPED, op=Op.MAX_POOL)), r"'shaped': max_pool needs \[channel, row, column\]"),
        (lambda: tokens(turn=but(TURN, inputs=("product",))), "layer 'turn' input: got product; .*makes a cycle"),
        (lambda: tokens(turn=but(TURN, inputs=("turn",))), "layer 'turn' input: got turn; .*makes a cycle"),
        (lambda: tokens(turn=but(TURN, inputs=("nrom",))), "layer 'turn' input: got nrom; .*Did you mean 'norm'"),
        (
            lambda: tokens(product=but(PRODUCT, accumulator=Accumulator(19, Overflow.CHECK))),
            "layer 'product' accumulator: got sums of up to 390150 in channel 0; allowed: at most 262143",
        ),
        (
            lambda: tokens(norm=but(NORM, accumulator=Accumulator(15, Overflow.CHECK))),
            f"layer 'norm' accumulator: got sums of up to {4 << NORM_BITS} in channel 0",
        ),
        (
            lambda: tokens(norm=but(NORM, accumulator=STEP)),
            "'norm': only convolution, linear and matmul layers",
        ),
        (
            lambda: tokens(Format(1, kind=Kind.CODEBOOK, table=(0, 1))),
            "network input: got codebook of 1 bits; allowed: uniform, midrise or binary codes",
        ),
    ],
)  # fmt: skip
def test_invalid_networks_of_vectors(make, words):
    with pytest.raises(HwsimError, match=words):
        make()


@pytest.mark.parametrize(("features", "fits"), [(128, True), (129, False)])
def test_layer_norms_that_are_too_large_for_64_bits(features, fits):
    """Features times magnitude are at most 2^23, so that the shifted variance is below 2^62."""
    norm = but(NORM, weight=weights(features), bias=np.zeros(features, np.int64))
    head = but(HEAD, inputs=("norm",), weight=weights(3, features))
    if fits:
        assert Network(Format(16), (features,), 1.0, (norm, head)).shapes["head"] == (3,)
    else:
        with pytest.raises(BadInput, match=r"layer 'norm' input: got 129 features of uint16; .*at most 8388608"):
            Network(Format(16), (features,), 1.0, (norm, head))
