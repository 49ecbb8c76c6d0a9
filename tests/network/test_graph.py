"""What a network knows of itself, and every rule that it must obey."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

from hwsim import reference
from hwsim.errors import HwsimError, UnknownName
from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.network.graph import Network
from hwsim.network.layer import Accumulator, Geometry, Layer, Op, Region, Requantizer
from tests.networks import networks_with_inputs

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
def test_shapes_and_formats_are_those_of_the_codes(case):
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
            "layer 'conv' output: got codebook of 1 bits; allowed: uniform, odd or binary codes",
        ),
        (lambda: network(conv=but(CONV, requantizer=None)), "'conv': conv needs a requantizer"),
        (lambda: network(pool=but(POOL, requantizer=requantizer())), "'pool': max_pool takes no requantizer"),
        (lambda: network(pool=but(POOL, weight=weights(1, 1))), "'pool': weights and bias belong"),
        (lambda: network(conv=but(CONV, bias=None)), "'conv': weights and bias belong"),
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
        (lambda: network(out=but(OUT, weight=weights(3, 35))), "'out': weights want 35 features"),
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
        (lambda: Accumulator(bits=7), "accumulator.bits: got 7; allowed: 8 to 48"),
        (lambda: Accumulator(bits=49), "accumulator.bits: got 49"),
    ],
)
def test_networks_that_are_refused(make, words):
    with pytest.raises(HwsimError, match=words):
        make()
