"""A small residual network."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from hwsim.network.layer import Shape
from hwsim.registry import register
from hwsim.training.models.base import Filters, LearningRate, Model, image_shape
from hwsim.training.models.residual_block import ResidualBlock


@register(
    "model",
    "small_resnet",
    citation="after He et al., Deep Residual Learning for Image Recognition, CVPR 2016; without batch normalization",
)
class SmallResNet(Model):
    """A small residual network: a stem, residual blocks that halve the map, a global average pool. For images."""

    learning_rate: LearningRate = 1e-3
    channels: tuple[Filters, ...] = Field(
        (16, 32), min_length=1, description="filters of each residual block; all but the first halve the map"
    )

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Return stem, residual blocks, global average pool and linear layer."""
        depth, _, _ = image_shape(shape, "small_resnet")
        net = nn.Sequential()
        net.add_module("stem", nn.Conv2d(depth, self.channels[0], 3, padding=1))
        net.add_module("relu", nn.ReLU())
        depth = self.channels[0]
        for number, filters in enumerate(self.channels, start=1):
            net.add_module(f"block{number}", ResidualBlock(depth, filters, 1 if number == 1 else 2))
            depth = filters
        net.add_module("average", nn.AdaptiveAvgPool2d(1))
        net.add_module("flatten", nn.Flatten())
        net.add_module("logits", nn.Linear(depth, classes))
        return net
