"""Residual networks for 32x32 images, without batch normalization, with an initialization that makes up for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import nn

from hwsim.network.layer import Shape
from hwsim.registry import register
from hwsim.training.models.base import Filters, Model, image_shape
from hwsim.training.models.small_resnet import ResidualBlock

_HE = (
    "He et al., Deep Residual Learning for Image Recognition, CVPR 2016; scaled initialization in place of batch "
    "normalization in the spirit of Zhang et al., Fixup Initialization, ICLR 2019"
)


class StagedResNet(Model):
    """Base of residual networks: a 3x3 stem, stages of blocks that halve the map between them, a global average."""

    batch: int = Field(128, ge=1, le=65_536, description="members per step")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Adam's rate at the start")

    def _network(self, shape: Shape, classes: int, name: str, filters: Sequence[int], blocks: int) -> nn.Module:
        """`blocks` residual blocks in each stage of so many `filters`."""
        depth, _, _ = image_shape(shape, name)
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


class CIFARResNet(StagedResNet):
    """Base of the CIFAR form: stages of 1, 2 and 4 times `width` filters."""

    width: int = Field(16, ge=1, le=1024, description="filters of the first stage; the next two have 2 and 4 times")


@register("model", "resnet8", citation=_HE)
class ResNet8(CIFARResNet):
    """ResNet-8 for 32x32 images: the CIFAR form of He et al. with n = 1, three stages of 16, 32 and 64 filters.

    No batch normalization: training and inference are then one function, as the integers need it, and no sample's
    output depends on its batch. The second convolution of a block starts smaller by the square root of the number of
    blocks instead. A 1x1 convolution stands where the shape changes (the paper pads with zeros). Adam at 1e-3, batches
    of 128, 60 epochs: our own choice.
    """

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Stem, 3 blocks, global average, linear layer."""
        return self._network(shape, classes, "resnet8", [self.width, 2 * self.width, 4 * self.width], 1)


@register("model", "resnet20", citation=_HE)
class ResNet20(CIFARResNet):
    """ResNet-20 for 32x32 images: the CIFAR form of He et al. with n = 3, three stages of 16, 32 and 64 filters.

    Without batch normalization and with the recipe of `resnet8`, whose help says more.
    """

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Stem, 9 blocks, global average, linear layer."""
        return self._network(shape, classes, "resnet20", [self.width, 2 * self.width, 4 * self.width], 3)


@register("model", "resnet18_slim", citation=_HE)
class ResNet18Slim(StagedResNet):
    """A slim ResNet-18 for 32x32 images: a 3x3 stem without pool, four stages of two blocks, narrow by `width`.

    The ImageNet form of He et al. has `width` 64 and a 7x7 stem. Without batch normalization and with the recipe of
    `resnet8`, whose help says more; the default width is our own choice.
    """

    width: Filters = Field(16, description="filters of the first stage; the next three have 2, 4 and 8 times")

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Stem, 8 blocks, global average, linear layer."""
        return self._network(shape, classes, "resnet18_slim", [self.width << stage for stage in range(4)], 2)


def _initialize(net: nn.Module, blocks: int) -> None:
    """He's normal initialization; the branches of all blocks together then add about as much as the shortcut carries.

    Without that, the variance doubles in every block that no batch normalization follows.
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
