"""Accumulator bounds: the largest magnitude that the sums of a layer can reach, from its weights and formats."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format
from hwsim.network.layer import NORM_BITS, Layer, Op, Shape

Ints = NDArray[np.int64]


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
