"""The networks of the speed table: ResNet-20 and ResNet-18 for CIFAR images, a small CNN, one linear layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import LOGITS, Format, QTensor
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Layer, Op
from tests.bench.builder import Builder

CLASSES = 10
CIFAR = (3, 32, 32)


def resnet20(w_bits: int = 8, a_bits: int = 8, regions: bool = False) -> Network:
    """ResNet-20: three stages of three blocks, 41 million products per image."""
    return _resnet(Builder(CIFAR, w_bits, a_bits, regions), stages=(16, 32, 64), blocks=3)


def resnet18(w_bits: int = 8, a_bits: int = 8, regions: bool = False) -> Network:
    """ResNet-18 with a 3x3 stem: four stages of two blocks, 556 million products per image."""
    return _resnet(Builder(CIFAR, w_bits, a_bits, regions), stages=(64, 128, 256, 512), blocks=2)


def small_cnn(seed: int = 0) -> Network:
    """The shape of hwsim's model `small_cnn` on 1x8x8 images, another one for every seed."""
    builder = Builder((1, 8, 8), w_bits=8, a_bits=8, seed=seed)
    x = builder.conv("conv1", INPUT, 16, 3)
    x = builder.conv("conv2", x, 32, 3)
    x = builder.flatten("flatten", builder.max_pool("pool2", x))
    builder.linear("logits", x, CLASSES)
    return builder.network()


def linear_layer(weights: NDArray[np.int8]) -> Network:
    """One linear layer [output, input] on unsigned 8-bit features that emits its raw sums."""
    weight = QTensor(weights, Format(8, signed=True))
    bias = np.zeros(len(weights), dtype=np.int64)
    layer = Layer("logits", Op.LINEAR, (INPUT,), LOGITS, weight=weight, bias=bias)
    return Network(Format(8), (weights.shape[1],), 1.0, (layer,))


def random_images(network: Network, samples: int, seed: int = 1) -> NDArray[np.integer]:
    """Uniform codes of the network's input format, in the smallest unsigned dtype that holds them."""
    dtype = np.min_scalar_type(network.input.qmax)
    rng = np.random.default_rng(seed)
    return rng.integers(0, network.input.qmax, (samples, *network.input_shape), dtype=dtype, endpoint=True)


def _resnet(builder: Builder, stages: Sequence[int], blocks: int) -> Network:
    x, width = builder.conv("stem", INPUT, stages[0], 3), stages[0]
    for stage, filters in enumerate(stages, start=1):
        for number in range(1, blocks + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            name = f"stage{stage}_block{number}"
            branch = builder.conv(f"{name}_conv1", x, filters, 3, stride)
            branch = builder.conv(f"{name}_conv2", branch, filters, 3, relu=False)
            shortcut = x
            if stride != 1 or filters != width:
                shortcut = builder.conv(f"{name}_shortcut", x, filters, 1, stride, relu=False)
            x, width = builder.add(f"{name}_add", branch, shortcut), filters
    x = builder.flatten("flatten", builder.global_average("average", x))
    builder.linear("logits", x, CLASSES)
    return builder.network()
