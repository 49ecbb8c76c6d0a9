"""Conversion of an 8-bit hwsim network to an ONNX model in onnxruntime's QOperator format."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwsim.network.graph import Network
from hwsim.network.layer import Layer, Op

MICROSOFT = "com.microsoft"


def onnx_model(network: Network) -> onnx.ModelProto:
    """Return a model with the same layers and weight codes: uint8 activations, int8 weights, one scale per filter.

    Activations have scale 1, and the multipliers of hwsim's requantizers become the scales of weights and
    operands. onnxruntime rounds half to even in float32, so codes may differ from hwsim's by one. The
    output is float32 and contains the integer logits.
    """
    graph = _Graph(network)
    for layer in network.layers:
        graph.add(layer)
    last = network.layers[-1].name
    proto = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("input", TensorProto.UINT8, ["samples", *network.input_shape])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["samples", *network.shapes[last]])],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(proto, opset_imports=opsets, ir_version=9)


class _Graph:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, layer: Layer) -> None:
        match layer.op:
            case Op.CONV:
                self._conv(layer)
            case Op.ADD:
                self._add(layer)
            case Op.GLOBAL_AVG_POOL:
                self._global_average(layer)
            case Op.FLATTEN:
                self._node("Flatten", layer, list(layer.inputs))
            case Op.LINEAR:
                self._linear(layer)
            case _:
                raise NotImplementedError(f"{layer.op} is not part of the benchmark")

    def _conv(self, layer: Layer) -> None:
        g = layer.geometry
        scales, zeros = _ratios(layer), np.zeros(len(layer.weight.codes), dtype=np.int8)
        inputs = [
            *self._operand(layer.inputs[0], 1.0),
            self._constant(layer, "weight", layer.weight.codes.astype(np.int8)),
            self._constant(layer, "weight_scale", scales),
            self._constant(layer, "weight_zero", zeros),
            *self._output(layer),
            self._constant(layer, "bias", layer.bias.astype(np.int32)),
        ]
        pads = [*g.padding, *g.padding]
        self._node("QLinearConv", layer, inputs, kernel_shape=g.kernel, strides=g.stride, pads=pads, group=g.groups)

    def _add(self, layer: Layer) -> None:
        ratio_a, ratio_b = _ratios(layer)
        a, b = self._operand(layer.inputs[0], ratio_a), self._operand(layer.inputs[1], ratio_b)
        self._node("QLinearAdd", layer, [*a, *b, *self._output(layer)], domain=MICROSOFT)

    def _global_average(self, layer: Layer) -> None:
        _, rows, columns = self.network.shapes[layer.inputs[0]]
        x = self._operand(layer.inputs[0], _ratios(layer)[0] * rows * columns)
        self._node("QLinearGlobalAveragePool", layer, [*x, *self._output(layer)], domain=MICROSOFT, channels_last=0)

    def _linear(self, layer: Layer) -> None:
        inputs = [
            *self._operand(layer.inputs[0], 1.0),
            self._constant(layer, "weight", layer.weight.codes.astype(np.int8)),
            self._constant(layer, "weight_scale", np.float32(1)),
            self._constant(layer, "weight_zero", np.int8(0)),
            self._constant(layer, "bias", layer.bias.astype(np.int32)),
        ]
        self._node("QGemm", layer, inputs, domain=MICROSOFT, transB=1)

    def _operand(self, name: str, scale: float) -> list[str]:
        """Return the names of an activation, its scale and its zero point, the inputs of a quantized operator."""
        zero = self.network.formats[name].zero_point
        reader = f"{name}_read{len(self.nodes)}"
        return [name, self._put(f"{reader}_scale", np.float32(scale)), self._put(f"{reader}_zero", np.uint8(zero))]

    def _output(self, layer: Layer) -> list[str]:
        zero = np.uint8(layer.output.zero_point)
        return [self._constant(layer, "scale", np.float32(1)), self._constant(layer, "zero", zero)]

    def _constant(self, layer: Layer, what: str, value: NDArray[np.generic] | np.generic) -> str:
        return self._put(f"{layer.name}_{what}", value)

    def _put(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _node(self, kind: str, layer: Layer, inputs: list[str], **attributes: object) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [layer.name], name=layer.name, **attributes))


def _ratios(layer: Layer) -> NDArray[np.float32]:
    """Return multiplier / 2^shift, float32, one per channel, operand or layer."""
    r = layer.requantizer
    return (r.multiplier / 2.0**r.shift).astype(np.float32)
