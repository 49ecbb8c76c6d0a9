"""Give every filter of a network the narrowest width that holds its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hwsim.errors import BadInput
from hwsim.network.graph import Network
from hwsim.network.layer import Layer
from hwsim.network.width_groups import can_have_groups, holds


def fit_widths(network: Network, widths: Sequence[int] = (2, 4, 8)) -> Network:
    """The network with every filter at the narrowest of `widths` that holds its weights as they are.

    No output changes. Layers with region precision, of several groups, and with other than plain
    signed weights keep their one width; so does a filter that no smaller width holds. Raises
    BadInput for a width below 1.

    >>> import numpy as np
    >>> from hwsim.formats import Format, QTensor
    >>> from hwsim.network.layer import Op
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
    fitting = [next((w for w in widths if w < own and holds(w, filter)), own) for filter in codes]
    return layer if set(fitting) == {own} else replace(layer, filter_bits=tuple(fitting))
