"""Quantization schemes: QuantParams of one tensor of many models, and the Scheme of a whole graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hwsim.float_graph.graph import FloatGraph
from hwsim.formats import Format, Kind
from hwsim.network.layer import INPUT, Op

KEEPS_FORMAT = (Op.MAX_POOL, Op.FLATTEN)
"""Operations whose output codes are codes of their input; they share the QuantParams of the input."""

SMALLEST_SHARE = 2.0**-16
"""Smallest trained scale, as a share of the calibrated one. A scale must be positive, and training may push it below
zero. A share, because the size of a scale is a matter of the unit of the data."""


@dataclass(frozen=True)
class BitWidths:
    """Bit widths of a network.

    Attributes
    ----------
    weights : bits of the weights
    activations : bits of the activations and of the input
    first_last : bits of the input and of the weights of the first and the last layer, None where they do not differ
    """

    weights: int
    activations: int
    first_last: int | None = None


@dataclass(frozen=True, eq=False)
class QuantParams:
    """Quantization parameters of one tensor of every stacked model: values `scale * (code - zero_point)`.

    Attributes
    ----------
    bits : width of a code
    signed : True for two's complement codes
    scale : float32 [model] or, for weights, [model, output channel]
    zero_point : float32 [model], whole numbers
    narrow_range : True without the most negative code
    kind : meaning of the codes; binary has the two values -scale and +scale
    min_scale : float32 of the shape of `scale`, smallest scale that training may reach; None for no limit
    """

    bits: int
    signed: bool
    scale: Tensor
    zero_point: Tensor
    narrow_range: bool = False
    kind: Kind = Kind.UNIFORM
    min_scale: Tensor | None = None

    def format(self, model: int) -> Format:
        """Return the integer format of one model."""
        return Format(self.bits, self.signed, self.narrow_range, int(self.zero_point[model]), self.kind)

    @property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest code."""
        without_zero_point = Format(self.bits, self.signed, self.narrow_range, 0, self.kind)
        return without_zero_point.qmin, without_zero_point.qmax


@dataclass(frozen=True, eq=False)
class RegionRule:
    """Region precision (DRQ) of the input of one convolution.

    Attributes
    ----------
    height, width : size of a region
    threshold : int64 [model], mean code from which a region is sensitive, times 2^FRACTION_BITS
    low_bits : width of codes and weights in insensitive regions
    per_channel : True where each channel of a region has its own decision
    """

    height: int
    width: int
    threshold: Tensor
    low_bits: int
    per_channel: bool = False


@dataclass(frozen=True, eq=False)
class Scheme:
    """Quantization of a graph.

    Attributes
    ----------
    quant_params : by name of value or weight ("input", "conv1", "conv1.weight")
    regions : region rules by layer
    power_of_two : True where scales are rounded to powers of two
    """

    quant_params: Mapping[str, QuantParams]
    regions: Mapping[str, RegionRule]
    power_of_two: bool = False

    def scales(self) -> dict[str, Tensor]:
        """Return all scales as they are stored and trained, by name."""
        return {name: params.scale for name, params in self.quant_params.items()}

    def with_scales(self, scales: Mapping[str, Tensor]) -> Scheme:
        """Return the same scheme with other scales."""
        changed = {name: replace(params, scale=scales[name]) for name, params in self.quant_params.items()}
        return replace(self, quant_params=changed)

    def effective_scale(self, name: str) -> Tensor:
        """Return the scale that the arithmetic uses: `min_scale` or more, and a power of two where `power_of_two`."""
        params = self.quant_params[name]
        scale = params.scale if params.min_scale is None else torch.clamp(params.scale, min=params.min_scale)
        return snap_to_power_of_two(scale) if self.power_of_two else scale


def weight_name(node_name: str) -> str:
    """Return the name of the weights of a layer, in weights and schemes."""
    return f"{node_name}.weight"


def value_source(graph: FloatGraph, name: str) -> str:
    """Return the value whose QuantParams `name` uses: itself, or the input of the pools and flattens before it.

    A scheme contains QuantParams of sources only, so a trained scale exists once.
    """
    nodes = {node.name: node for node in graph.nodes}
    while name != INPUT and nodes[name].op in KEEPS_FORMAT:
        name = nodes[name].inputs[0]
    return name


def quantized_values(graph: FloatGraph) -> list[str]:
    """Return the names of the values with QuantParams of their own: the input and every requantized output."""
    return [INPUT, *(n.name for n in graph.nodes[:-1] if n.op not in KEEPS_FORMAT)]


def is_unsigned(graph: FloatGraph, name: str, input_unsigned: bool) -> bool:
    """Return True for a value that cannot be negative: the output of a ReLU, or an average of such values."""
    name = value_source(graph, name)
    if name == INPUT:
        return input_unsigned
    node = next(n for n in graph.nodes if n.name == name)
    averages = node.op in (Op.AVG_POOL, Op.GLOBAL_AVG_POOL)
    return node.relu or (averages and is_unsigned(graph, node.inputs[0], input_unsigned))


def snap_to_power_of_two(scale: Tensor) -> Tensor:
    """Return the nearest power of two on a log scale, exact in float32, with the gradient of the identity.

    >>> snap_to_power_of_two(torch.tensor([0.3, 0.25])).tolist()
    [0.25, 0.25]
    """
    snapped = torch.exp2(torch.round(torch.log2(scale.detach().double()))).to(scale.dtype)
    return scale + (snapped - scale).detach() if scale.requires_grad else snapped
