"""What must hold before a network may exist: every rule names the layer that breaks it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.formats import LOGITS, Kind
from hwsim.network.layer import INPUT, Layer, Op

if TYPE_CHECKING:
    from hwsim.network.graph import Network

MAX_CODE_BITS = 8
"""Widest weight and activation codes that run today."""

MAX_ELEMENTS = 1 << 28
"""Most codes of one sample's map, padding included: sizes are checked before memory is taken."""

MAX_GEOMETRY = 1 << 15
"""Largest kernel, stride, padding or group count."""

_REQUANTIZED = {Op.CONV, Op.LINEAR, Op.AVG_POOL, Op.GLOBAL_AVG_POOL, Op.ADD}


def check_network(network: Network) -> None:
    """Raise HwsimError unless names, shapes, formats and policies of all layers fit together."""
    if not network.layers:
        raise HwsimError("network: it has no layers")
    if min(network.input_shape, default=0) < 1:
        raise BadInput("network input shape", network.input_shape, "sizes from 1")
    _check_scale(network.input_scale, "network input")
    if network.input.bits > MAX_CODE_BITS:
        raise BadInput("network input", str(network.input), f"at most {MAX_CODE_BITS} bits")
    known = {INPUT}
    for layer in network.layers:
        if layer.name in known:
            raise HwsimError(f"layer {layer.name!r}: two layers have this name")
        for name in layer.inputs:
            if name not in known:
                raise UnknownName(f"layer {layer.name!r} input", name, known)
        known.add(layer.name)
        _check_layer(layer, last=layer is network.layers[-1])
    for layer in network.layers:  # shapes after names: a missing name would hide behind a KeyError
        _check_region(layer, network)
        _check_kept_format(layer, network)
    _check_sizes(network)


def _check_layer(layer: Layer, last: bool) -> None:
    place = f"layer {layer.name!r}"
    wanted = 2 if layer.op is Op.ADD else 1
    if len(layer.inputs) != wanted:
        raise HwsimError(f"{place}: {layer.op} takes {wanted} inputs, got {len(layer.inputs)}")
    if last and not (layer.has_macs and layer.requantizer is None and layer.output == LOGITS):
        raise HwsimError(f"{place}: the last layer must be a convolution or linear layer that emits raw int32 logits")
    if not last and layer.output.bits > MAX_CODE_BITS:
        raise BadInput(f"{place} output", str(layer.output), f"at most {MAX_CODE_BITS} bits")
    if not last and layer.output.kind is not Kind.UNIFORM:
        raise BadInput(f"{place} output", str(layer.output), "uniform codes")
    if (layer.requantizer is not None) != (layer.op in _REQUANTIZED and not last):
        raise HwsimError(f"{place}: {layer.op} {'needs a' if layer.requantizer is None else 'takes no'} requantizer")
    if {layer.weight is not None, layer.bias is not None} != {layer.has_macs}:
        raise HwsimError(f"{place}: weights and bias belong to convolution and linear layers, and to no other")
    if min(layer.geometry.kernel + layer.geometry.stride) < 1 or min(layer.geometry.padding) < 0:
        raise BadInput(f"{place} geometry", layer.geometry, "kernel and stride from 1, padding from 0")
    if layer.geometry.groups < 1:
        raise BadInput(f"{place} groups", layer.geometry.groups, "1 or more")
    largest = max(layer.geometry.kernel + layer.geometry.stride + layer.geometry.padding + (layer.geometry.groups,))
    if largest > MAX_GEOMETRY:
        raise BadInput(f"{place} geometry", largest, f"at most {MAX_GEOMETRY}")
    _check_scale(layer.scale, place)
    _check_weight(layer, place)
    _check_requantizer(layer, place)


def _check_scale(scale: float, place: str) -> None:
    if not (scale > 0 and math.isfinite(scale)):
        raise BadInput(f"{place} scale", scale, "a positive number")


def _check_sizes(network: Network) -> None:
    shapes = network.shapes
    for layer in network.layers:
        shape = shapes[layer.inputs[0]]
        if layer.op in (Op.CONV, Op.MAX_POOL, Op.AVG_POOL):
            padding = layer.geometry.padding
            shape = (shape[0], shape[1] + 2 * padding[0], shape[2] + 2 * padding[1])
        for what, sizes in (("input", shape), ("output", shapes[layer.name])):
            if min(sizes) < 1 or math.prod(sizes) > MAX_ELEMENTS:
                raise BadInput(f"layer {layer.name!r} {what}", sizes, f"sizes from 1, at most {MAX_ELEMENTS} codes")


def _check_weight(layer: Layer, place: str) -> None:
    if layer.weight is None or layer.bias is None:
        return
    if layer.weight.codes.ndim != (4 if layer.op is Op.CONV else 2):
        raise BadInput(
            f"{place} weight", f"{layer.weight.codes.ndim} axes", "4 for a convolution, 2 for a linear layer"
        )
    if layer.weight.format.bits > MAX_CODE_BITS or layer.weight.format.zero_point:
        raise BadInput(f"{place} weight", str(layer.weight.format), f"at most {MAX_CODE_BITS} bits, zero point 0")
    if layer.op is Op.CONV and layer.weight.codes.shape[2:] != layer.geometry.kernel:
        raise BadInput(f"{place} weight", f"kernel {layer.weight.codes.shape[2:]}", f"{layer.geometry.kernel}")
    if layer.bias.shape != layer.weight.codes.shape[:1] or layer.bias.dtype != np.int64:
        raise BadInput(f"{place} bias", f"{layer.bias.dtype} {layer.bias.shape}", "int64, one per output channel")
    wide = (layer.bias >= 2**31) | (layer.bias <= -(2**31))
    if wide.any():
        raise BadInput(f"{place} bias", int(layer.bias[wide.argmax()]), "32-bit integers")


def _check_requantizer(layer: Layer, place: str) -> None:
    r = layer.requantizer
    if r is None:
        return
    channels = layer.weight.codes.shape[0] if layer.weight is not None else 1
    counts = {2} if layer.op is Op.ADD else {1, channels}
    if r.multiplier.size not in counts or r.shift.size not in ({1} if layer.op is Op.ADD else {r.multiplier.size}):
        raise BadInput(f"{place} requantizer", f"{r.multiplier.size} multipliers, {r.shift.size} shifts", f"{counts}")
    if r.multiplier.dtype != np.int64 or r.shift.dtype != np.int64:
        raise BadInput(f"{place} requantizer", f"{r.multiplier.dtype}, {r.shift.dtype}", "int64")
    if np.any(r.multiplier < 0) or np.any(r.multiplier >= 2**31):
        raise BadInput(f"{place} requantizer multiplier", int(r.multiplier.max()), "0 to 2^31 - 1")
    if np.any(r.shift < 0) or np.any(r.shift > 62):
        raise BadInput(f"{place} requantizer shift", int(r.shift.max()), "0 to 62")
    if not layer.output.qmin <= r.low <= r.high <= layer.output.qmax:
        raise BadInput(f"{place} requantizer clip", f"{r.low} to {r.high}", f"inside {layer.output}")


def _check_region(layer: Layer, network: Network) -> None:
    region, place = layer.region, f"layer {layer.name!r} region"
    if region is None:
        return
    source = network.formats[layer.inputs[0]]
    if layer.op is not Op.CONV or layer.weight is None or layer.weight.format.kind is not Kind.UNIFORM:
        raise HwsimError(f"{place}: only convolutions with uniform weights have region precision")
    if source.signed or source.zero_point:
        raise BadInput(
            f"{place} input", str(source), "unsigned codes with zero point 0, else the correction needs the mask"
        )
    if min(region.height, region.width) < 1 or region.threshold < 0:
        raise BadInput(
            place, f"{region.height}x{region.width}, threshold {region.threshold}", "size from 1, threshold from 0"
        )
    if not 1 <= region.low_bits < min(source.bits, layer.weight.format.bits + 1):
        raise BadInput(f"{place} low_bits", region.low_bits, f"1 to {min(source.bits - 1, layer.weight.format.bits)}")
    if max(region.height, region.width, region.threshold) >= 2**31:
        raise BadInput(place, max(region.height, region.width, region.threshold), "sizes and threshold below 2^31")
    half = 1 << (region.low_bits - 1)
    low = region.low_weight
    if low.shape != layer.weight.codes.shape or np.any(low < -half) or np.any(low >= half):
        raise BadInput(
            f"{place} low_weight", f"shape {low.shape}", f"{layer.weight.codes.shape}, codes {-half} to {half - 1}"
        )


def _check_kept_format(layer: Layer, network: Network) -> None:
    if layer.op in (Op.MAX_POOL, Op.FLATTEN) and layer.output != network.formats[layer.inputs[0]]:
        raise HwsimError(f"layer {layer.name!r}: {layer.op} keeps the format of its input")
