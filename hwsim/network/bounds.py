"""The largest sums that the weights of a network allow: what proves that an accumulator cannot overflow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format
from hwsim.network.layer import NORM_BITS, Layer, Op, Shape

if TYPE_CHECKING:
    from hwsim.network.graph import Network

Ints = NDArray[np.int64]


def bounds(network: Network) -> dict[str, Ints]:
    """Largest magnitude that each accumulator can reach: int64 [channel] by layer, for every layer that accumulates.

    A convolution or linear layer has `sum |w| * max |x - zero point| + |bias|`; with region precision
    each tap counts with the larger of its fine and its coarse product. A matmul has one entry, an
    average pool too.
    """
    found = {layer.name: layer_bound(layer, network.formats, network.shapes) for layer in network.layers}
    return {name: bound for name, bound in found.items() if len(bound)}


def overflow_free(network: Network) -> dict[str, bool]:
    """For every layer that accumulates: is it proved that no sum can leave its accumulator?

    >>> overflow_free(network)  # doctest: +SKIP
    {'conv1': True, 'logits': True}
    """
    proved = bounds(network)
    return {n: bool((b <= network[n].accumulator.high).all()) for n, b in proved.items()}


def layer_bound(layer: Layer, formats: Mapping[str, Format], shapes: Mapping[str, Shape]) -> Ints:
    """Largest magnitude of each accumulator of one layer, int64 [channel]; empty for a layer that has none."""
    first = formats[layer.inputs[0]].max_magnitude
    shape = shapes[layer.inputs[0]]
    match layer.op:
        case Op.CONV | Op.LINEAR:
            return _product_bound(layer, formats[layer.inputs[0]])
        case Op.MATMUL:
            return np.array([shape[-1] * first * formats[layer.inputs[1]].max_magnitude], dtype=np.int64)
        case Op.AVG_POOL:
            return np.array([math.prod(layer.geometry.kernel) * first], dtype=np.int64)
        case Op.GLOBAL_AVG_POOL:
            return np.array([math.prod(shape[1:]) * first], dtype=np.int64)
        case Op.LAYER_NORM:
            assert layer.weight is not None and layer.bias is not None
            # a normalized value is at most sqrt(features), plus what its rounded root may add
            largest = (math.isqrt(shape[-1]) + 2) << NORM_BITS
            return np.abs(layer.weight.values()) * largest + np.abs(layer.bias)
    return np.zeros(0, dtype=np.int64)


def _product_bound(layer: Layer, source: Format) -> Ints:
    assert layer.weight is not None and layer.bias is not None
    taps = np.abs(layer.weight.values()) * source.max_magnitude
    if layer.region is not None:
        drop = source.bits + layer.weight.format.bits - 2 * layer.region.low_bits
        largest_coarse = ((1 << layer.region.low_bits) - 1) << drop
        taps = np.maximum(taps, np.abs(layer.region.low_weight.astype(np.int64)) * largest_coarse)
    bound: Ints = taps.reshape(len(taps), math.prod(taps.shape[1:])).sum(axis=1) + np.abs(layer.bias)
    return bound
