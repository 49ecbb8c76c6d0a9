"""Fields of a wrong type, fields that nothing reads, and policies that do not belong together are refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwsim.errors import BadInput
from hwsim.network.layer import Accumulator, Geometry, Rounding
from tests.support.small_network import small_network

CONV, POOL, FLAT, HEAD = range(4)
ONE, ZERO = np.ones(1, np.int64), np.zeros(1, np.int64)


def change(index: int, **fields: object) -> None:
    network = small_network()
    layers = list(network.layers)
    layers[index] = dataclasses.replace(layers[index], **fields)
    dataclasses.replace(network, layers=tuple(layers))


def with_requantizer(**fields: object) -> None:
    change(CONV, requantizer=dataclasses.replace(small_network()["conv"].requantizer, **fields))


@pytest.mark.parametrize(
    ("index", "fields", "words"),
    [
        (CONV, {"op": "conv"}, r"layer 'conv' op: got 'conv' \(str\); allowed: Op"),
        (CONV, {"scale": "x"}, "layer 'conv' scale: got 'x' .* a number"),
        (CONV, {"bias": [0] * 8}, "layer 'conv' bias: .* a numpy array or None"),
        (CONV, {"bias": np.ma.zeros(8, np.int64)}, "layer 'conv' bias: .*MaskedArray"),
        (CONV, {"weight": np.zeros((8, 1, 3, 3))}, "layer 'conv' weight: .* allowed: QTensor or None"),
        (CONV, {"accumulator": None}, "layer 'conv' accumulator: got None"),
        (CONV, {"accumulator": Accumulator(32, "wrapped")}, "layer 'conv' accumulator overflow: got 'wrapped'"),
        (POOL, {"inputs": "conv"}, "layer 'pool' inputs: got 'conv' .* a tuple"),
        (HEAD, {"geometry": Geometry((3, 3))}, "layer 'head' geometry: .* none for linear"),
        (FLAT, {"geometry": Geometry((2, 2))}, "layer 'flat' geometry: .* none for flatten"),
        (POOL, {"geometry": Geometry((2, 2), (2, 2), groups=2)}, "layer 'pool' groups: got 2"),
        (FLAT, {"shape": (3,)}, "layer 'flat' shape: .* none for flatten"),
        (POOL, {"axes": (0, 1)}, "layer 'pool' axes: .* none for max_pool"),
    ],
)  # fmt: skip
def test_fields_of_a_layer(index, fields, words):
    with pytest.raises(BadInput, match=f"^{words}") as caught:
        change(index, **fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rounding": "half_up"}, "rounding: got 'half_up'"),
        ({"multiplier": [1], "shift": [1]}, r"multiplier: got \[1\] \(list\)"),
        ({"rounding": Rounding.F32_HALF_EVEN}, "multiplier: got 1374389535 with shift 37; .* f32_half_even takes"),
    ],
)
def test_fields_of_a_requantizer(fields, words):
    with pytest.raises(BadInput, match=f"^layer 'conv' requantizer {words}"):
        with_requantizer(**fields)


@pytest.mark.parametrize("multiplier", [1, 3, 2**22, 2**23 - 1])
def test_a_multiplier_of_another_rounding_is_no_float32_scale(multiplier):
    with pytest.raises(BadInput, match=f"^layer 'conv' requantizer multiplier: got {multiplier}; "):
        with_requantizer(multiplier=multiplier * ONE, shift=ZERO, rounding=Rounding.F32_HALF_EVEN)


@pytest.mark.parametrize("scale", [0.0, 2.0**-126, 0.01, 3.0])
def test_normal_scales_and_zero_are_float32_scales(scale):
    bits = np.float32([scale]).view(np.int32).astype(np.int64)
    with_requantizer(multiplier=bits, shift=ZERO, rounding=Rounding.F32_HALF_EVEN)
