"""Accumulator bounds: the largest magnitude of the sums of a layer, from its weights and formats."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format
from hwsim.network.layer import NORM_BITS, Layer, Op, Shape

Ints = NDArray[np.int64]


def layer_bound(layer: Layer, formats: Mapping[str, Format], shapes: Mapping[str, Shape]) -> Ints:
    """Return the largest magnitude of each accumulator of one layer, int64 [channel]; empty without accumulators."""
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
            # a normalized value is at most sqrt(features), plus the error of its rounded root
            largest = (math.isqrt(shape[-1]) + 2) << NORM_BITS
            return np.abs(layer.weight.values()) * largest + np.abs(layer.bias)
    return np.zeros(0, dtype=np.int64)


def _product_bound(layer: Layer, source: Format) -> Ints:
    """Return `sum |w| * max |x| + |bias|` of a convolution or linear layer, int64 [channel]."""
    assert layer.weight is not None and layer.bias is not None
    magnitudes = np.abs(layer.weight.values()) * source.max_magnitude
    if layer.region is not None:
        drop = source.bits + layer.weight.format.bits - 2 * layer.region.low_bits
        largest_coarse = ((1 << layer.region.low_bits) - 1) << drop
        magnitudes = np.maximum(magnitudes, np.abs(layer.region.low_weight.astype(np.int64)) * largest_coarse)
    per_channel = magnitudes.reshape(len(magnitudes), math.prod(magnitudes.shape[1:]))
    bound: Ints = per_channel.sum(axis=1) + np.abs(layer.bias)
    return bound
