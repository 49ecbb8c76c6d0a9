"""Networks of the speed table: ResNet-20 and ResNet-18 for CIFAR images, small CNNs, one linear layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.network.fixed_point import requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op, Thresholds
from tests.bench.builder import Builder

BINARY = Format(1, kind=Kind.BINARY)
CLASSES = 10
CIFAR = (3, 32, 32)


def resnet20(w_bits: int = 8, a_bits: int = 8, regions: bool = False) -> Network:
    """Return ResNet-20: three stages of three blocks, 41 million products per image."""
    return _resnet(Builder(CIFAR, w_bits, a_bits, regions), stages=(16, 32, 64), blocks=3)


def resnet18(w_bits: int = 8, a_bits: int = 8, regions: bool = False) -> Network:
    """Return ResNet-18 with a 3x3 stem: four stages of two blocks, 556 million products per image."""
    return _resnet(Builder(CIFAR, w_bits, a_bits, regions), stages=(64, 128, 256, 512), blocks=2)


def small_cnn(seed: int = 0) -> Network:
    """Return a network like hwsim's model `small_cnn` on 1x8x8 images; `seed` determines its weights."""
    builder = Builder((1, 8, 8), w_bits=8, a_bits=8, seed=seed)
    x = builder.conv("conv1", INPUT, 16, 3)
    x = builder.conv("conv2", x, 32, 3)
    x = builder.flatten("flatten", builder.max_pool("pool2", x))
    builder.linear("logits", x, CLASSES)
    return builder.network()


def unpadded_cnn(binary: bool, channels: int = 128, layers: int = 4) -> Network:
    """Return 3x3 convolutions without padding on 16x16 maps: of -1 and +1 with thresholds, or of 8 bits."""
    rng = np.random.default_rng(0)
    codes, weights = (BINARY, BINARY) if binary else (Format(8), Format(8, signed=True))
    chain, size = [], 16
    for number in range(layers):
        source, size = f"conv{number - 1}" if number else INPUT, size - 2
        w = rng.integers(weights.qmin, weights.qmax + 1, (channels, channels, 3, 3))
        levels = rng.integers(-40, 41, (channels, 1))
        r = Thresholds(levels, 0) if binary else requantizer(np.full(channels, 2e-4), codes, relu=True)
        zero = np.zeros(channels, dtype=np.int64)
        geometry = Geometry((3, 3))
        chain.append(Layer(f"conv{number}", Op.CONV, (source,), codes, 1.0, QTensor(w, weights), zero, r, geometry))
    chain.append(Layer("flatten", Op.FLATTEN, (chain[-1].name,), codes))
    w = rng.integers(weights.qmin, weights.qmax + 1, (CLASSES, channels * size * size))
    zero = np.zeros(CLASSES, dtype=np.int64)
    chain.append(Layer("logits", Op.LINEAR, ("flatten",), LOGITS, 1.0, QTensor(w, weights), zero))
    return Network(codes, (channels, 16, 16), 1.0, tuple(chain))


def linear_layer(weights: NDArray[np.int8]) -> Network:
    """Return one linear layer, weights [output, input], on unsigned 8-bit features, with raw sums as outputs."""
    weight = QTensor(weights, Format(8, signed=True))
    bias = np.zeros(len(weights), dtype=np.int64)
    layer = Layer("logits", Op.LINEAR, (INPUT,), LOGITS, weight=weight, bias=bias)
    return Network(Format(8), (weights.shape[1],), 1.0, (layer,))


def random_images(network: Network, samples: int, seed: int = 1) -> NDArray[np.integer]:
    """Return uniform codes of the network's input format, in the smallest unsigned dtype that contains them."""
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
