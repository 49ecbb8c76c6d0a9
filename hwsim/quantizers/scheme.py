"""Where quantized values may fall: a Grid for one tensor of many models, a Scheme for a whole graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hwsim.float_graph.graph import FloatGraph
from hwsim.formats import Format, Kind
from hwsim.network.layer import INPUT, Op

KEEPS_FORMAT = (Op.MAX_POOL, Op.FLATTEN)
"""Layers that hand on the codes of their input, and so share its grid."""


@dataclass(frozen=True, eq=False)
class QuantParams:
    """Evenly spaced values `step * (code - zero)` for one tensor of every stacked model.

    `step` float32 [model] or, for weights, [model, output channel]; `zero` float32 [model], whole
    numbers. `kind` binary has the two values -step and +step.
    """

    bits: int
    signed: bool
    scale: Tensor
    zero_point: Tensor
    narrow_range: bool = False
    kind: Kind = Kind.UNIFORM

    def format(self, model: int) -> Format:
        """The integer format of one model."""
        return Format(self.bits, self.signed, self.narrow_range, int(self.zero_point[model]), self.kind)

    @property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest code."""
        plain = Format(self.bits, self.signed, self.narrow_range, 0, self.kind)
        return plain.qmin, plain.qmax


@dataclass(frozen=True, eq=False)
class RegionRule:
    """DRQ precision of one convolution's input: region size, threshold int64 [model], width of the low codes.

    With `per_channel` every channel of a region decides for itself.
    """

    height: int
    width: int
    threshold: Tensor
    low_bits: int
    per_channel: bool = False


@dataclass(frozen=True, eq=False)
class Scheme:
    """How a graph is quantized: grids by value name ("input", "conv1", "conv1.weight") and region rules by layer."""

    grids: Mapping[str, QuantParams]
    regions: Mapping[str, RegionRule]
    power_of_two: bool = False

    def steps(self) -> dict[str, Tensor]:
        """Every step size by name, each once."""
        return {name: grid.scale for name, grid in self.grids.items()}

    def with_steps(self, steps: Mapping[str, Tensor]) -> Scheme:
        """The same scheme with other step sizes."""
        return replace(self, grids={name: replace(grid, scale=steps[name]) for name, grid in self.grids.items()})


def weight_name(node_name: str) -> str:
    """The name under which a layer's weights and their grid go."""
    return f"{node_name}.weight"


def value_source(graph: FloatGraph, name: str) -> str:
    """The value whose grid `name` uses: itself, or what a pool or flatten before it passes through.

    A scheme holds grids for sources only, so a step size that is trained exists once.
    """
    nodes = {node.name: node for node in graph.nodes}
    while name != INPUT and nodes[name].op in KEEPS_FORMAT:
        name = nodes[name].inputs[0]
    return name


def quantized_values(graph: FloatGraph) -> list[str]:
    """Names of the values that get a grid of their own: the input and every requantized output."""
    return [INPUT, *(n.name for n in graph.nodes[:-1] if n.op not in KEEPS_FORMAT)]


def is_unsigned(graph: FloatGraph, name: str, input_unsigned: bool) -> bool:
    """True when a value cannot be negative: after a ReLU, or an average of such values."""
    name = value_source(graph, name)
    if name == INPUT:
        return input_unsigned
    node = next(n for n in graph.nodes if n.name == name)
    averages = node.op in (Op.AVG_POOL, Op.GLOBAL_AVG_POOL)
    return node.relu or (averages and is_unsigned(graph, node.inputs[0], input_unsigned))


def snap_to_power_of_two(step: Tensor) -> Tensor:
    """The power of two nearest to each step on a log scale, exact in float32; the gradient passes.

    >>> snap_to_power_of_two(torch.tensor([0.3, 0.25])).tolist()
    [0.25, 0.25]
    """
    snapped = torch.exp2(torch.round(torch.log2(step.detach().double()))).to(step.dtype)
    return step + (snapped - step).detach() if step.requires_grad else snapped
