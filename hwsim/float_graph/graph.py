"""Float graph: a network before quantization, with the operations of the integer network and real weights.

Weights are stacked, [model, ...]: one graph runs many models of one architecture as one grouped computation. A single
model is a stack of one. Activations are [sample, model * channel, row, column] or [sample, model * feature].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from hwsim.errors import HwsimError
from hwsim.network.layer import INPUT, POINTWISE, Geometry, Op, Shape

Weights = dict[str, Tensor]
"""Parameter name ("conv1.weight", "conv1.bias") -> tensor [model, ...]."""


@dataclass(frozen=True)
class Node:
    """One layer with its fused ReLU.

    Attributes
    ----------
    name : name of the layer and of its output
    op : operation
    inputs : names of the input values
    relu : True where a ReLU follows the operation
    geometry : kernel, stride, padding, groups and dilation, as in `hwsim.network.layer.Layer`
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    relu: bool = False
    geometry: Geometry = POINTWISE

    @property
    def has_macs(self) -> bool:
        """True for convolutions and linear layers."""
        return self.op in (Op.CONV, Op.LINEAR)


@dataclass(frozen=True)
class FloatGraph:
    """Nodes in topological order; the output of the last node is the logits."""

    input_shape: Shape
    nodes: tuple[Node, ...]

    @property
    def output(self) -> Node:
        """The last node, whose output is the logits."""
        return self.nodes[-1]


class Arithmetic(Protocol):
    """Arithmetic in which a graph is evaluated: real numbers, or the rounding of a quantizer (fake quantization)."""

    def input(self, x: Tensor) -> Tensor:
        """Return the input of the network, [sample, model * channel, ...]."""

    def product(self, node: Node, x: Tensor, weights: Weights) -> Tensor:
        """Return a convolution or linear layer of `x` with its bias, before the ReLU."""

    def output(self, node: Node, y: Tensor) -> Tensor:
        """Return the output of a node, its ReLU included, from the result `y` of its operation."""


class FloatArithmetic:
    """Plain real arithmetic."""

    def input(self, x: Tensor) -> Tensor:
        """Return the input unchanged."""
        return x

    def product(self, node: Node, x: Tensor, weights: Weights) -> Tensor:
        """Return the sums of products plus the bias."""
        return sum_of_products(node, x, weights[f"{node.name}.weight"], weights[f"{node.name}.bias"])

    def output(self, node: Node, y: Tensor) -> Tensor:
        """Return the ReLU of `y` where the node has one, else `y`."""
        return torch.relu(y) if node.relu else y


def forward(graph: FloatGraph, weights: Weights, x: Tensor, arithmetic: Arithmetic) -> dict[str, Tensor]:
    """Compute the output of every node for inputs [sample, model * channel, ...]: value name -> tensor."""
    values: dict[str, Tensor] = {INPUT: arithmetic.input(x)}
    for node in graph.nodes:
        values[node.name] = node_output(node, values, weights, arithmetic)
    return values


def node_output(node: Node, values: Mapping[str, Tensor], weights: Weights, arithmetic: Arithmetic) -> Tensor:
    """Compute the output of one node from `values`, which contains its inputs by name."""
    source = values[node.inputs[0]]
    match node.op:
        case Op.CONV | Op.LINEAR:
            y = arithmetic.product(node, source, weights)
        case Op.MAX_POOL:
            y = F.max_pool2d(source, node.geometry.kernel, node.geometry.stride, node.geometry.padding)
        case Op.AVG_POOL:
            y = F.avg_pool2d(source, node.geometry.kernel, node.geometry.stride, node.geometry.padding)
        case Op.GLOBAL_AVG_POOL:
            y = source.mean(dim=(2, 3), keepdim=True)
        case Op.ADD:
            y = source + values[node.inputs[1]]
        case Op.FLATTEN:
            y = source.flatten(1)
    return arithmetic.output(node, y)


def logits(graph: FloatGraph, weights: Weights, x: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Compute logits [model, sample, class] for inputs [sample, model * channel, ...]."""
    out = forward(graph, weights, x, arithmetic)[graph.output.name]
    return out.reshape(out.shape[0], model_count(weights), -1).transpose(0, 1)


def sum_of_products(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute a convolution or linear layer of all stacked models.

    `x` is [sample, model * channel, ...], `weight` [model, output, ...], `bias` [model, output].
    """
    models = weight.shape[0]
    flat_bias = None if bias is None else bias.reshape(-1)
    if node.op is Op.CONV:
        g = node.geometry
        return F.conv2d(x, weight.flatten(0, 1), flat_bias, g.stride, g.padding, g.dilation, models * g.groups)
    samples = x.shape[0]
    y = torch.matmul(x.reshape(samples, models, -1).transpose(0, 1), weight.transpose(1, 2)).transpose(0, 1)
    y = y.reshape(samples, -1)
    return y if flat_bias is None else y + flat_bias


def repeat_input(x: Tensor, models: int) -> Tensor:
    """Repeat inputs [sample, channel, ...] for every model: [sample, model * channel, ...]."""
    return x.repeat(1, models, *([1] * (x.ndim - 2)))


def model_count(weights: Mapping[str, Tensor]) -> int:
    """Return the number of stacked models; raises HwsimError where tensors disagree."""
    sizes = {t.shape[0] for t in weights.values()}
    if len(sizes) != 1:
        raise HwsimError(f"weights: stacks of different numbers of models: {sorted(sizes)}")
    return sizes.pop()


def model_slice(weights: Mapping[str, Tensor], start: int, stop: int) -> Weights:
    """Return the weights of models `start` to `stop - 1`."""
    return {name: tensor[start:stop] for name, tensor in weights.items()}
