"""Run a network on a batch of codes, bit for bit as `hwsim.reference` defines it, and prove what cannot overflow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.formats import Format, Kind
from hwsim.kernels import elementwise, products, regions
from hwsim.network.graph import Network
from hwsim.network.layer import FRACTION_BITS, INPUT, Layer, Op

CHUNK_BYTES = 1 << 23
"""Samples run in chunks whose largest int32 map has about this size: bounded memory, and it stays in the cache."""

Ints = NDArray[np.int64]
Array = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Execution:
    """What a network computed: raw outputs int32 [sample, class], and the sensitive regions that it met.

    `masks` has one bool array [sample, region row, region column] per layer with region precision.
    """

    outputs: NDArray[np.int32]
    masks: Mapping[str, NDArray[np.bool_]]


def execute(network: Network, codes: NDArray[np.integer]) -> Execution:
    """Run `network` on input codes [sample, *input_shape] of any integer dtype.

    Sums wrap modulo 2^32 exactly as HQ1 defines, whatever the bound of a layer is, and the result
    depends neither on the batch nor on the number of threads.
    Raises BadInput for codes of the wrong dtype, shape or range.
    """
    _check_codes(network, codes)
    plans = [_plan(network, layer) for layer in network.layers]
    chunk = _chunk(network)
    # an empty batch runs once, so that shapes and dtypes come out as for any other
    parts = [_execute_chunk(network, plans, codes[i : i + chunk]) for i in range(0, max(len(codes), 1), chunk)]
    outputs = np.concatenate([outputs for outputs, _ in parts])
    masks = {name: np.concatenate([masks[name] for _, masks in parts]) for name in parts[0][1]}
    return Execution(outputs, masks)


def bounds(network: Network) -> dict[str, Ints]:
    """Largest magnitude that each accumulator can reach: int64 [channel] for every convolution and linear layer.

    It is `sum |w| * max |x - zero point| + |bias|`; with region precision each tap counts with the
    larger of its fine and its coarse product.
    """
    found: dict[str, Ints] = {}
    for layer in network.layers:
        if layer.weight is None or layer.bias is None:
            continue
        source = network.formats[layer.inputs[0]]
        taps = np.abs(layer.weight.values()) * source.max_magnitude
        if layer.region is not None:
            drop, shift = _drops(layer, source)
            largest_coarse = ((1 << layer.region.low_bits) - 1) << (drop + shift)
            taps = np.maximum(taps, np.abs(layer.region.low_weight.astype(np.int64)) * largest_coarse)
        found[layer.name] = taps.reshape(len(taps), -1).sum(axis=1) + np.abs(layer.bias)
    return found


def overflow_free(network: Network) -> dict[str, bool]:
    """For every convolution and linear layer: is it proved that no 32-bit accumulator can overflow?"""
    return {name: bool((bound <= 2**31 - 1).all()) for name, bound in bounds(network).items()}


@dataclass(frozen=True, eq=False)
class _Plan:
    """One layer with its constants in the dtypes of the kernels, prepared once per call."""

    layer: Layer
    zeros: tuple[int, ...]  # zero point of each input
    source: Format
    weights: NDArray[np.int16] | None
    bias: NDArray[np.int32] | None
    multiplier: Ints
    shift: Ints
    spent: tuple[str, ...]  # activations that no later layer reads


def _plan(network: Network, layer: Layer) -> _Plan:
    formats = [network.formats[name] for name in layer.inputs]
    later = network.layers[network.layers.index(layer) + 1 :]
    needed = {name for other in later for name in other.inputs}
    weights = bias = None
    if layer.weight is not None and layer.bias is not None:
        values = layer.weight.values().astype(np.int16)
        if layer.region is not None:
            values = regions.join_weights(values, layer.region.low_weight, _drops(layer, formats[0])[1])
        weights, bias = products.pack(values, layer.geometry.groups), layer.bias.astype(np.int32)
    multiplier = shift = np.zeros(0, dtype=np.int64)
    if layer.requantizer is not None:
        channels = 2 if layer.op is Op.ADD else network.shapes[layer.name][0]
        multiplier = np.resize(layer.requantizer.multiplier, channels)
        shift = np.resize(layer.requantizer.shift, channels)
    return _Plan(
        layer,
        zeros=tuple(f.zero_point for f in formats),
        source=formats[0],
        weights=weights,
        bias=bias,
        multiplier=multiplier,
        shift=shift,
        spent=tuple({*layer.inputs} - needed),
    )


def _drops(layer: Layer, source: Format) -> tuple[int, int]:
    """Bits that the coarse codes and the coarse weights of a region layer lack."""
    assert layer.region is not None and layer.weight is not None
    return source.bits - layer.region.low_bits, layer.weight.format.bits - layer.region.low_bits


def _execute_chunk(
    network: Network, plans: list[_Plan], codes: NDArray[np.integer]
) -> tuple[NDArray[np.int32], dict[str, NDArray[np.bool_]]]:
    # binary codes become their values -1 and +1, which have zero point 0: the kernels know only that
    first = network.input.decode(codes) if network.input.kind is Kind.BINARY else codes
    alive: dict[str, Array] = {INPUT: first.astype(np.int16, order="C")}
    masks: dict[str, NDArray[np.bool_]] = {}
    for plan in plans:
        layer, operands = plan.layer, [alive[name] for name in plan.layer.inputs]
        for name in plan.spent:
            del alive[name]
        if layer.region is not None:
            r = layer.region
            masks[layer.name] = regions.sensitive_regions(operands[0], r.height, r.width, r.threshold, FRACTION_BITS)
            drop, _ = _drops(layer, plan.source)
            mask, groups = masks[layer.name], layer.geometry.groups
            operands = [regions.split(operands[0], mask, r.height, r.width, r.low_bits, drop, groups)]
        alive[layer.name] = _compute(plan, operands)
    return _flat(alive[network.layers[-1].name]), masks  # type: ignore[return-value]


def _compute(plan: _Plan, operands: list[Array]) -> Array:
    """Codes int16 (or raw accumulators int32) that a layer makes of its operands."""
    layer, x, zero, g = plan.layer, operands[0], plan.zeros[0], plan.layer.geometry
    match layer.op:
        case Op.FLATTEN:
            return _flat(x)
        case Op.MAX_POOL:
            return elementwise.max_pool(x, plan.source.qmin, g.kernel, g.stride, g.padding)  # type: ignore[no-any-return]
        case Op.ADD:
            return _add(plan, *operands)
        case Op.CONV:
            sums = products.convolve(x, zero, plan.weights, plan.bias, g.kernel, g.stride, g.padding)
        case Op.LINEAR:
            sums = products.multiply(x, zero, plan.weights, plan.bias)
        case Op.AVG_POOL:
            sums = elementwise.sum_pool(x, zero, g.kernel, g.stride, g.padding)
        case Op.GLOBAL_AVG_POOL:
            sums = elementwise.sum_pool(x, zero, x.shape[2:], (1, 1), (0, 0))
    return sums if layer.requantizer is None else _requantize(plan, sums)


def _requantize(plan: _Plan, sums: NDArray[np.int32]) -> Array:
    r = plan.layer.requantizer
    assert r is not None
    flat = sums.reshape(*sums.shape[:2], math.prod(sums.shape[2:]))
    codes = elementwise.requantize(flat, plan.multiplier, plan.shift, plan.layer.output.zero_point, r.low, r.high)
    return codes.reshape(sums.shape)  # type: ignore[no-any-return]


def _add(plan: _Plan, a: Array, b: Array) -> Array:
    r = plan.layer.requantizer
    assert r is not None
    zero_a, zero_b = plan.zeros
    zero = plan.layer.output.zero_point
    codes = elementwise.add(_flat(a), zero_a, _flat(b), zero_b, plan.multiplier, plan.shift[0], zero, r.low, r.high)
    return codes.reshape(a.shape)  # type: ignore[no-any-return]


def _flat(x: Array) -> Array:
    """[sample, everything else], also for no samples at all."""
    return x.reshape(len(x), math.prod(x.shape[1:]))


def _chunk(network: Network) -> int:
    """How many samples run at once: a fixed function of the network, so that memory stays bounded."""
    return max(1, CHUNK_BYTES // (4 * max(math.prod(shape) for shape in network.shapes.values())))


def _check_codes(network: Network, codes: NDArray[np.integer]) -> None:
    if codes.ndim < 1 or codes.shape[1:] != network.input_shape:
        wanted = ", ".join(map(str, network.input_shape))
        raise BadInput("inputs", f"shape {codes.shape}", f"[samples, {wanted}]")
    network.input.require(codes, "inputs")
