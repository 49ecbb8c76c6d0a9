"""A hwsim network as a torch module in float32."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Layer, Op


class FloatTwin(nn.Module):
    """The same graph with real weights (batch norms folded), plain convolutions and in-place ReLU."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.layers = network.layers
        self.scale = {INPUT: network.input_scale} | {layer.name: layer.scale for layer in network.layers}
        self.parts = nn.ModuleDict({layer.name: self._part(layer) for layer in network.layers if layer.has_macs})

    def forward(self, x: Tensor) -> Tensor:
        """Return real logits for real inputs."""
        done = {INPUT: x}
        for layer in self.layers:
            done[layer.name] = self._apply(layer, [done[name] for name in layer.inputs])
        return done[self.layers[-1].name]

    def _apply(self, layer: Layer, operands: list[Tensor]) -> Tensor:
        match layer.op:
            case Op.CONV:
                y = self.parts[layer.name](operands[0])
                return y.relu_() if layer.output.zero_point == 0 else y
            case Op.LINEAR:
                return self.parts[layer.name](operands[0])
            case Op.ADD:
                return (operands[0] + operands[1]).relu_()
            case Op.GLOBAL_AVG_POOL:
                return operands[0].mean((2, 3), keepdim=True)
            case Op.FLATTEN:
                return operands[0].flatten(1)
        raise NotImplementedError(f"{layer.op} is not part of the benchmark")

    def _part(self, layer: Layer) -> nn.Module:
        codes, unit = layer.weight.codes, np.broadcast_to(layer.weight.scale, len(layer.weight.codes))
        if layer.op is Op.CONV:
            g, groups = layer.geometry, layer.geometry.groups
            part = nn.Conv2d(codes.shape[1] * groups, codes.shape[0], g.kernel, g.stride, g.padding, groups=groups)
        else:
            part = nn.Linear(codes.shape[1], codes.shape[0])
        real = codes * unit.reshape(-1, *(1,) * (codes.ndim - 1)).astype(np.float32)
        with torch.no_grad():
            part.weight.copy_(torch.from_numpy(real))
            part.bias.copy_(torch.from_numpy(layer.bias * unit * self.scale[layer.inputs[0]]))
        return part
