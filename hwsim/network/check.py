"""Checks of a network on construction; each error contains the layer, and the channel, of the invalid field."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.formats import LOGITS, MAX_CODE_BITS, Format, Kind
from hwsim.network.accumulator_bounds import layer_bound
from hwsim.network.check_fields import check_fields, check_unread
from hwsim.network.layer import (
    INPUT,
    INT32,
    Layer,
    Op,
    Overflow,
    Requantizer,
    Rounding,
    Shape,
    Thresholds,
    keeps_format,
)
from hwsim.network.shapes import value_formats, value_shapes
from hwsim.network.width_groups import check_filter_bits

MAX_ELEMENTS = 1 << 28
"""Largest number of codes in one map of a sample, padding included."""

MAX_GEOMETRY = 1 << 15
"""Largest kernel, stride, padding, dilation or group count."""

MAX_NORM = 1 << 23
"""Largest product of features and input magnitude of a layer norm, whose squares then have at most 64 bits."""

PRODUCT_BITS = 63
"""Largest width of a requantizer's product, whose rounding then has at most 64 bits."""


FLOAT32_NORMAL, FLOAT32_INFINITY = 0x00800000, 0x7F800000
"""Bits of the smallest normal float32 and of infinity: the finite normal scales lie between."""


def check_network(input: Format, input_shape: Shape, input_scale: float, layers: Sequence[Layer]) -> None:
    """Raise HwsimError unless names, shapes, formats and policies of all layers are consistent."""
    check_fields(input, input_shape, input_scale, layers)
    if not layers:
        raise HwsimError("network: it has no layers")
    if min(input_shape, default=0) < 1:
        raise BadInput("network input shape", input_shape, "sizes from 1")
    _check_scale(input_scale, "network input")
    _check_codes(input, "network input")
    _check_names(layers)
    for layer in layers:
        _check_layer(layer, last=layer is layers[-1])
    formats = value_formats(input, layers)
    for layer in layers:  # after the check of the names, which would be a KeyError here
        _check_region(layer, formats)
        if layer.filter_bits:
            check_filter_bits(layer)
        _check_kept_format(layer, formats)
    shapes = value_shapes(input_shape, layers)
    _check_sizes(layers, shapes)
    for layer in layers:  # checks that need shapes and formats of the inputs
        _check_requantizer(layer, shapes)
        _check_softmax(layer, formats, shapes)
        _check_norm(layer, formats, shapes)
        _check_overflow(layer, formats, shapes)
        check_unread(layer)


def _check_names(layers: Sequence[Layer]) -> None:
    names = {layer.name for layer in layers}
    known = {INPUT}
    for layer in layers:
        if layer.name in known:
            raise HwsimError(f"layer {layer.name!r}: two layers have this name")
        for name in layer.inputs:
            if name in names - known:
                raise BadInput(f"layer {layer.name!r} input", name, "layers before it (this input makes a cycle)")
            if name not in known:
                raise UnknownName(f"layer {layer.name!r} input", name, known)
        known.add(layer.name)


def _check_layer(layer: Layer, last: bool) -> None:
    place = f"layer {layer.name!r}"
    _check_inputs(layer, place)
    if last and not (layer.op in (Op.CONV, Op.LINEAR) and layer.requantizer is None and layer.output == LOGITS):
        raise HwsimError(
            f"{place}: the last layer must be a convolution or linear layer with raw int32 logits as output"
        )
    if last and layer.accumulator.bits > LOGITS.bits:
        raise BadInput(f"{place} accumulator", f"{layer.accumulator.bits} bits", "at most 32 bits in the last layer")
    if not last:
        _check_codes(layer.output, f"{place} output")
    if (layer.requantizer is not None) != (_requantizes(layer) and not last):
        raise HwsimError(f"{place}: {layer.op} {'needs a' if layer.requantizer is None else 'takes no'} requantizer")
    if {layer.weight is not None, layer.bias is not None} != {layer.has_weights}:
        raise HwsimError(f"{place}: only convolution, linear and norm layers have weights and bias, and need both")
    if (layer.softmax is not None) != (layer.op is Op.SOFTMAX):
        raise HwsimError(f"{place}: only softmax layers have a softmax rule, and need one")
    if not layer.accumulates and layer.accumulator != INT32:
        raise HwsimError(f"{place}: {layer.op} has no accumulator")
    if layer.accumulator.overflow is Overflow.SATURATE_STEP and not (layer.has_macs and layer.region is None):
        raise HwsimError(f"{place}: only convolution, linear and matmul layers without regions can saturate_step")
    _check_geometry(layer, place)
    _check_scale(layer.scale, place)
    _check_weight(layer, place)


def _requantizes(layer: Layer) -> bool:
    return layer.accumulates or layer.op in (Op.ADD, Op.CONCAT)


def _check_inputs(layer: Layer, place: str) -> None:
    given = len(layer.inputs)
    if layer.op is Op.CONCAT:
        if given < 2:
            raise HwsimError(f"{place}: {layer.op} takes 2 inputs or more, got {given}")
        return
    wanted = 2 if layer.op in (Op.ADD, Op.MATMUL) else 1
    if given != wanted:
        raise HwsimError(f"{place}: {layer.op} takes {wanted} inputs, got {given}")


def _check_codes(format: Format, place: str) -> None:
    """Check activation codes: at most 16 bits and evenly spaced, because a codebook has no order for a clip."""
    if format.bits > MAX_CODE_BITS:
        raise BadInput(place, str(format), f"at most {MAX_CODE_BITS} bits")
    if format.kind is Kind.CODEBOOK:
        raise BadInput(place, str(format), "uniform, midrise or binary codes; codebooks are for weights")


def _check_geometry(layer: Layer, place: str) -> None:
    g = layer.geometry
    if min(g.kernel + g.stride + g.dilation) < 1 or min(g.pads) < 0:
        raise BadInput(f"{place} geometry", g, "kernel, stride and dilation from 1, padding from 0")
    if g.groups < 1:
        raise BadInput(f"{place} groups", g.groups, "1 or more")
    largest = max(g.kernel + g.stride + g.dilation + g.pads + (g.groups,))
    if largest > MAX_GEOMETRY:
        raise BadInput(f"{place} geometry", largest, f"at most {MAX_GEOMETRY}")


def _check_scale(scale: float, place: str) -> None:
    if not (scale > 0 and math.isfinite(scale)):
        raise BadInput(f"{place} scale", scale, "a positive number")


def _check_sizes(layers: Sequence[Layer], shapes: Mapping[str, Shape]) -> None:
    for layer in layers:
        shape = shapes[layer.inputs[0]]
        if layer.op in (Op.CONV, Op.MAX_POOL, Op.AVG_POOL):
            top, bottom, left, right = layer.geometry.pads
            shape = (shape[0], shape[1] + top + bottom, shape[2] + left + right)
        for what, sizes in (("input", shape), ("output", shapes[layer.name])):
            if min(sizes) < 1 or math.prod(sizes) > MAX_ELEMENTS:
                raise BadInput(f"layer {layer.name!r} {what}", sizes, f"sizes from 1, at most {MAX_ELEMENTS} codes")


def _check_weight(layer: Layer, place: str) -> None:
    if layer.weight is None or layer.bias is None:
        return
    axes = {Op.CONV: 4, Op.LINEAR: 2, Op.LAYER_NORM: 1}[layer.op]
    if layer.weight.codes.ndim != axes:
        raise BadInput(
            f"{place} weight",
            f"{layer.weight.codes.ndim} axes",
            "4 for a convolution, 2 for a linear layer, 1 for a layer norm",
        )
    if layer.weight.format.bits > MAX_CODE_BITS or layer.weight.format.zero_point:
        raise BadInput(f"{place} weight", str(layer.weight.format), f"at most {MAX_CODE_BITS} bits, zero point 0")
    if layer.op is Op.CONV and layer.weight.codes.shape[2:] != layer.geometry.kernel:
        raise BadInput(f"{place} weight", f"kernel {layer.weight.codes.shape[2:]}", f"{layer.geometry.kernel}")
    if layer.bias.shape != layer.weight.codes.shape[:1] or layer.bias.dtype != np.int64:
        raise BadInput(f"{place} bias", f"{layer.bias.dtype} {layer.bias.shape}", "int64, one per output channel")
    bits = max(layer.accumulator.bits, 32)
    wide = (layer.bias >= 1 << (bits - 1)) | (layer.bias <= -(1 << (bits - 1)))
    if wide.any():
        channel = int(wide.argmax())
        raise BadInput(f"{place} bias", int(layer.bias[channel]), f"{bits}-bit integers (channel {channel})")


def _check_requantizer(layer: Layer, shapes: Mapping[str, Shape]) -> None:
    r, place = layer.requantizer, f"layer {layer.name!r} requantizer"
    if r is None:
        return
    shape = shapes[layer.name]
    channels = shape[layer.channel_axis - 1 if layer.channel_axis == 1 else -1]
    if isinstance(r, Thresholds):
        _check_thresholds(layer, r, channels, place)
        return
    counts = {len(layer.inputs)} if layer.op in (Op.ADD, Op.CONCAT) else {1, channels}
    if r.multiplier.size not in counts or r.shift.size not in ({1} if layer.op is Op.ADD else {r.multiplier.size}):
        raise BadInput(place, f"{r.multiplier.size} multipliers, {r.shift.size} shifts", f"{counts}")
    if r.multiplier.dtype != np.int64 or r.shift.dtype != np.int64:
        raise BadInput(place, f"{r.multiplier.dtype}, {r.shift.dtype}", "int64")
    if not layer.output.qmin <= r.low <= r.high <= layer.output.qmax:
        raise BadInput(f"{place} clip", f"{r.low} to {r.high}", f"inside {layer.output}")
    if layer.op in (Op.ADD, Op.CONCAT) and not r.rounding.one_step:
        raise BadInput(f"{place} rounding", str(r.rounding), "a rounding of one step for an add or a concatenation")
    if r.rounding is Rounding.F32_HALF_EVEN:
        _check_float_scale(r, place)
        return
    if np.any(r.multiplier < 0) or np.any(r.multiplier >= 2**31):
        raise BadInput(f"{place} multiplier", int(r.multiplier.max()), "0 to 2^31 - 1")
    if np.any(r.shift < 0) or np.any(r.shift > 62):
        raise BadInput(f"{place} shift", int(r.shift.max()), "0 to 62")
    _check_product(layer, r, place)


def _check_float_scale(r: Requantizer, place: str) -> None:
    """Check that the multipliers are bits of float32 scales: 0, or positive, finite and normal.

    A small integer, which is a multiplier of another rounding, would be a subnormal scale and give zeros.
    """
    bits = r.multiplier.ravel()
    subnormal = (bits > 0) & (bits < FLOAT32_NORMAL)
    invalid = (bits < 0) | subnormal | (bits >= FLOAT32_INFINITY) | (r.shift.ravel() != 0)
    if invalid.any():
        channel = int(invalid.argmax())
        shift = int(np.broadcast_to(r.shift.ravel(), bits.shape)[channel])
        raise BadInput(
            f"{place} multiplier",
            f"{bits[channel]} with shift {shift}" if shift else int(bits[channel]),
            f"bits of a finite float32, with shift 0 (channel {channel})",
            f"{r.rounding} takes the bits of a scale, not a multiplier of another rounding.",
        )


def _check_product(layer: Layer, r: Requantizer, place: str) -> None:
    """Check the width of accumulator times multiplier, and that no shift is longer than the product."""
    if r.rounding is Rounding.GEMMLOWP_DOUBLE and layer.accumulator.bits > 32:
        raise BadInput(
            f"{place} rounding", f"{r.rounding} of {layer.accumulator.bits} bits", "accumulators of 32 bits at most"
        )
    # operands of an add or a concatenation are 32-bit integers, as default sums
    bits = layer.accumulator.bits + np.array([int(m).bit_length() for m in r.multiplier.ravel()])
    widths = bits.max(keepdims=True) if layer.op is Op.ADD else bits
    shifts = r.shift.ravel()
    for invalid, given, allowed in (
        (widths > PRODUCT_BITS, f"a product of {widths.max()} bits", f"at most {PRODUCT_BITS} bits"),
        (shifts > widths, f"a shift of {shifts.max()}", "shifts no longer than the product has bits"),
    ):
        if invalid.any():
            channel = int(invalid.argmax())
            raise BadInput(place, given, f"{allowed}, here {widths[channel]} (channel {channel})")


def _check_thresholds(layer: Layer, r: Thresholds, channels: int, place: str) -> None:
    if layer.op in (Op.ADD, Op.CONCAT):
        raise HwsimError(f"{place}: an add or a concatenation takes multipliers, not thresholds")
    if r.levels.ndim != 2 or r.levels.dtype != np.int64 or len(r.levels) not in {1, channels}:
        raise BadInput(f"{place} levels", f"{r.levels.dtype} {r.levels.shape}", f"int64 [1 or {channels}, count]")
    count = r.levels.shape[1]
    if not 1 <= count <= 255 or not layer.output.qmin <= r.low <= r.low + count <= layer.output.qmax:
        raise BadInput(f"{place} levels", f"{count} from code {r.low}", f"1 to 255, inside {layer.output}")
    decreasing = (np.diff(r.levels, axis=1) < 0).any(axis=1)
    if decreasing.any():
        channel = int(decreasing.argmax())
        raise BadInput(f"{place} levels", "decreasing levels", f"levels that do not decrease (channel {channel})")


def _check_softmax(layer: Layer, formats: Mapping[str, Format], shapes: Mapping[str, Shape]) -> None:
    rule, place = layer.softmax, f"layer {layer.name!r} softmax"
    if rule is None:
        return
    source = formats[layer.inputs[0]]
    if source.kind is not Kind.UNIFORM:
        raise BadInput(f"{place} input", str(source), "uniform codes")
    if rule.table.dtype != np.int64 or rule.table.ndim != 1 or not 1 <= rule.table.size <= 1 << MAX_CODE_BITS:
        raise BadInput(f"{place} table", f"{rule.table.dtype} {rule.table.shape}", "int64, 1 to 65536 entries")
    if rule.table[0] < 1 or rule.table.min() < 0 or rule.table.max() >= 1 << 31:
        raise BadInput(f"{place} table", int(rule.table.min()), "0 to 2^31 - 1, the first entry from 1")
    if not 1 <= rule.one <= 1 << MAX_CODE_BITS:
        raise BadInput(f"{place} one", rule.one, "1 to 65536")
    row = shapes[layer.name][-1]
    if row * int(rule.table.max()) >= 1 << 60:
        raise BadInput(f"{place} row", row, "rows with a sum of weights below 2^60")


def _check_norm(layer: Layer, formats: Mapping[str, Format], shapes: Mapping[str, Shape]) -> None:
    if layer.op is not Op.LAYER_NORM:
        return
    source, features = formats[layer.inputs[0]], shapes[layer.name][-1]
    if features * source.max_magnitude > MAX_NORM:
        raise BadInput(
            f"layer {layer.name!r} input", f"{features} features of {source}", f"a product of at most {MAX_NORM}"
        )


def _check_overflow(layer: Layer, formats: Mapping[str, Format], shapes: Mapping[str, Shape]) -> None:
    """Check that the weights prove the policy `check`: no sum can overflow."""
    if layer.accumulator.overflow is not Overflow.CHECK:
        return
    bound = layer_bound(layer, formats, shapes)
    too_large = bound > layer.accumulator.high
    if too_large.any():
        channel = int(too_large.argmax())
        raise BadInput(
            f"layer {layer.name!r} accumulator",
            f"sums of up to {bound[channel]} in channel {channel}",
            f"at most {layer.accumulator.high} with {layer.accumulator.bits} bits, which `check` must prove",
            "Use more bits, or wrap or saturate.",
        )


def _check_region(layer: Layer, formats: Mapping[str, Format]) -> None:
    region, place = layer.region, f"layer {layer.name!r} region"
    if region is None:
        return
    source = formats[layer.inputs[0]]
    if layer.op is not Op.CONV or layer.weight is None or layer.weight.format.kind is not Kind.UNIFORM:
        raise HwsimError(f"{place}: only convolutions with uniform weights have region precision")
    if source.signed or source.zero_point or source.kind is not Kind.UNIFORM:
        raise BadInput(f"{place} input", str(source), "unsigned codes with zero point 0")
    if min(region.height, region.width) < 1 or region.threshold < 0:
        raise BadInput(
            place, f"{region.height}x{region.width}, threshold {region.threshold}", "size from 1, threshold from 0"
        )
    if not 1 <= region.low_bits < min(source.bits, layer.weight.format.bits + 1):
        raise BadInput(f"{place} low_bits", region.low_bits, f"1 to {min(source.bits - 1, layer.weight.format.bits)}")
    if max(region.height, region.width, region.threshold) >= 2**31:
        raise BadInput(place, max(region.height, region.width, region.threshold), "sizes and threshold below 2^31")
    if not region.rounding.one_step:
        raise BadInput(f"{place} rounding", str(region.rounding), "a rounding of one step")
    half = 1 << (region.low_bits - 1)
    low = region.low_weight
    if low.shape != layer.weight.codes.shape or np.any(low < -half) or np.any(low >= half):
        raise BadInput(
            f"{place} low_weight", f"shape {low.shape}", f"{layer.weight.codes.shape}, codes {-half} to {half - 1}"
        )


def _check_kept_format(layer: Layer, formats: Mapping[str, Format]) -> None:
    if keeps_format(layer) and layer.output != formats[layer.inputs[0]]:
        raise HwsimError(f"layer {layer.name!r}: {layer.op} keeps the format of its input")
