"""Lowering of a float graph, the weights of one model and a scheme to the integer network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.float_graph.graph import FloatGraph, Node, Weights
from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.network.fixed_point import add_requantizer, requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Layer, Op, Region, Requantizer, Shape
from hwsim.network.shapes import output_shape
from hwsim.quantizers.lowering.fake_quant import low_weight_codes, weight_codes
from hwsim.quantizers.scheme import KEEPS_FORMAT, Scheme, value_source, weight_name


def build_network(graph: FloatGraph, weights: Weights, scheme: Scheme, model: int = 0) -> Network:
    """Return the integer network of one of the stacked models: the fake-quantized function, in integers."""
    builder = _Builder(graph, weights, scheme, model)
    layers = []
    for node in graph.nodes:
        layers.append(builder.layer(node))
        builder.shapes[node.name] = output_shape(layers[-1], [builder.shapes[name] for name in node.inputs])
    input_format = scheme.quant_params[INPUT].format(model)
    return Network(input_format, graph.input_shape, builder.scale(INPUT), tuple(layers))


class _Builder:
    """Lowers the layers of one model in topological order; `shapes` contains the shapes of earlier outputs."""

    def __init__(self, graph: FloatGraph, weights: Weights, scheme: Scheme, model: int) -> None:
        self.graph, self.model = graph, model
        self.scheme = scheme.with_scales({name: scale.detach() for name, scale in scheme.scales().items()})
        self.weights = {name: tensor[model : model + 1].detach() for name, tensor in weights.items()}
        self.shapes: dict[str, Shape] = {INPUT: graph.input_shape}

    def scale(self, value: str) -> float:
        """Return the scale of an activation as an exact float64."""
        return float(self._scales(value_source(self.graph, value)))

    def _scales(self, name: str) -> NDArray[np.float64]:
        """Return the scale [] or the scales [channel] stored under `name`, as exact float64."""
        return self.scheme.effective_scale(name)[self.model].double().numpy()  # type: ignore[no-any-return]

    def _format(self, value: str) -> Format:
        return self.scheme.quant_params[value_source(self.graph, value)].format(self.model)

    def layer(self, node: Node) -> Layer:
        """Return one node as an integer layer."""
        common: dict[str, Any] = {"name": node.name, "op": node.op, "inputs": node.inputs, "geometry": node.geometry}
        if node.has_macs:
            return self._with_macs(node, common)
        common |= {"output": self._format(node.name), "scale": self.scale(node.name)}
        if node.op in KEEPS_FORMAT:
            return Layer(**common)
        return Layer(**common, requantizer=self._without_weights(node))

    def _without_weights(self, node: Node) -> Requantizer:
        """Return the requantizer of an addition or an average."""
        output, scale = self._format(node.name), self.scale(node.name)
        ratios = [self.scale(name) / scale for name in node.inputs]
        if node.op is Op.ADD:
            return add_requantizer(ratios[0], ratios[1], output, node.relu)
        _, rows, columns = self.shapes[node.inputs[0]]
        window = rows * columns if node.op is Op.GLOBAL_AVG_POOL else node.geometry.kernel[0] * node.geometry.kernel[1]
        return requantizer(ratios[0] / window, output, node.relu)

    def _with_macs(self, node: Node, common: dict[str, Any]) -> Layer:
        """Return a convolution or linear layer."""
        params = self.scheme.quant_params[weight_name(node.name)]
        w_scale = self._scales(weight_name(node.name))
        weight = self.weights[f"{node.name}.weight"].double()
        multiplied = weight_codes(weight, params, torch.as_tensor(w_scale)[None])[0]
        integers = multiplied.numpy().astype(np.int64)
        stored = (integers + 1) // 2 if params.kind is Kind.BINARY else integers
        weight_format = params.format(self.model)
        sum_scale = self.scale(node.inputs[0]) * np.broadcast_to(w_scale, integers.shape[:1])
        bias = np.floor(self.weights[f"{node.name}.bias"][0].double().numpy() / sum_scale + 0.5)
        self._require_bias(node, bias)
        one_or_all = w_scale if w_scale.ndim else float(w_scale)
        layer: dict[str, Any] = common | {
            "weight": QTensor(stored.astype(weight_format.dtype), weight_format, one_or_all),
            "bias": bias.astype(np.int64),
            "region": self._region(node, multiplied),
        }
        if node is self.graph.output:
            return Layer(**layer, output=LOGITS, scale=float(sum_scale[0]))
        output, scale = self._format(node.name), self.scale(node.name)
        ratios = (sum_scale if w_scale.ndim else sum_scale[:1]) / scale
        return Layer(**layer, output=output, scale=scale, requantizer=requantizer(ratios, output, node.relu))

    def _require_bias(self, node: Node, bias: NDArray[np.float64]) -> None:
        """Raise HwsimError for a bias, in units of the accumulator, that a 32-bit accumulator cannot hold."""
        wide = ~(np.abs(bias) < 2**31)  # also a bias that is not a number
        if wide.any():
            channel = int(wide.argmax())
            raise HwsimError(
                f"layer {node.name!r}: the bias of channel {channel} is {bias[channel]:.4g} steps of its sums, more "
                "than a 32-bit accumulator holds: the scale of its weights or of its input is too small"
            )

    def _region(self, node: Node, codes: torch.Tensor) -> Region | None:
        """Return the region precision of a convolution with weights `codes` [channel, ...], None without a rule."""
        rule = self.scheme.regions.get(node.name)
        if rule is None:
            return None
        drop = self.scheme.quant_params[weight_name(node.name)].bits - rule.low_bits
        low = low_weight_codes(codes, drop, rule.low_bits).numpy().astype(np.int8)
        threshold = int(rule.threshold[self.model])
        return Region(rule.height, rule.width, threshold, low, rule.low_bits, per_channel=rule.per_channel)
