"""Models by name: ordinary torch modules with the recipe that trains them."""

from __future__ import annotations

import math
from abc import abstractmethod
from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from hwsim.errors import HwsimError
from hwsim.network.layer import Shape
from hwsim.registry import Choice, register

Units = Annotated[int, Field(ge=1, le=65_536)]
Filters = Annotated[int, Field(ge=1, le=4096)]


class Model(Choice):
    """Base of all models: an architecture and its training recipe (Adam, cosine decay to zero)."""

    epochs: int = Field(60, ge=1, le=10_000, description="passes over the members")
    batch: int = Field(64, ge=1, le=65_536, description="members per step")
    learning_rate: float = Field(3e-3, gt=0, le=1, description="Adam's rate at the start")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Adam's weight decay")

    @abstractmethod
    def module(self, shape: Shape, classes: int) -> nn.Module:
        """A fresh torch module for samples of `shape`; raises HwsimError when the shape does not suit it."""


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


@register(
    "model",
    "small_cnn",
    citation="our own; two to three 3x3 convolutions in the style of LeCun et al., Gradient-Based "
    "Learning Applied to Document Recognition, 1998",
)
class SmallCNN(Model):
    """A small convolutional network: 3x3 convolutions with ReLU, halving pools, one linear layer. For small images."""

    channels: tuple[Filters, ...] = Field(
        (16, 32),
        min_length=1,
        description="filters of each convolution; a 2x2 max pool follows every one but the first",
    )

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Convolutions, pools and a linear layer."""
        depth, rows, columns = _image(shape, "small_cnn")
        net = nn.Sequential()
        for number, filters in enumerate(self.channels, start=1):
            net.add_module(f"conv{number}", nn.Conv2d(depth, filters, 3, padding=1))
            net.add_module(f"relu{number}", nn.ReLU())
            depth = filters
            if number > 1 or len(self.channels) == 1:
                net.add_module(f"pool{number}", nn.MaxPool2d(2))
                rows, columns = rows // 2, columns // 2
        if min(rows, columns) < 1:
            raise HwsimError(
                f"model small_cnn: {len(self.channels)} convolutions pool an image of {shape[1]}x{shape[2]} away; "
                "use fewer channels"
            )
        net.add_module("flatten", nn.Flatten())
        net.add_module("logits", nn.Linear(depth * rows * columns, classes))
        return net


class _ResidualBlock(nn.Module):
    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1)
        self.shortcut = nn.Identity() if inputs == filters and stride == 1 else nn.Conv2d(inputs, filters, 1, stride)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.relu1(self.conv1(x)))
        out: Tensor = self.relu2(y + self.shortcut(x))
        return out


@register(
    "model",
    "small_resnet",
    citation="after He et al., Deep Residual Learning for Image Recognition, CVPR 2016; without batch normalization",
)
class SmallResNet(Model):
    """A small residual network: a stem, residual blocks that halve the map, a global average pool. For images."""

    learning_rate: float = Field(1e-3, gt=0, le=1, description="Adam's rate at the start")
    channels: tuple[Filters, ...] = Field(
        (16, 32), min_length=1, description="filters of each residual block; all but the first halve the map"
    )

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Stem, blocks, global average, linear layer."""
        depth, _, _ = _image(shape, "small_resnet")
        net = nn.Sequential()
        net.add_module("stem", nn.Conv2d(depth, self.channels[0], 3, padding=1))
        net.add_module("relu", nn.ReLU())
        depth = self.channels[0]
        for number, filters in enumerate(self.channels, start=1):
            net.add_module(f"block{number}", _ResidualBlock(depth, filters, 1 if number == 1 else 2))
            depth = filters
        net.add_module("average", nn.AdaptiveAvgPool2d(1))
        net.add_module("flatten", nn.Flatten())
        net.add_module("logits", nn.Linear(depth, classes))
        return net


def _image(shape: Shape, name: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise HwsimError(
            f"model {name}: it needs images [channel, row, column], the data set has samples of shape {shape}; "
            "use model mlp"
        )
    return shape[0], shape[1], shape[2]
