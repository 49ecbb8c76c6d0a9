"""Multilayer perceptrons (MLP): fully connected networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import nn

from hwsim.network.layer import Shape
from hwsim.registry import register
from hwsim.training.models.base import Model, Units

Hidden = Annotated[tuple[Units, ...], Field(description="units of each hidden layer")]


@register("model", "mlp", citation="the fully connected networks of Shokri et al., S&P 2017, with ReLU")
class MLP(Model):
    """A multilayer perceptron: hidden layers of ReLU units. For feature vectors, and for small images flattened."""

    hidden: Hidden = (64, 64)

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Return linear layers with ReLUs between them."""
        return perceptron(shape, self.hidden, classes)


def perceptron(shape: Shape, hidden: Sequence[int], classes: int) -> nn.Sequential:
    """Return linear layers with ReLUs between them: `hidden` units, then `classes` logits.

    >>> [layer for layer in perceptron((2, 3), (4,), 5)][1]
    Linear(in_features=6, out_features=4, bias=True)
    """
    sizes = [math.prod(shape), *hidden]
    net = nn.Sequential()
    if len(shape) > 1:
        net.add_module("flatten", nn.Flatten())
    for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        net.add_module(f"fc{number}", nn.Linear(inputs, outputs))
        net.add_module(f"relu{number}", nn.ReLU())
    net.add_module("logits", nn.Linear(sizes[-1], classes))
    return net
