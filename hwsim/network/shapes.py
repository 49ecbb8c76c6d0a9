"""Shape and format of the input and of each layer's output in a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hwsim.errors import HwsimError
from hwsim.formats import Format
from hwsim.network.layer import INPUT, Layer, Op, Shape


def value_shapes(input_shape: Shape, layers: Sequence[Layer]) -> Mapping[str, Shape]:
    """Return the shape of one sample of the input and of each layer's output, by name.

    Raises HwsimError, with the layer, for inputs of the wrong shape.
    """
    shapes: dict[str, Shape] = {INPUT: input_shape}
    for layer in layers:
        shapes[layer.name] = output_shape(layer, [shapes[name] for name in layer.inputs])
    return shapes


def value_formats(input: Format, layers: Sequence[Layer]) -> Mapping[str, Format]:
    """Return the format of the input and of each layer's output, by name."""
    return {INPUT: input} | {layer.name: layer.output for layer in layers}


def output_shape(layer: Layer, inputs: list[Shape]) -> Shape:
    """Return the shape of one sample of the output of `layer`; raises HwsimError for inputs of the wrong shape."""
    first = inputs[0]
    match layer.op:
        case Op.FLATTEN:
            return (math.prod(first),)
        case Op.RESHAPE:
            _require(layer, math.prod(layer.shape) == math.prod(first) and min(layer.shape, default=0) > 0,
                     f"shape {layer.shape} has another number of codes than {first}")  # fmt: skip
            return layer.shape
        case Op.TRANSPOSE:
            _require(layer, sorted(layer.axes) == list(range(len(first))),
                     f"axes {layer.axes} are no permutation of the {len(first)} axes of {first}")  # fmt: skip
            return tuple(first[axis] for axis in layer.axes)
        case Op.ADD:
            if len(inputs) != 2 or inputs[0] != inputs[1]:
                raise HwsimError(f"layer {layer.name!r}: add needs two inputs of one shape, got {inputs}")
            return first
        case Op.CONCAT:
            _require(layer, len({shape[1:] for shape in inputs}) == 1, f"inputs {inputs} differ beyond the first axis")
            return (sum(shape[0] for shape in inputs), *first[1:])
        case Op.SOFTMAX:
            return first
        case Op.MATMUL:
            return _matmul_shape(layer, inputs)
        case Op.LINEAR | Op.LAYER_NORM:
            return _features_shape(layer, first)
    return _map_shape(layer, first)


def _matmul_shape(layer: Layer, inputs: list[Shape]) -> Shape:
    a, b = inputs
    fits = len(a) == len(b) >= 2 and a[:-2] == b[:-2] and a[-1] == b[-2]
    _require(layer, fits, f"matmul needs [..., m, k] and [..., k, n], got {a} and {b}")
    return (*a[:-1], b[-1])


def _features_shape(layer: Layer, first: Shape) -> Shape:
    assert layer.weight is not None
    features = layer.weight.codes.shape[-1]
    if not first or first[-1] != features:
        raise HwsimError(f"layer {layer.name!r}: the weights need {features} features, the input has shape {first}")
    return (*first[:-1], layer.weight.codes.shape[0])


def _map_shape(layer: Layer, first: Shape) -> Shape:
    if len(first) != 3:
        raise HwsimError(f"layer {layer.name!r}: {layer.op} needs [channel, row, column], the input has shape {first}")
    channels, height, width = first
    if layer.op is Op.GLOBAL_AVG_POOL:
        return (channels, 1, 1)
    height, width = layer.geometry.output_size(height, width)
    if height < 1 or width < 1:
        raise HwsimError(f"layer {layer.name!r}: the window {layer.geometry.kernel} is larger than the map {first}")
    if layer.op is Op.CONV:
        assert layer.weight is not None
        filters, per_group = layer.weight.codes.shape[:2]
        if per_group * layer.geometry.groups != channels or filters % layer.geometry.groups:
            raise HwsimError(
                f"layer {layer.name!r}: {filters} filters of {per_group} channels in {layer.geometry.groups} groups "
                f"do not fit an input of {channels} channels"
            )
        channels = filters
    return (channels, height, width)


def _require(layer: Layer, condition: bool, problem: str) -> None:
    if not condition:
        raise HwsimError(f"layer {layer.name!r}: {problem}")
