"""Reader of torch modules: a FloatGraph and its weights."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Any

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from hwsim.errors import HwsimError
from hwsim.float_graph.graph import FloatGraph, Node, Weights
from hwsim.network.layer import INPUT, POINTWISE, Geometry, Op, Shape

_FUSES_RELU = (Op.CONV, Op.LINEAR, Op.ADD)


def import_module(module: nn.Module, input_shape: Shape) -> tuple[FloatGraph, Weights]:
    """Trace a torch module to a graph and its weights, stacked [1, ...] in float32.

    Supports Conv2d, BatchNorm2d (folded, with evaluation statistics), Linear, ReLU, MaxPool2d, AvgPool2d,
    AdaptiveAvgPool2d(1), Flatten and the addition of two tensors. Dropout and Identity are removed. Raises HwsimError
    that names the first layer without an integer counterpart.
    """
    try:
        traced = torch.fx.symbolic_trace(module)
    except Exception as error:  # torch.fx raises many types, all of them about the forward() of the user
        raise HwsimError(f"model: torch.fx could not trace it ({error}); use modules and plain operations") from None
    importer = _Importer(dict(traced.named_modules()))
    for fx_node in traced.graph.nodes:
        importer.visit(fx_node)
    graph = FloatGraph(tuple(input_shape), tuple(importer.nodes))
    if not graph.nodes or not graph.output.has_macs or graph.output.relu:
        raise HwsimError("model: its last layer must be a convolution or linear layer without ReLU, for the logits")
    return graph, importer.weights


class _Importer:
    """Converts the nodes of a traced module in their order.

    Attributes
    ----------
    modules : submodules by name
    nodes : converted layers
    weights : their weights and biases [1, ...]
    names : fx node -> the layer whose output is its value
    """

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self.modules = modules
        self.nodes: list[Node] = []
        self.weights: Weights = {}
        self.names: dict[torch.fx.Node, str] = {}

    def visit(self, fx: torch.fx.Node) -> None:
        """Convert one fx node."""
        if fx.op == "placeholder":
            self.names[fx] = INPUT
        elif fx.op == "call_module":
            self._module(fx, self.modules[str(fx.target)])
        elif fx.op in ("call_function", "call_method"):
            self._function(fx)
        elif fx.op != "output":
            raise HwsimError(f"model: {fx.name!r} ({fx.op}) is not a layer; keep parameters inside modules")

    def _module(self, fx: torch.fx.Node, m: nn.Module) -> None:
        """Convert the call of a submodule."""
        match m:
            case nn.Conv2d():
                if isinstance(m.padding, str) or m.padding_mode != "zeros":
                    raise HwsimError(
                        f"model: layer {fx.name!r}: padding {m.padding!r} of {m.padding_mode} is not supported; "
                        "use numbers and zeros"
                    )
                geometry = Geometry(
                    _pair(m.kernel_size), _pair(m.stride), _pair(m.padding), m.groups, _pair(m.dilation)
                )
                self._with_weights(fx, Op.CONV, geometry, m.weight, m.bias)
            case nn.Linear():
                self._with_weights(fx, Op.LINEAR, POINTWISE, m.weight, m.bias)
            case nn.BatchNorm2d():
                self._fold(fx, m)
            case nn.ReLU():
                self._relu(fx)
            case nn.MaxPool2d() | nn.AvgPool2d():
                self._pool(fx, m)
            case nn.AdaptiveAvgPool2d() if _pair(m.output_size) == (1, 1):
                self._append(fx, Op.GLOBAL_AVG_POOL)
            case nn.Flatten() if m.start_dim == 1 and m.end_dim == -1:
                self._append(fx, Op.FLATTEN)
            case nn.Dropout() | nn.Identity():
                self.names[fx] = self._inputs(fx)[0]
            case _:
                raise HwsimError(f"model: layer {fx.name!r}: {m} has no integer counterpart")

    def _function(self, fx: torch.fx.Node) -> None:
        """Convert the call of a function or method."""
        if fx.target in (operator.add, torch.add) and len(self._inputs(fx)) == 2:
            self._append(fx, Op.ADD)
        elif fx.target in (F.relu, torch.relu, "relu"):
            self._relu(fx)
        elif fx.target in (torch.flatten, "flatten") and fx.args[1:] in ((1,), (1, -1)):
            self._append(fx, Op.FLATTEN)
        else:
            raise HwsimError(f"model: operation {fx.name!r} ({fx.target}) has no integer counterpart")

    def _append(self, fx: torch.fx.Node, op: Op, geometry: Geometry = POINTWISE) -> None:
        """Add a layer without weights."""
        self.names[fx] = fx.name
        self.nodes.append(Node(fx.name, op, tuple(self._inputs(fx)), geometry=geometry))

    def _with_weights(self, fx: torch.fx.Node, op: Op, geometry: Geometry, weight: Tensor, bias: Tensor | None) -> None:
        """Add a layer with `weight` [output, ...] and `bias` [output]."""
        self._append(fx, op, geometry)
        zero = torch.zeros(weight.shape[0])
        self.weights[f"{fx.name}.weight"] = weight.detach().float()[None].clone()
        self.weights[f"{fx.name}.bias"] = (zero if bias is None else bias.detach().float())[None].clone()

    def _pool(self, fx: torch.fx.Node, m: nn.MaxPool2d | nn.AvgPool2d) -> None:
        """Add a pooling layer."""
        dilated = isinstance(m, nn.MaxPool2d) and _pair(m.dilation) != (1, 1)
        uneven = isinstance(m, nn.AvgPool2d) and (
            m.divisor_override is not None or (not m.count_include_pad and _pair(m.padding) != (0, 0))
        )
        if m.ceil_mode or dilated or uneven:
            raise HwsimError(
                f"model: layer {fx.name!r}: {m}: ceil_mode, dilation and averages without padding are not supported"
            )
        stride = m.kernel_size if m.stride is None else m.stride
        op = Op.MAX_POOL if isinstance(m, nn.MaxPool2d) else Op.AVG_POOL
        self._append(fx, op, Geometry(_pair(m.kernel_size), _pair(stride), _pair(m.padding)))

    def _relu(self, fx: torch.fx.Node) -> None:
        """Fuse a ReLU into the layer before it."""
        node = self._fused_into(fx, _FUSES_RELU, "a ReLU must directly follow a convolution, linear layer or add")
        self._replace(replace(node, relu=True))

    def _fold(self, fx: torch.fx.Node, m: nn.BatchNorm2d) -> None:
        """Fold a batch norm into the convolution before it."""
        node = self._fused_into(fx, (Op.CONV,), "a batch norm must directly follow a convolution")
        if node.relu or m.running_mean is None or m.running_var is None:
            raise HwsimError(
                f"model: layer {fx.name!r}: only a batch norm with running statistics before the ReLU can be folded"
            )
        gain = (torch.rsqrt(m.running_var + m.eps) * (1.0 if m.weight is None else m.weight)).detach()
        shift = 0.0 if m.bias is None else m.bias.detach()
        self.weights[f"{node.name}.weight"] *= gain[None, :, None, None, None]
        self.weights[f"{node.name}.bias"] = (self.weights[f"{node.name}.bias"] - m.running_mean) * gain + shift

    def _fused_into(self, fx: torch.fx.Node, ops: tuple[Op, ...], rule: str) -> Node:
        """Return the layer before `fx`, into which `fx` is fused; raises HwsimError where it has another reader."""
        source: Any = fx.args[0]
        name = self.names[source]
        self.names[fx] = name
        node = next((n for n in self.nodes if n.name == name), None)
        if node is None or node.op not in ops or len(source.users) != 1:
            raise HwsimError(f"model: layer {fx.name!r}: {rule}, and nothing else may read what comes before it")
        return node

    def _replace(self, node: Node) -> None:
        self.nodes = [node if n.name == node.name else n for n in self.nodes]

    def _inputs(self, fx: torch.fx.Node) -> list[str]:
        return [self.names[a] for a in fx.args if isinstance(a, torch.fx.Node)]


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, (tuple, list)) else (int(value), int(value))
