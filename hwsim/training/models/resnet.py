"""Residual networks for 32x32 images, with a scaled initialization instead of batch normalization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from hwsim.network.layer import Shape
from hwsim.registry import register
from hwsim.training.models.base import Batch, Filters, LearningRate, Model, image_shape
from hwsim.training.models.residual_block import ResidualBlock

_HE = (
    "He et al., Deep Residual Learning for Image Recognition, CVPR 2016; scaled initialization in place of batch "
    "normalization in the spirit of Zhang et al., Fixup Initialization, ICLR 2019"
)

CIFARWidth = Annotated[
    int, Field(ge=1, le=1024, description="filters of the first stage; the next two have 2 and 4 times")
]


@register("model", "resnet8", citation=_HE)
class ResNet8(Model):
    """ResNet-8 for 32x32 images: the CIFAR form of He et al. with n = 1, three stages of 16, 32 and 64 filters.

    There is no batch normalization: training and inference are then one function, as the integers need it, and the
    output of a sample does not depend on its batch. Instead, the second convolution of a block is initialized smaller,
    by the square root of the number of blocks. A shortcut is a 1x1 convolution where the shape changes (the paper pads
    with zeros). Design choice: Adam at 1e-3, batches of 128, 60 epochs.
    """

    batch: Batch = 128
    learning_rate: LearningRate = 1e-3
    width: CIFARWidth = 16

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Return stem, 3 blocks, global average pool and linear layer."""
        return residual_network(image_shape(shape, "resnet8"), cifar_filters(self.width), 1, classes)


@register("model", "resnet20", citation=_HE)
class ResNet20(Model):
    """ResNet-20 for 32x32 images: the CIFAR form of He et al. with n = 3, three stages of 16, 32 and 64 filters.

    Without batch normalization and with the recipe of `resnet8`, whose help explains both.
    """

    batch: Batch = 128
    learning_rate: LearningRate = 1e-3
    width: CIFARWidth = 16

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Return stem, 9 blocks, global average pool and linear layer."""
        return residual_network(image_shape(shape, "resnet20"), cifar_filters(self.width), 3, classes)


@register("model", "resnet18_slim", citation=_HE)
class ResNet18Slim(Model):
    """A slim ResNet-18 for 32x32 images: a 3x3 stem without pool, four stages of two blocks, narrow by `width`.

    The ImageNet form of He et al. has `width` 64 and a 7x7 stem. Without batch normalization and with the recipe of
    `resnet8`, whose help explains both. Design choice: the default width.
    """

    batch: Batch = 128
    learning_rate: LearningRate = 1e-3
    width: Filters = Field(16, description="filters of the first stage; the next three have 2, 4 and 8 times")

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Return stem, 8 blocks, global average pool and linear layer."""
        filters = [self.width << stage for stage in range(4)]
        return residual_network(image_shape(shape, "resnet18_slim"), filters, 2, classes)


def cifar_filters(width: int) -> list[int]:
    """Return the filters of the three stages of the CIFAR form: 1, 2 and 4 times `width`."""
    return [width, 2 * width, 4 * width]


def residual_network(image: tuple[int, int, int], filters: Sequence[int], blocks: int, classes: int) -> nn.Sequential:
    """Return a residual network for images of shape `image`: a 3x3 stem, stages, a global average pool, logits.

    Stage i has `blocks` residual blocks of `filters[i]` filters. Every stage but the first halves the map.
    """
    depth, _, _ = image
    net = nn.Sequential()
    net.add_module("stem", nn.Conv2d(depth, filters[0], 3, padding=1))
    net.add_module("relu", nn.ReLU())
    depth = filters[0]
    for stage, width in enumerate(filters, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            net.add_module(f"stage{stage}_{block}", ResidualBlock(depth, width, stride))
            depth = width
    net.add_module("average", nn.AdaptiveAvgPool2d(1))
    net.add_module("flatten", nn.Flatten())
    net.add_module("logits", nn.Linear(depth, classes))
    _initialize(net, blocks * len(filters))
    return net


def _initialize(net: nn.Module, blocks: int) -> None:
    """Initialize by He's normal distribution, and scale the last convolution of each of the `blocks` blocks.

    The variance added by the branches of all blocks is then about that of the shortcut. Without batch normalization
    and without this scaling, the variance doubles in every block.
    """
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                module.bias.zero_()
        for module in net.modules():
            if isinstance(module, ResidualBlock):
                module.conv2.weight.div_(math.sqrt(blocks))
