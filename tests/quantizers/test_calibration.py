"""Calibration: bit widths of the first and the last layer, and one scale for all classes."""

from __future__ import annotations

import torch

from hwsim.float_graph.graph import FloatGraph, Weights
from hwsim.interop.torch.reader import import_module
from hwsim.network.layer import INPUT
from hwsim.quantizers.calibration import calibrate
from hwsim.quantizers.range_estimators import MinMaxEstimator
from hwsim.quantizers.scheme import BitWidths


def network() -> tuple[FloatGraph, Weights]:
    torch.manual_seed(0)
    hidden = [layer for _ in range(3) for layer in (torch.nn.Linear(4, 4), torch.nn.ReLU())]
    return import_module(torch.nn.Sequential(*hidden, torch.nn.Linear(4, 2)), (4,))


def test_first_and_last_layer_may_have_other_bits() -> None:
    graph, weights = network()
    scheme = calibrate(MinMaxEstimator(), BitWidths(3, 5, first_last=8), graph, weights, torch.rand(9, 4))
    layers = [node.name for node in graph.nodes if node.has_macs]
    assert [scheme.quant_params[f"{name}.weight"].bits for name in layers] == [8, 3, 3, 8]
    assert scheme.quant_params[INPUT].bits == 8
    assert [scheme.quant_params[name].bits for name in layers[:-1]] == [5, 5, 5]


def test_the_last_layer_has_one_scale() -> None:
    graph, weights = network()
    scheme = calibrate(MinMaxEstimator(), BitWidths(8, 8), graph, weights, torch.rand(9, 4))
    shapes = [tuple(scheme.quant_params[f"{n.name}.weight"].scale.shape) for n in graph.nodes if n.has_macs]
    assert shapes == [(1, 4), (1, 4), (1, 4), (1,)]
