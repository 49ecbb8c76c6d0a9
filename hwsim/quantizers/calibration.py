"""Calibration: a scheme from one pass of the float network over calibration data."""

from __future__ import annotations

import torch
from torch import Tensor

from hwsim.float_graph.graph import FloatArithmetic, FloatGraph, Weights, forward, model_count, repeat_input
from hwsim.network.layer import INPUT
from hwsim.quantizers.range_estimators import RangeEstimator
from hwsim.quantizers.scheme import (
    BitWidths,
    Scheme,
    is_unsigned,
    quantized_values,
    snap_to_power_of_two,
    weight_name,
)


def calibrate(
    estimator: RangeEstimator,
    bits: BitWidths,
    graph: FloatGraph,
    weights: Weights,
    calibration: Tensor,
    power_of_two: bool = False,
) -> Scheme:
    """Estimate the QuantParams of every value and weight of a graph.

    The last layer gets one scale for all classes, because its logits share one scale.

    Parameters
    ----------
    estimator : rule for scale and zero point of one tensor
    bits : bit widths
    graph : float graph
    weights : tensors [model, ...]
    calibration : inputs [sample, *shape]
    power_of_two : True to round all scales to powers of two
    """
    models = model_count(weights)
    x = repeat_input(calibration, models)
    with torch.no_grad():
        values = forward(graph, weights, x, FloatArithmetic())
    input_unsigned = bool((calibration >= 0).all())
    quant_params = {}
    for name in quantized_values(graph):
        width = bits.first_last if name == INPUT and bits.first_last else bits.activations
        per_model = values[name].reshape(len(x), models, -1).transpose(0, 1).reshape(models, -1)
        quant_params[name] = estimator.activations(per_model, width, is_unsigned(graph, name, input_unsigned))
    with_macs = [node for node in graph.nodes if node.has_macs]
    for node in with_macs:
        first_or_last = node in (with_macs[0], with_macs[-1])
        width = bits.first_last if first_or_last and bits.first_last else bits.weights
        name = weight_name(node.name)
        quant_params[name] = estimator.weights(weights[name], width, per_channel=node is not graph.output)
    scheme = Scheme(quant_params, {}, power_of_two)
    if power_of_two:
        scheme = scheme.with_scales({name: snap_to_power_of_two(scale) for name, scale in scheme.scales().items()})
    return scheme
