"""From a graph, one model's weights and a scheme to the integer network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hwsim.float_graph.graph import FloatGraph, Node, Weights
from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.network.fixed_point import add_requantizer, requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Layer, Op, Region, Requantizer, Shape
from hwsim.network.shapes import output_shape
from hwsim.quantizers.lowering.fake_quant import MIN_STEP, low_weight_codes, weight_codes
from hwsim.quantizers.scheme import KEEPS_FORMAT, QuantParams, Scheme, snap_to_power_of_two, value_source, weight_name


def build_network(graph: FloatGraph, weights: Weights, scheme: Scheme, model: int = 0) -> Network:
    """The integer network of one of the stacked models: what the fake-quantized twin computes, in integers."""
    builder = _Builder(graph, weights, scheme, model)
    layers = []
    for node in graph.nodes:
        layers.append(builder.layer(node))
        builder.shapes[node.name] = output_shape(layers[-1], [builder.shapes[name] for name in node.inputs])
    return Network(scheme.grids[INPUT].format(model), graph.input_shape, builder.step(INPUT), tuple(layers))


class _Builder:
    def __init__(self, graph: FloatGraph, weights: Weights, scheme: Scheme, model: int) -> None:
        self.graph, self.scheme, self.model = graph, scheme, model
        self.weights = {name: tensor[model : model + 1].detach() for name, tensor in weights.items()}
        self.shapes: dict[str, Shape] = {INPUT: graph.input_shape}

    def step(self, name: str) -> float:
        """Step of an activation grid as an exact float64."""
        return float(self._steps(self.scheme.grids[value_source(self.graph, name)]))

    def _steps(self, grid: QuantParams) -> NDArray[np.float64]:
        step = grid.scale[self.model].detach().clamp_min(MIN_STEP)
        step = snap_to_power_of_two(step) if self.scheme.power_of_two else step
        return step.double().numpy()  # type: ignore[no-any-return]

    def _format(self, name: str) -> Format:
        return self.scheme.grids[value_source(self.graph, name)].format(self.model)

    def layer(self, node: Node) -> Layer:
        """One node as an integer layer."""
        common: dict[str, Any] = {"name": node.name, "op": node.op, "inputs": node.inputs, "geometry": node.geometry}
        if node.has_macs:
            return self._with_macs(node, common)
        common |= {"output": self._format(node.name), "scale": self.step(node.name)}
        if node.op in KEEPS_FORMAT:
            return Layer(**common)
        return Layer(**common, requantizer=self._without_weights(node))

    def _without_weights(self, node: Node) -> Requantizer:
        output, step = self._format(node.name), self.step(node.name)
        ratios = [self.step(name) / step for name in node.inputs]
        if node.op is Op.ADD:
            return add_requantizer(ratios[0], ratios[1], output, node.relu)
        _, rows, columns = self.shapes[node.inputs[0]]
        window = rows * columns if node.op is Op.GLOBAL_AVG_POOL else node.geometry.kernel[0] * node.geometry.kernel[1]
        return requantizer(ratios[0] / window, output, node.relu)

    def _with_macs(self, node: Node, common: dict[str, Any]) -> Layer:
        grid = self.scheme.grids[weight_name(node.name)]
        w_step = self._steps(grid)
        values = weight_codes(self.weights[f"{node.name}.weight"].double(), grid, torch.as_tensor(w_step)[None])[0]
        integers = values.numpy().astype(np.int64)
        stored = (integers + 1) // 2 if grid.kind is Kind.BINARY else integers
        form = grid.format(self.model)
        unit = self.step(node.inputs[0]) * np.broadcast_to(w_step, integers.shape[:1])
        bias = np.floor(self.weights[f"{node.name}.bias"][0].double().numpy() / unit + 0.5)
        bias = np.clip(bias, -(2**31) + 1, 2**31 - 1).astype(np.int64)
        layer: dict[str, Any] = common | {
            "weight": QTensor(stored.astype(form.dtype), form, w_step if w_step.ndim else float(w_step)),
            "bias": bias,
            "region": self._region(node, values),
        }
        if node is self.graph.output:
            return Layer(**layer, output=LOGITS, scale=float(unit[0]))
        output, step = self._format(node.name), self.step(node.name)
        ratios = (unit if w_step.ndim else unit[:1]) / step
        return Layer(**layer, output=output, scale=step, requantizer=requantizer(ratios, output, node.relu))

    def _region(self, node: Node, codes: torch.Tensor) -> Region | None:
        rule = self.scheme.regions.get(node.name)
        if rule is None:
            return None
        drop = self.scheme.grids[weight_name(node.name)].bits - rule.low_bits
        low = low_weight_codes(codes, drop, rule.low_bits).numpy().astype(np.int8)
        threshold = int(rule.threshold[self.model])
        return Region(rule.height, rule.width, threshold, low, rule.low_bits, per_channel=rule.per_channel)
