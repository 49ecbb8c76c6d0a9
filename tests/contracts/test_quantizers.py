"""Contract of every quantizer in the registry."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwsim.engine.execute import execute
from hwsim.interop.torch.reader import import_module
from hwsim.network.graph import overflow_free
from hwsim.quantizers.base import Quantizer
from hwsim.quantizers.lowering.to_network import build_network
from hwsim.quantizers.quantize import quantize
from hwsim.reference import run
from hwsim.registry import Configurable, build, family

RECORDS = family("quantizer")
INTEGER = sorted(name for name, record in RECORDS.items() if issubclass(record.factory, Quantizer))


def test_every_quantizer_is_reached() -> None:
    assert set(RECORDS) - set(INTEGER) == {"float32"}
    assert all(issubclass(record.factory, Configurable) for record in RECORDS.values())
    assert all(record.factory.integer is (name in INTEGER) for name, record in RECORDS.items())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((40, 1, 8, 8), dtype=np.float32)


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    torch.manual_seed(0)
    net: torch.nn.Module = build("model", "small_resnet", channels=(6, 8)).module((1, 8, 8), 4)
    return net


@pytest.mark.parametrize("name", INTEGER)
def test_a_network_comes_out_and_runs_exactly(name: str, module: torch.nn.Module, images: np.ndarray) -> None:
    labels = np.arange(40) % 4
    network = quantize(module, build("quantizer", name), images, labels)
    codes = network.encode(images)
    np.testing.assert_array_equal(execute(network, codes).outputs, run(network, codes)[network.layers[-1].name])
    assert all(overflow_free(network).values())


@pytest.mark.parametrize("name", INTEGER)
def test_it_is_deterministic(name: str, module: torch.nn.Module, images: np.ndarray) -> None:
    labels = np.arange(40) % 4
    outputs = [
        execute(n, n.encode(images)).outputs
        for n in (quantize(module, build("quantizer", name), images, labels) for _ in range(2))
    ]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize("name", INTEGER)
def test_eight_bits_stay_close_to_the_float_network(name: str, module: torch.nn.Module, images: np.ndarray) -> None:
    graph, weights = import_module(module, (1, 8, 8))
    scheme = build("quantizer", name).scheme(graph, weights, torch.from_numpy(images))
    network = build_network(graph, weights, scheme)
    got = execute(network, network.encode(images)).outputs * network.logit_scale
    with torch.no_grad():
        want = module(torch.from_numpy(images)).numpy()
    assert np.abs(got - want).max() < 0.25 * np.abs(want).max()


def test_lsq_needs_labels(module: torch.nn.Module, images: np.ndarray) -> None:
    with pytest.raises(Exception, match="give labels"):
        quantize(module, build("quantizer", "lsq"), images)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_drq_keeps_about_the_given_share_of_regions(share: float, images: np.ndarray) -> None:
    torch.manual_seed(1)
    net = build("model", "small_cnn", channels=(6, 8)).module((1, 8, 8), 4)
    network = quantize(net, build("quantizer", "drq", sensitive=share), images)
    masks = execute(network, network.encode(images)).masks
    assert set(masks) == {"conv2"}
    assert abs(masks["conv2"].mean() - share) < 0.1
