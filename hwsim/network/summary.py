"""Summary of a network as text: one line per layer, and totals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hwsim.formats import Format
from hwsim.network.layer import SEMANTICS, Layer, Requantizer, Shape, Thresholds
from hwsim.network.shapes import value_shapes

HEADER = ("layer", "op", "inputs", "output", "codes", "weights", "accumulator", "requantizer", "products")
NUMBERS = ("products",)
"""Right-aligned columns."""


def summary(input: Format, input_shape: Shape, input_scale: float, layers: Sequence[Layer]) -> str:
    """Return the summary of a network from its fields: input, a line per layer, and totals per sample."""
    shapes = value_shapes(input_shape, layers)
    rows = [HEADER, *(_row(layer, shapes) for layer in layers)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    lines = [
        "  ".join(
            cell.rjust(width) if title in NUMBERS else cell.ljust(width)
            for title, cell, width in zip(HEADER, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    weights = sum(layer.weight.codes.size for layer in layers if layer.weight is not None)
    bits = sum(weight_bits(layer) for layer in layers)
    products = sum(layer_products(layer, shapes) for layer in layers)
    head = f"{SEMANTICS} network; input {_sizes(input_shape)}, {input}, scale {input_scale:.4g}"
    total = f"{len(layers)} layers, {weights:,} weights of {bits:,} bits, {products:,} products per sample"
    return "\n".join([head, *lines, total])


def weight_bits(layer: Layer) -> int:
    """Return the bits of all weights of a layer, each filter at its own width; 0 for a layer without weights."""
    if layer.weight is None:
        return 0
    codes = layer.weight.codes
    if layer.filter_bits:
        return sum(layer.filter_bits) * math.prod(codes.shape[1:])
    return codes.size * layer.weight.format.bits


def layer_products(layer: Layer, shapes: Mapping[str, Shape]) -> int:
    """Return the products of a convolution, linear or matmul layer for one sample, padding included; else 0."""
    if not layer.has_macs:
        return 0
    reduction = shapes[layer.inputs[0]][-1] if layer.weight is None else math.prod(layer.weight.codes.shape[1:])
    return math.prod(shapes[layer.name]) * reduction


def _row(layer: Layer, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
    products = layer_products(layer, shapes)
    accumulator, requantizer = "-", "-"
    if layer.accumulates:
        accumulator = f"{layer.accumulator.bits} bits, {layer.accumulator.overflow}"
    if isinstance(layer.requantizer, Requantizer):
        requantizer = str(layer.requantizer.rounding)
    elif isinstance(layer.requantizer, Thresholds):
        requantizer = f"{layer.requantizer.levels.shape[1]} thresholds"
    return (
        layer.name,
        str(layer.op),
        ", ".join(layer.inputs),
        _sizes(shapes[layer.name]),
        str(layer.output),
        _weights(layer),
        accumulator,
        requantizer,
        f"{products:,}" if products else "-",
    )


def _weights(layer: Layer) -> str:
    if layer.weight is None:
        return "-"
    format = layer.weight.format
    low, high = min(layer.filter_bits, default=format.bits), max(layer.filter_bits, default=format.bits)
    widths = "" if low == high == format.bits else f", {low} to {high} bits"
    region = f", or {layer.region.low_bits} bits by region" if layer.region is not None else ""
    return f"{layer.weight.codes.size:,} {format}{widths}{region}"


def _sizes(shape: Shape) -> str:
    return "x".join(map(str, shape))
