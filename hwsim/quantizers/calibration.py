"""Calibration: a scheme from one pass of the float network over calibration data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from hwsim.errors import HwsimError
from hwsim.float_graph.graph import FloatArithmetic, FloatGraph, Weights, forward, model_count, repeat_input
from hwsim.network.layer import INPUT
from hwsim.quantizers.fit_scales import fit_scales
from hwsim.quantizers.range_estimators import RangeEstimator
from hwsim.quantizers.scheme import (
    SMALLEST_SHARE,
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
    _require_finite(graph, weights, values)
    input_unsigned = bool((calibration >= 0).all())
    estimated = {}
    for name in quantized_values(graph):
        width = bits.first_last if name == INPUT and bits.first_last else bits.activations
        per_model = values[name].reshape(len(x), models, -1).transpose(0, 1).reshape(models, -1)
        estimated[name] = estimator.activations(per_model, width, is_unsigned(graph, name, input_unsigned))
    with_macs = [node for node in graph.nodes if node.has_macs]
    for node in with_macs:
        first_or_last = node in (with_macs[0], with_macs[-1])
        width = bits.first_last if first_or_last and bits.first_last else bits.weights
        name = weight_name(node.name)
        estimated[name] = estimator.weights(weights[name], width, per_channel=node is not graph.output)
    scales = fit_scales(graph, weights, estimated)
    if power_of_two:
        scales = {name: snap_to_power_of_two(scale) for name, scale in scales.items()}
    quant_params = {
        name: replace(params, scale=scales[name], min_scale=scales[name] * SMALLEST_SHARE)
        for name, params in estimated.items()
    }
    return Scheme(quant_params, {}, power_of_two)


def _require_finite(graph: FloatGraph, weights: Weights, values: Mapping[str, Tensor]) -> None:
    """Raise HwsimError, with the first layer, unless all weights and all values on the calibration data are finite."""
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise HwsimError(f"model: {name} has values that are not finite, which no integers represent")
    for node in graph.nodes:
        if not torch.isfinite(values[node.name]).all():
            raise HwsimError(f"model: the output of layer {node.name!r} is not finite on the calibration data")
