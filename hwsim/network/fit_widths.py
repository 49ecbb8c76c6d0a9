"""Width of each filter: the narrowest width that represents its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hwsim.errors import BadInput
from hwsim.network.graph import Network
from hwsim.network.layer import Layer
from hwsim.network.width_groups import fits_width, has_width_groups


def fit_widths(network: Network, widths: Sequence[int] = (2, 4, 8)) -> Network:
    """Return the network with each filter at the narrowest of `widths` that represents its weights unchanged.

    No output changes. Layers with region precision, with several groups, or with weights that are not signed uniform
    keep one width. A filter that no smaller width represents keeps its width. Raises BadInput for a width below 1.

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
    if not has_width_groups(layer):
        return layer
    assert layer.weight is not None
    own, codes = layer.weight.format.bits, layer.weight.codes.reshape(len(layer.weight.codes), -1)
    fitting = [next((w for w in widths if w < own and fits_width(filter, w)), own) for filter in codes]
    return layer if set(fitting) == {own} else replace(layer, filter_bits=tuple(fitting))
