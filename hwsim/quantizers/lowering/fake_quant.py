"""Fake quantization: the float counterpart of the integer network, which torch can train.

Rounding is half up, as in the integers. The result equals the integer network wherever the floating-point arithmetic
is exact: everywhere with scales that are powers of two. With other scales the ratio of scales is inexact (the integers
use a 31-bit multiplier), so a code may differ by one next to a tie.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.float_graph.graph import FloatGraph, Node, Weights, sum_of_products
from hwsim.formats import Kind
from hwsim.network.layer import FRACTION_BITS, INPUT
from hwsim.quantizers.scheme import KEEPS_FORMAT, QuantParams, RegionRule, Scheme, value_source, weight_name


class FakeQuantArithmetic:
    """Arithmetic whose inputs, weights, biases and outputs are rounded by a scheme."""

    def __init__(self, graph: FloatGraph, scheme: Scheme) -> None:
        self.graph, self.scheme = graph, scheme

    def input(self, x: Tensor) -> Tensor:
        """Return the rounded input."""
        return self._fake_quantize(x, INPUT)

    def product(self, node: Node, x: Tensor, weights: Weights) -> Tensor:
        """Return the sums of products of rounded values, plus the bias rounded to the scale of the accumulator."""
        w_scale = self.scheme.effective_scale(weight_name(node.name))
        w_params = self.scheme.quant_params[weight_name(node.name)]
        w_codes = weight_codes(weights[f"{node.name}.weight"], w_params, w_scale)
        x_scale = self.scheme.effective_scale(value_source(self.graph, node.inputs[0]))
        # scale of the accumulator, [model, channel] or [model, 1]
        sum_scale = x_scale[:, None] * (w_scale if w_scale.ndim == 2 else w_scale[:, None])
        bias = round_half_up(weights[f"{node.name}.bias"] / sum_scale) * sum_scale
        rule = self.scheme.regions.get(node.name)
        if rule is None:
            return sum_of_products(node, x, w_codes * _like_weight(w_scale, w_codes), bias)
        return self._region_product(node, rule, x, x_scale, w_codes, sum_scale) + bias.reshape(1, -1, 1, 1)

    def output(self, node: Node, y: Tensor) -> Tensor:
        """Return the rounded output of a node; logits and values that keep their format pass unchanged."""
        if node is self.graph.output or node.op in KEEPS_FORMAT:
            return y
        return self._fake_quantize(torch.relu(y) if node.relu else y, node.name)

    def _fake_quantize(self, values: Tensor, name: str) -> Tensor:
        """Round activations [sample, model * channel, ...]; a trained scale gets the gradient of LSQ."""
        params, scale = self.scheme.quant_params[name], self.scheme.effective_scale(name)
        low, high = params.code_range
        if scale.requires_grad:
            scale = scale_gradient(scale, 1 / math.sqrt(values[0].numel() / len(scale) * high))
        wide_scale, zero_point = (_like_activations(t, values) for t in (scale, params.zero_point.to(values.dtype)))
        codes = torch.clamp(round_half_up(values / wide_scale) + zero_point, low, high)
        return (codes - zero_point) * wide_scale

    def _region_product(
        self, node: Node, rule: RegionRule, x: Tensor, x_scale: Tensor, w_codes: Tensor, sum_scale: Tensor
    ) -> Tensor:
        """Return the sums of products with region precision; equals `hwsim.reference.region_products`.

        `x` is [sample, model * channel, row, column], `x_scale` [model], `w_codes` [model, channel, ...], `sum_scale`
        [model, channel or 1].
        """
        codes = torch.round(x / _like_activations(x_scale, x))
        mask = sensitive_pixels(rule, codes, len(x_scale)).to(x.dtype)
        x_bits = self.scheme.quant_params[value_source(self.graph, node.inputs[0])].bits
        w_bits = self.scheme.quant_params[weight_name(node.name)].bits
        x_drop, w_drop = x_bits - rule.low_bits, w_bits - rule.low_bits
        low_x = torch.clamp(torch.floor((codes + (1 << x_drop >> 1)) / (1 << x_drop)), max=(1 << rule.low_bits) - 1)
        full = sum_of_products(node, codes * mask, w_codes, None)
        low = sum_of_products(node, low_x * (1 - mask), low_weight_codes(w_codes, w_drop, rule.low_bits), None)
        sums = full + low * (1 << (x_drop + w_drop))
        return sums * sum_scale.expand(-1, w_codes.shape[1]).reshape(1, -1, 1, 1)


def weight_codes(weight: Tensor, params: QuantParams, scale: Tensor) -> Tensor:
    """Return the codes that a PE multiplies (binary: -1 and +1), as floats with gradients for training.

    `weight` is [model, channel, ...], `scale` [model] or [model, channel].
    """
    if scale.requires_grad:
        scale = scale_gradient(
            scale, 1 / math.sqrt(weight[0].numel() / scale[0].numel() * max(params.code_range[1], 1))
        )
    scaled = weight / _like_weight(scale, weight)
    if params.kind is Kind.BINARY:
        return _Sign.apply(scaled)  # type: ignore[no-any-return]
    low, high = params.code_range
    return round_half_up(torch.clamp(scaled, low, high))


def low_weight_codes(codes: Tensor, drop: int, low_bits: int) -> Tensor:
    """Return the weights of insensitive regions: full codes, with `drop` bits rounded away (never truncated)."""
    half = 1 << (low_bits - 1)
    return torch.clamp(torch.floor(codes / (1 << drop) + 0.5), -half, half - 1)


def region_sums(rule: RegionRule, codes: Tensor, models: int) -> tuple[Tensor, Tensor]:
    """Compute sum and number of the codes of each decision.

    Parameters
    ----------
    rule : region size, and whether each channel has its own decision
    codes : [sample, model * channel, row, column]
    models : number of stacked models

    Returns
    -------
    Sums [sample, model, decision channel, region row, region column] and numbers [region row, region column]. The
    decision channels are the channels of a model, or one for all.
    """
    samples, _, rows, columns = codes.shape
    per_model = codes.reshape(samples, models, -1, rows, columns)
    channels_each = 1 if rule.per_channel else per_model.shape[2]
    deciding = per_model if rule.per_channel else per_model.sum(2, keepdim=True)
    pad, size = (0, -columns % rule.width, 0, -rows % rule.height), (rule.height, rule.width)
    sums = F.avg_pool2d(F.pad(deciding.flatten(1, 2), pad), size, divisor_override=1)
    ones = F.pad(torch.ones(1, 1, rows, columns, dtype=codes.dtype), pad)
    counts = F.avg_pool2d(ones, size, divisor_override=1)[0, 0] * channels_each
    return sums.reshape(*deciding.shape[:3], *counts.shape), counts


def sensitive_pixels(rule: RegionRule, codes: Tensor, models: int) -> Tensor:
    """Compute the mask [sample, model * channel, row, column] of the codes in sensitive regions."""
    sums, counts = region_sums(rule, codes, models)
    sensitive = sums * (1 << FRACTION_BITS) >= rule.threshold.to(codes.dtype)[:, None, None, None] * counts
    _, channels, rows, columns = codes.shape
    pixels = sensitive.repeat_interleave(rule.height, 3).repeat_interleave(rule.width, 4)[..., :rows, :columns]
    return pixels.expand(-1, -1, channels // models, -1, -1).flatten(1, 2)


def round_half_up(values: Tensor) -> Tensor:
    """Return floor(values + 1/2), with the gradient of the identity (straight-through estimator)."""
    return _Round.apply(values)  # type: ignore[no-any-return]


def scale_gradient(values: Tensor, factor: float) -> Tensor:
    """Return the same values, with the gradient multiplied by `factor` (LSQ, arXiv 1902.08153, section 2.2)."""
    return _ScaleGradient.apply(values, factor)  # type: ignore[no-any-return]


def _like_activations(per_model: Tensor, values: Tensor) -> Tensor:
    """[model] -> [1, model * channel, 1, 1], to broadcast over activations `values` [sample, model * channel, ...]."""
    wide = per_model.repeat_interleave(values.shape[1] // len(per_model))
    return wide.reshape(1, -1, *([1] * (values.ndim - 2)))


def _like_weight(scale: Tensor, weight: Tensor) -> Tensor:
    """[model] or [model, channel] -> as many dimensions as `weight` [model, channel, ...], to broadcast over it."""
    return scale.reshape(*scale.shape, *([1] * (weight.ndim - scale.ndim)))


class _Round(torch.autograd.Function):
    """floor(value + 1/2), with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return torch.floor(values + 0.5)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return grad


class _Sign(torch.autograd.Function):
    """+1 from zero upwards, else -1; gradients pass where |value| <= 1 (arXiv 1602.02830)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return torch.where(values >= 0, 1.0, -1.0).to(values.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        (values,) = ctx.saved_tensors
        passed: Tensor = grad * (values.abs() <= 1)
        return passed


class _ScaleGradient(torch.autograd.Function):
    """Identity whose gradient is multiplied by a factor."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return grad * ctx.factor, None
