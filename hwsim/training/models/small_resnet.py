"""A small residual network."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from hwsim.network.layer import Shape
from hwsim.registry import register
from hwsim.training.models.base import Filters, Model, image_shape


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1)
        self.shortcut = nn.Identity() if inputs == filters and stride == 1 else nn.Conv2d(inputs, filters, 1, stride)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Branch plus shortcut, then ReLU."""
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
