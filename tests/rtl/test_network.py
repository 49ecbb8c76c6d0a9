"""Whole networks: the circuit against hwsim's engine and reference, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest

import hwsim
from hwsim import reference
from hwsim.formats import LOGITS, Format, QTensor
from hwsim.network.fixed_point import requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op, Region
from tests.rtl import expected
from tests.rtl.arrays import DRQ_ARRAYS, FUSED_ARRAYS
from tests.rtl.build import Array
from tests.rtl.network import run_network

Rng = np.random.Generator


def weights(rng: Rng, shape: tuple[int, ...], bits: int) -> QTensor:
    half = 1 << (bits - 1)
    return QTensor(rng.integers(-half, half, shape), Format(bits, signed=True))


def fused_network() -> Network:
    """Layers of 8x8, 4x4, 4x2 and 2x2 bits, per-channel requantizers, a pool between."""
    rng = np.random.default_rng(0)
    ratio = rng.uniform(0.0005, 0.002, 5)
    return Network(Format(8, signed=True), (2, 8, 7), 1.0, (
        Layer("wide", Op.CONV, (INPUT,), Format(4), 1.0, weights(rng, (5, 2, 3, 3), 8), rng.integers(-999, 999, 5),
              requantizer(ratio, Format(4), relu=True), Geometry((3, 3), (1, 1), (1, 1))),
        Layer("half", Op.CONV, ("wide",), Format(2), 1.0, weights(rng, (7, 5, 3, 3), 4), rng.integers(-99, 99, 7),
              requantizer(0.01, Format(2), relu=True), Geometry((3, 3), (2, 2), (1, 0))),
        Layer("pool", Op.MAX_POOL, ("half",), Format(2), geometry=Geometry((2, 1), (2, 1))),
        Layer("mixed", Op.CONV, ("pool",), Format(2), 1.0, weights(rng, (6, 7, 1, 1), 4), rng.integers(-9, 9, 6),
              requantizer(0.05, Format(2), relu=True), Geometry((1, 1))),
        Layer("flat", Op.FLATTEN, ("mixed",), Format(2)),
        Layer("head", Op.LINEAR, ("flat",), LOGITS, 1.0, weights(rng, (4, 36), 2), rng.integers(-9, 9, 4)),
    ))  # fmt: skip


def region_network() -> Network:
    """Two convolutions with regions whose windows cross the regions' borders."""
    rng = np.random.default_rng(1)

    def layer(name: str, x: str, filters: int, channels: int, region: tuple[int, int, int], stride: int) -> Layer:
        weight = weights(rng, (filters, channels, 3, 3), 8)
        low = np.clip((weight.codes.astype(np.int64) + 8) >> 4, -8, 7)
        logits = name == "logits"
        return Layer(
            name, Op.CONV, (x,), LOGITS if logits else Format(8), 1.0, weight, rng.integers(-99, 99, filters),
            None if logits else requantizer(0.004, Format(8), relu=True),
            Geometry((3, 3), (stride, stride), (1, 1)), Region(*region, low),
        )  # fmt: skip

    first, last = layer("conv", INPUT, 6, 2, (3, 2, 16 * 135), 1), layer("logits", "conv", 3, 6, (2, 3, 16 * 58), 2)
    return Network(Format(8), (2, 7, 8), 1.0, (first, last))


def check(network: Network, array: Array, codes: np.ndarray) -> None:
    expected_codes, outputs = reference.run(network, codes), hwsim.execute(network, codes).outputs
    for n in range(len(codes)):
        done = run_network(network, codes[n : n + 1], array)
        for layer in network.layers:
            assert np.array_equal(done.codes[layer.name][0], expected_codes[layer.name][n]), layer.name
        assert np.array_equal(done.codes[network.layers[-1].name].ravel(), outputs[n])
        for name, (job, result) in done.jobs.items():
            assert expected.differences(job, result) == {}, name


@pytest.mark.parametrize("array", FUSED_ARRAYS, ids=str)
def test_a_network_of_narrowing_layers(array: Array) -> None:
    network = fused_network()
    check(network, array, np.random.default_rng(2).integers(-128, 128, (3, *network.input_shape)))


@pytest.mark.parametrize("array", DRQ_ARRAYS, ids=str)
def test_a_network_with_regions(array: Array) -> None:
    network = region_network()
    codes = np.random.default_rng(3).integers(0, 256, (3, *network.input_shape))
    shares = [masks.mean() for masks in hwsim.execute(network, codes).masks.values()]
    assert all(0.2 < share < 0.8 for share in shares)
    check(network, array, codes)
