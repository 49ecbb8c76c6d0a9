"""Width groups of a layer: filters of equal weight width, which the array runs one group after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hwsim.cache import per_object
from hwsim.errors import BadInput
from hwsim.formats import Kind
from hwsim.network.layer import Layer, Op

_groups = per_object(Layer, tuple[tuple[str, Layer], ...])


def width_groups(layer: Layer) -> tuple[tuple[str, Layer], ...]:
    """Return one layer per weight width, widest first, with labels such as "conv:w8".

    A layer without `filter_bits` is returned alone, under its own name. The group layers have the name, inputs and
    geometry of the layer, and the weights and biases of their own filters. They serve timing and energy, and are not
    executed.
    """
    if not layer.filter_bits:
        return ((layer.name, layer),)
    if layer not in _groups:
        bits = np.array(layer.filter_bits)
        widths = sorted(set(layer.filter_bits), reverse=True)
        _groups[layer] = tuple((f"{layer.name}:w{width}", _group(layer, bits == width, width)) for width in widths)
    return _groups[layer]


def fits_width(codes: NDArray[np.integer], width: int) -> bool:
    """Return True if signed integers of `width` bits represent all codes."""
    return bool(-(1 << (width - 1)) <= codes.min() and codes.max() < 1 << (width - 1))


def has_width_groups(layer: Layer) -> bool:
    """Return True for convolutions and linear layers of one group with signed uniform weights and one precision."""
    return (
        layer.op in (Op.CONV, Op.LINEAR)
        and layer.weight is not None
        and layer.weight.format.kind is Kind.UNIFORM
        and layer.weight.format.signed
        and layer.geometry.groups == 1
        and layer.region is None
    )


def check_filter_bits(layer: Layer) -> None:
    """Raise BadInput unless the widths of a layer's filters are valid and represent its weights."""
    place = f"layer {layer.name!r} filter_bits"
    if not has_width_groups(layer):
        raise BadInput(
            place, f"{layer.op} layer", "convolutions of one group and linear layers, signed uniform weights"
        )
    assert layer.weight is not None
    filters, max_width = len(layer.weight.codes), layer.weight.format.bits
    if len(layer.filter_bits) != filters:
        raise BadInput(place, f"{len(layer.filter_bits)} widths", f"{filters}, one per filter")
    for number, width in enumerate(layer.filter_bits):
        if not 1 <= width <= max_width:
            raise BadInput(f"{place}[{number}]", width, f"1 to {max_width}, the bits of the layer's weights")
        if not fits_width(layer.weight.codes[number], width):
            largest = int(np.abs(layer.weight.codes[number].astype(np.int64)).max())
            raise BadInput(
                f"{place}[{number}]", f"{width} bits for weights up to {largest}", "a width that represents them"
            )


def _group(layer: Layer, chosen: NDArray[np.bool_], width: int) -> Layer:
    """Return the layer with its `chosen` filters only, bool [filter], at one width."""
    assert layer.weight is not None and layer.bias is not None
    format = layer.weight.format
    narrow = replace(format, bits=width, narrow_range=format.narrow_range and width == format.bits)
    weight = replace(layer.weight, codes=layer.weight.codes[chosen], format=narrow)
    return replace(layer, weight=weight, bias=layer.bias[chosen], filter_bits=())
