"""Multilayer perceptrons."""

from __future__ import annotations

import math
from itertools import pairwise

from pydantic import Field
from torch import nn

from hwsim.network.layer import Shape
from hwsim.registry import register
from hwsim.training.models.base import Model, Units


@register("model", "mlp", citation="the fully connected networks of Shokri et al., S&P 2017, with ReLU")
class MLP(Model):
    """A multilayer perceptron: hidden layers of ReLU units. For feature vectors, and for small images flattened."""

    hidden: tuple[Units, ...] = Field((64, 64), description="units of each hidden layer")

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Linear layers with a ReLU between them."""
        sizes = [math.prod(shape), *self.hidden]
        net = nn.Sequential()
        if len(shape) > 1:
            net.add_module("flatten", nn.Flatten())
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            net.add_module(f"fc{number}", nn.Linear(inputs, outputs))
            net.add_module(f"relu{number}", nn.ReLU())
        net.add_module("logits", nn.Linear(sizes[-1], classes))
        return net
