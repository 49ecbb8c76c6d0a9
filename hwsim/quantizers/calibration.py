"""Build a scheme: one pass of the float network over calibration data, one grid per tensor."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from hwsim.float_graph.graph import FloatArithmetic, FloatGraph, Weights, forward, model_count, repeat_input
from hwsim.network.layer import INPUT
from hwsim.quantizers.base import UniformBits
from hwsim.quantizers.scheme import (
    QuantParams,
    Scheme,
    is_unsigned,
    quantized_values,
    snap_to_power_of_two,
    weight_name,
)


class RangeEstimator(Protocol):
    """How a quantizer places a grid."""

    def weights(self, weight: Tensor, bits: int, per_channel: bool) -> QuantParams:
        """The grid of weights [model, channel, ...]; `per_channel` is False where one step must serve the layer."""

    def activations(self, values: Tensor, bits: int, unsigned: bool) -> QuantParams:
        """The grid of activations [model, value]."""


def calibrate(rule: RangeEstimator, q: UniformBits, graph: FloatGraph, weights: Weights, calibration: Tensor) -> Scheme:
    """Grids of every value and weight of `graph` by `rule`, from calibration inputs [sample, ...].

    The last layer gets one step for all classes, because its logits share one scale.
    """
    models = model_count(weights)
    x = repeat_input(calibration, models)
    with torch.no_grad():
        values = forward(graph, weights, x, FloatArithmetic())
    input_unsigned = bool((calibration >= 0).all())
    grids = {}
    for name in quantized_values(graph):
        bits = q.first_last_bits if name == INPUT and q.first_last_bits else q.a_bits
        per_model = values[name].reshape(len(x), models, -1).transpose(0, 1).reshape(models, -1)
        grids[name] = rule.activations(per_model, bits, is_unsigned(graph, name, input_unsigned))
    with_macs = [node for node in graph.nodes if node.has_macs]
    for node in with_macs:
        bits = q.first_last_bits if node in (with_macs[0], with_macs[-1]) and q.first_last_bits else q.w_bits
        name = weight_name(node.name)
        grids[name] = rule.weights(weights[name], bits, per_channel=node is not graph.output)
    scheme = Scheme(grids, {}, q.power_of_two)
    if q.power_of_two:
        scheme = scheme.with_steps({name: snap_to_power_of_two(step) for name, step in scheme.steps().items()})
    return scheme
