"""Channel groups of a layer: filters of equal weight width, which the array runs one group after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.formats import Kind
from hwsim.network.layer import Layer, Op

if TYPE_CHECKING:
    from hwsim.network.graph import Network

_groups: WeakKeyDictionary[Layer, tuple[tuple[str, Layer], ...]] = WeakKeyDictionary()


def width_groups(layer: Layer) -> tuple[tuple[str, Layer], ...]:
    """The layer as one layer per weight width, widest first, with labels such as "conv:w8".

    A layer whose filters all have the width of its weight format is itself, under its own name. The
    parts keep the name, the inputs and the geometry; they hold the weights and biases of their own
    filters, and are made to be timed and priced, not to be run.
    """
    if not layer.filter_bits:
        return ((layer.name, layer),)
    if layer not in _groups:
        bits = np.array(layer.filter_bits)
        widths = sorted(set(layer.filter_bits), reverse=True)
        _groups[layer] = tuple((f"{layer.name}:w{width}", _part(layer, bits == width, width)) for width in widths)
    return _groups[layer]


def fit_widths(network: Network, widths: Sequence[int] = (2, 4, 8)) -> Network:
    """The network with every filter at the narrowest of `widths` that holds its weights as they are.

    No output changes. Layers with region precision, of several groups, and with other than plain
    signed weights keep their one width; so does a filter that no smaller width holds. Raises
    BadInput for a width below 1.

    >>> from hwsim.formats import Format, QTensor
    >>> from hwsim.network.graph import Network
    >>> weight = QTensor(np.array([[100, 3], [1, -2]], dtype=np.int8), Format(8, signed=True))
    >>> layer = Layer("fc", Op.LINEAR, ("input",), Format(32, signed=True), weight=weight, bias=np.zeros(2, np.int64))
    >>> fit_widths(Network(Format(8), (2,), 1.0, (layer,))).layers[0].filter_bits
    (8, 2)
    """
    if not widths or min(widths) < 1:
        raise BadInput("widths", list(widths), "one width or more, each from 1")
    return replace(network, layers=tuple(_fit(layer, sorted(widths)) for layer in network.layers))


def _fit(layer: Layer, widths: list[int]) -> Layer:
    if not can_have_groups(layer):
        return layer
    assert layer.weight is not None
    own, codes = layer.weight.format.bits, layer.weight.codes.reshape(len(layer.weight.codes), -1)
    fitting = [next((w for w in widths if w < own and _holds(w, filter)), own) for filter in codes]
    return layer if set(fitting) == {own} else replace(layer, filter_bits=tuple(fitting))


def _holds(width: int, codes: NDArray[np.integer]) -> bool:
    return bool(-(1 << (width - 1)) <= codes.min() and codes.max() < 1 << (width - 1))


def can_have_groups(layer: Layer) -> bool:
    """True for convolutions and linear layers of one group with signed uniform weights and one precision."""
    return (
        layer.op in (Op.CONV, Op.LINEAR)
        and layer.weight is not None
        and layer.weight.format.kind is Kind.UNIFORM
        and layer.weight.format.signed
        and layer.geometry.groups == 1
        and layer.region is None
    )


def check_filter_bits(layer: Layer) -> None:
    """Raise BadInput unless the widths of a layer's filters are possible ones and hold its weights."""
    place = f"layer {layer.name!r} filter_bits"
    if not can_have_groups(layer):
        raise BadInput(
            place, f"{layer.op} layer", "convolutions of one group and linear layers, signed uniform weights"
        )
    assert layer.weight is not None
    filters, most = len(layer.weight.codes), layer.weight.format.bits
    if len(layer.filter_bits) != filters:
        raise BadInput(place, f"{len(layer.filter_bits)} widths", f"{filters}, one per filter")
    for number, width in enumerate(layer.filter_bits):
        if not 1 <= width <= most:
            raise BadInput(f"{place}[{number}]", width, f"1 to {most}, the bits of the layer's weights")
        if not _holds(width, layer.weight.codes[number]):
            largest = int(np.abs(layer.weight.codes[number].astype(np.int64)).max())
            raise BadInput(f"{place}[{number}]", f"{width} bits for weights up to {largest}", "a width that holds them")


def _part(layer: Layer, chosen: NDArray[np.bool_], width: int) -> Layer:
    assert layer.weight is not None and layer.bias is not None
    format = layer.weight.format
    narrow = replace(format, bits=width, narrow=format.narrow and width == format.bits)
    weight = replace(layer.weight, codes=layer.weight.codes[chosen], format=narrow)
    return replace(layer, weight=weight, bias=layer.bias[chosen], filter_bits=())
