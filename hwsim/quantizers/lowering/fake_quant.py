"""Fake quantization: the real-valued twin of the integer network, which torch can train.

Rounding is half up, as in the integers. Whatever is exact in the floating point used is equal to
the integer network: everything where steps are powers of two; otherwise all but the ratio of scales,
which the integers carry as a 31-bit multiplier, so that a code may differ by one next to a tie.
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
from hwsim.quantizers.scheme import (
    KEEPS_FORMAT,
    QuantParams,
    RegionRule,
    Scheme,
    snap_to_power_of_two,
    value_source,
    weight_name,
)

MIN_STEP = 1e-6
"""Step sizes that training pushes below this stay there: a step must be positive."""


class FakeQuantArithmetic:
    """Arithmetic whose inputs, weights, biases and outputs lie on the grids of a scheme."""

    def __init__(self, graph: FloatGraph, scheme: Scheme) -> None:
        self.graph, self.scheme = graph, scheme

    def input(self, x: Tensor) -> Tensor:
        """The input on its grid."""
        return self._on_grid(x, INPUT)

    def product(self, node: Node, x: Tensor, weights: Weights) -> Tensor:
        """The layer's sum of products of grid values, with the bias rounded to the accumulator's unit."""
        w_step = self._step(weight_name(node.name))
        grid = self.scheme.grids[weight_name(node.name)]
        w_codes = weight_codes(weights[f"{node.name}.weight"], grid, w_step)
        x_step = self._step(value_source(self.graph, node.inputs[0]))
        unit = x_step[:, None] * (w_step if w_step.ndim == 2 else w_step[:, None])  # [model, channel or 1]
        bias = round_half_up(weights[f"{node.name}.bias"] / unit) * unit
        values = w_codes * _match(w_step, w_codes)
        rule = self.scheme.regions.get(node.name)
        if rule is None:
            return sum_of_products(node, x, values, bias)
        return self._region_product(node, rule, x, x_step, w_codes, unit) + bias.reshape(1, -1, 1, 1)

    def output(self, node: Node, y: Tensor) -> Tensor:
        """What a node emits, on its grid; the logits and values that keep their format pass as they are."""
        if node is self.graph.output or node.op in KEEPS_FORMAT:
            return y
        return self._on_grid(torch.relu(y) if node.relu else y, node.name)

    def _step(self, name: str) -> Tensor:
        step = self.scheme.grids[name].scale.clamp_min(MIN_STEP)
        return snap_to_power_of_two(step) if self.scheme.power_of_two else step

    def _on_grid(self, values: Tensor, name: str) -> Tensor:
        """Quantize activations [sample, model * channel, ...]; a trained step gets LSQ's gradient."""
        grid, step = self.scheme.grids[name], self._step(name)
        low, high = grid.code_range
        if step.requires_grad:
            step = scale_gradient(step, 1 / math.sqrt(values[0].numel() / len(step) * high))
        wide, zero = (_per_channel(t, values) for t in (step, grid.zero_point.to(values.dtype)))
        codes = torch.clamp(round_half_up(values / wide) + zero, low, high)
        return (codes - zero) * wide

    def _region_product(
        self, node: Node, rule: RegionRule, x: Tensor, x_step: Tensor, w_codes: Tensor, unit: Tensor
    ) -> Tensor:
        """The region sum of facts and definition alike: full where sensitive, low bits elsewhere."""
        codes = torch.round(x / _per_channel(x_step, x))
        mask = sensitive_pixels(rule, codes, len(x_step)).to(x.dtype)
        x_bits = self.scheme.grids[value_source(self.graph, node.inputs[0])].bits
        x_drop, w_drop = x_bits - rule.low_bits, self.scheme.grids[weight_name(node.name)].bits - rule.low_bits
        low_x = torch.clamp(torch.floor((codes + (1 << x_drop >> 1)) / (1 << x_drop)), max=(1 << rule.low_bits) - 1)
        full = sum_of_products(node, codes * mask, w_codes, None)
        low = sum_of_products(node, low_x * (1 - mask), low_weight_codes(w_codes, w_drop, rule.low_bits), None)
        return (full + low * (1 << (x_drop + w_drop))) * unit.expand(-1, w_codes.shape[1]).reshape(1, -1, 1, 1)


def weight_codes(weight: Tensor, grid: QuantParams, step: Tensor) -> Tensor:
    """Integer-valued codes as a PE multiplies them (binary: -1 and +1), with gradients for training."""
    if step.requires_grad:
        step = scale_gradient(step, 1 / math.sqrt(weight[0].numel() / step[0].numel() * max(grid.code_range[1], 1)))
    scaled = weight / _match(step, weight)
    if grid.kind is Kind.BINARY:
        return _Sign.apply(scaled)  # type: ignore[no-any-return]
    low, high = grid.code_range
    return round_half_up(torch.clamp(scaled, low, high))


def low_weight_codes(codes: Tensor, drop: int, low_bits: int) -> Tensor:
    """Weights of insensitive regions: the full codes rounded (never truncated) to `low_bits`."""
    half = 1 << (low_bits - 1)
    return torch.clamp(torch.floor(codes / (1 << drop) + 0.5), -half, half - 1)


def region_sums(rule: RegionRule, codes: Tensor, models: int) -> tuple[Tensor, Tensor]:
    """Sum and number of the codes that each decision sees: [sample, model, decider, ry, rx] and [ry, rx].

    `codes` is [sample, model * channel, row, column]; deciders are the channels of a model, or one for all.
    """
    samples, _, rows, columns = codes.shape
    per_model = codes.reshape(samples, models, -1, rows, columns)
    channels_each = 1 if rule.per_channel else per_model.shape[2]
    deciders = per_model if rule.per_channel else per_model.sum(2, keepdim=True)
    pad, size = (0, -columns % rule.width, 0, -rows % rule.height), (rule.height, rule.width)
    sums = F.avg_pool2d(F.pad(deciders.flatten(1, 2), pad), size, divisor_override=1)
    ones = F.pad(torch.ones(1, 1, rows, columns, dtype=codes.dtype), pad)
    counts = F.avg_pool2d(ones, size, divisor_override=1)[0, 0] * channels_each
    return sums.reshape(*deciders.shape[:3], *counts.shape), counts


def sensitive_pixels(rule: RegionRule, codes: Tensor, models: int) -> Tensor:
    """Mask [sample, model * channel, row, column] of the codes that lie in sensitive regions."""
    sums, counts = region_sums(rule, codes, models)
    sensitive = sums * (1 << FRACTION_BITS) >= rule.threshold.to(codes.dtype)[:, None, None, None] * counts
    _, channels, rows, columns = codes.shape
    pixels = sensitive.repeat_interleave(rule.height, 3).repeat_interleave(rule.width, 4)[..., :rows, :columns]
    return pixels.expand(-1, -1, channels // models, -1, -1).flatten(1, 2)


def round_half_up(values: Tensor) -> Tensor:
    """floor(values + 1/2), exact in the forward pass, with the gradient of the identity."""
    return _Round.apply(values)  # type: ignore[no-any-return]


def scale_gradient(values: Tensor, factor: float) -> Tensor:
    """The same values, with the gradient multiplied by `factor` (LSQ, arXiv 1902.08153, section 2.2)."""
    return _ScaleGradient.apply(values, factor)  # type: ignore[no-any-return]


def _per_channel(per_model: Tensor, values: Tensor) -> Tensor:
    """[model] -> [1, model * channel, 1, 1], to stand beside activations."""
    wide = per_model.repeat_interleave(values.shape[1] // len(per_model))
    return wide.reshape(1, -1, *([1] * (values.ndim - 2)))


def _match(step: Tensor, weight: Tensor) -> Tensor:
    return step.reshape(*step.shape, *([1] * (weight.ndim - step.ndim)))


class _Round(torch.autograd.Function):
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
    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return grad * ctx.factor, None
