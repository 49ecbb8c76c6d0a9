"""The fake-quantized torch network and the integer network compute the same function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hwsim.float_graph.graph import FloatGraph, Weights, forward, node_output, repeat_input
from hwsim.interop.torch.reader import import_module
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT
from hwsim.quantizers.lowering.fake_quant import FakeQuantArithmetic
from hwsim.quantizers.lowering.to_network import build_network
from hwsim.quantizers.scheme import Scheme, value_source
from hwsim.reference import run
from hwsim.registry import build

SAMPLES = 24
QUANTIZERS = [
    ("minmax", {"w_bits": 8, "a_bits": 8}),
    ("minmax", {"w_bits": 4, "a_bits": 3}),
    ("minmax", {"w_bits": 1, "a_bits": 2, "first_last_bits": 8}),
    ("lsq", {"w_bits": 8, "a_bits": 8}),
    ("lsq", {"w_bits": 2, "a_bits": 4}),
    ("drq", {"sensitive": 0.4}),
    ("drq", {"sensitive": 0.5, "region_height": 3, "low_bits": 3}),
    ("drq", {"sensitive": 0.2, "region_height": 3, "per_channel": True}),
]


class Mixed(nn.Module):
    """A network with every kind of layer: grouped, strided and padded convolutions, a signed residual, all pools."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.shortcut = nn.Conv2d(8, 8, 1)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.strided = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.average = nn.AvgPool2d(2)
        self.everything = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.logits = nn.Linear(12, 5)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = torch.relu(self.stem(x))
        b = self.relu(self.grouped(a) + self.shortcut(a))
        c = torch.relu(self.strided(self.pool(b)))
        return self.logits(self.flatten(self.everything(self.average(c))))


def prepare(
    name: str, parameters: dict[str, Any], power_of_two: bool, seed: int = 0
) -> tuple[FloatGraph, Weights, Scheme, np.ndarray]:
    torch.manual_seed(seed)
    graph, weights = import_module(Mixed().eval(), (2, 15, 13))
    x = torch.rand(SAMPLES, 2, 15, 13)
    quantizer = build("quantizer", name, power_of_two=power_of_two, **parameters)
    return graph, weights, quantizer.scheme(graph, weights, x), x.numpy()


def fake_codes(
    graph: FloatGraph, weights: Weights, scheme: Scheme, x: np.ndarray, dtype: torch.dtype
) -> dict[str, np.ndarray]:
    """Fake-quantized values as codes; logits in units of the logit scale."""
    scheme = scheme.with_scales({n: s.to(dtype) for n, s in scheme.scales().items()})
    weights = {n: w.to(dtype) for n, w in weights.items()}
    with torch.no_grad():
        values = forward(
            graph, weights, repeat_input(torch.from_numpy(x).to(dtype), 1), FakeQuantArithmetic(graph, scheme)
        )
    network = build_network(graph, weights, scheme)
    scales = {INPUT: network.input_scale} | {layer.name: layer.scale for layer in network.layers}
    zeros = {name: form.zero_point for name, form in network.formats.items()}
    return {name: value.double().numpy() / scales[name] + zeros[name] for name, value in values.items()}


def integers(
    graph: FloatGraph, weights: Weights, scheme: Scheme, x: np.ndarray
) -> tuple[Network, dict[str, np.ndarray]]:
    network = build_network(graph, weights, scheme)
    return network, run(network, network.encode(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "parameters"), QUANTIZERS)
def test_power_of_two_scales_are_identical(name: str, parameters: dict[str, Any], dtype: torch.dtype) -> None:
    graph, weights, scheme, x = prepare(name, parameters, power_of_two=True)
    _, codes = integers(graph, weights, scheme, x)
    fake = fake_codes(graph, weights, scheme, x, dtype)
    for value in codes:
        if value in ("average", "everything", "flatten", "logits"):
            continue  # 1/n is not dyadic for these windows; the next test bounds the difference
        np.testing.assert_array_equal(fake[value], codes[value], err_msg=value)


@pytest.mark.parametrize(("name", "parameters"), QUANTIZERS)
def test_any_scale_differs_by_at_most_one_code_next_to_a_tie(name: str, parameters: dict[str, Any]) -> None:
    """Each layer starts from the integer codes, so that differences do not accumulate."""
    graph, weights, scheme, x = prepare(name, parameters, power_of_two=False)
    network, codes = integers(graph, weights, scheme, x)
    fake_quant = FakeQuantArithmetic(graph, scheme.with_scales({n: s.double() for n, s in scheme.scales().items()}))
    double = {n: w.double() for n, w in weights.items()}
    scales = {INPUT: network.input_scale} | {layer.name: layer.scale for layer in network.layers}
    compared = different = 0
    for node in graph.nodes:
        sources = [
            torch.from_numpy((codes[i] - network.formats[i].zero_point) * scales[i]).double() for i in node.inputs
        ]
        with torch.no_grad():
            y = node_output(node, dict(zip(node.inputs, sources, strict=True)), double, fake_quant)
        fake = y.numpy() / scales[node.name] + network.formats[node.name].zero_point
        worst = np.abs(fake - codes[node.name]).max()
        assert worst <= (1 + 1e-6 if node is not graph.output else 1e-6), (node.name, worst)
        compared += fake.size
        different += int((np.abs(fake - codes[node.name]) > 0.5).sum())
    assert different / compared < 1e-4


def test_pools_share_the_quant_params_of_their_input() -> None:
    graph, _, scheme, _ = prepare("minmax", {}, power_of_two=False)
    source = value_source(graph, "pool")
    assert source in scheme.quant_params
    assert next(node for node in graph.nodes if node.name == source).relu
    assert "pool" not in scheme.quant_params


def test_a_wrong_rounding_in_fake_quantization_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwsim.quantizers.lowering.fake_quant.round_half_up", torch.round)  # half to even
    graph, weights, scheme, x = prepare("lsq", {"w_bits": 2, "a_bits": 4}, power_of_two=True)
    _, codes = integers(graph, weights, scheme, x)
    fake = fake_codes(graph, weights, scheme, x, torch.float64)
    assert any((fake[name] != codes[name]).any() for name in ("stem", "grouped", "shortcut", "strided"))
