"""Scales between layers: of tensors that are zero, and of weights whose sums would not fit the accumulator."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from hwsim.float_graph.graph import FloatGraph, Node, Weights
from hwsim.network.layer import INPUT
from hwsim.quantizers.scheme import KEEPS_FORMAT, QuantParams, value_source, weight_name

LARGEST_SUM = 2.0**30
"""Largest sum of a layer that the scale of its weights allows: half of an accumulator of 32 bits. The other half is for
the rounding of codes, and of scales to powers of two."""

BIAS_SHARE = 2.0**-16
"""Scale of an input that is always zero, such that the largest bias of the next layer has about 16 bits."""


def fit_scales(graph: FloatGraph, weights: Weights, estimated: Mapping[str, QuantParams]) -> dict[str, Tensor]:
    """Return all scales by name, positive float32 of the shapes of the `estimated` scales.

    An estimated scale of 0, of a tensor that is zero everywhere, is replaced by one in the unit of its neighbors, so
    that no unit is assumed. Where `sum |w| * max |x| + |bias|` would need more than the accumulator, the scale of the
    weights is widened, with a warning where the weights are not zero: a code that large would wrap.
    """
    scales = {name: params.scale.clone() for name, params in estimated.items()}
    _replace_zeros(scales, INPUT, _input_scale(graph, weights, scales))
    for node in graph.nodes:
        if node.op in KEEPS_FORMAT:
            continue
        sources = [scales[value_source(graph, name)].double() for name in node.inputs]
        sum_scale = torch.stack(sources).amax(0)
        if node.has_macs:
            low, high = estimated[value_source(graph, node.inputs[0])].code_range
            zero_point = estimated[value_source(graph, node.inputs[0])].zero_point.double()
            largest_code = torch.maximum(high - zero_point, zero_point - low)
            _fit_weight_scale(graph, node, weights, scales, sources[0], largest_code)
            w_scale = scales[weight_name(node.name)].double()
            sum_scale = sum_scale * (w_scale.amax(1) if w_scale.ndim == 2 else w_scale)
        if node is not graph.output:
            _replace_zeros(scales, node.name, sum_scale)
    return scales


def _replace_zeros(scales: dict[str, Tensor], name: str, other: Tensor) -> None:
    """Replace scales of 0 by `other`, of the same shape or smaller."""
    scale = scales[name]
    scales[name] = torch.where(scale > 0, scale, _float32(other))


def _float32(scale: Tensor) -> Tensor:
    limits = torch.finfo(torch.float32)
    return scale.clamp(limits.tiny, limits.max).float()


def _input_scale(graph: FloatGraph, weights: Weights, scales: Mapping[str, Tensor]) -> Tensor:
    """Return a scale [model] for an input that is always zero: fine enough for the biases of the first layers."""
    best = torch.full_like(scales[INPUT], torch.inf, dtype=torch.float64)
    for node in graph.nodes:
        if node.has_macs and value_source(graph, node.inputs[0]) == INPUT:
            bias = weights[f"{node.name}.bias"].abs().double().amax(1)
            w_scale = scales[weight_name(node.name)].double().reshape(len(bias), -1).amax(1)
            step = BIAS_SHARE * bias / w_scale
            best = torch.minimum(best, torch.where((bias > 0) & (w_scale > 0), step, torch.inf))
    return torch.where(torch.isfinite(best), best, 1.0)


def _fit_weight_scale(
    graph: FloatGraph, node: Node, weights: Weights, scales: dict[str, Tensor], x_scale: Tensor, largest_code: Tensor
) -> None:
    """Set the scale of the weights of a layer: positive, and wide enough for its sums; all tensors [model, ...]."""
    name = weight_name(node.name)
    scale = scales[name].double()
    bias = weights[f"{node.name}.bias"].double().abs()
    sums = weights[name].double().abs().flatten(2).sum(2) * largest_code[:, None] + bias / x_scale[:, None]
    needed = sums / LARGEST_SUM  # [model, channel]
    if scale.ndim == 1:  # one scale for all channels
        needed = needed.amax(1)
    widened = (scale > 0) & (needed > scale)
    if bool(widened.any()):
        first = tuple(int(i) for i in widened.nonzero()[0])
        channel = first[-1] if len(first) > 1 else 0
        warnings.warn(
            f"layer {node.name!r}: sums with its bias need more than the 32-bit accumulator, so the step of the "
            f"weights is wider in {int(widened.sum())} of {widened.numel()} scales (channel {channel}: "
            f"{float(needed[first]):.3g} for {float(scale[first]):.3g})",
            stacklevel=2,
        )
    # weights and bias of zero give zero in any scale: the largest of the layer, else 1
    others = scale.reshape(len(scale), -1).amax(1)
    others = torch.where(others > 0, others, 1.0).reshape(-1, *(1,) * (scale.ndim - 1))
    fitted = torch.where(needed > scale, needed, torch.where(scale > 0, scale, others))
    scales[name] = torch.where(fitted > scale, _float32(fitted), scales[name])
