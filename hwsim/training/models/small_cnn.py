"""A small convolutional network."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from hwsim.errors import HwsimError
from hwsim.network.layer import Shape
from hwsim.registry import register
from hwsim.training.models.base import Filters, Model, image_shape


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
        """Return convolutions, pools and a linear layer."""
        depth, rows, columns = image_shape(shape, "small_cnn")
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
