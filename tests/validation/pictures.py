"""ResNet-20 with random weights on parts of real pictures: masks that are as clustered as pictures are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

import hwsim
from hwsim.network.fixed_point import requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import FRACTION_BITS, INPUT, Layer, Region, Requantizer, Shape
from tests.bench.builder import Builder
from tests.bench.networks import CIFAR, _resnet

Codes = NDArray[np.uint8]

COARSE = 4
CALIBRATION = 4
"""Pictures on which requantizers are set; thresholds are set on all."""

LARGEST = 15
"""Largest activation that is no outlier for a 4-bit lane, and 7 that of weights."""


def pictures(samples: int, seed: int = 0) -> Codes:
    """Codes [sample, 3, 32, 32]: parts of the two pictures of scikit-learn, each pixel the mean of 4 x 4."""
    rng = np.random.default_rng(seed)
    wholes = load_sample_images().images
    found = []
    for n in range(samples):
        rows, cols = (size // COARSE for size in wholes[n % 2].shape[:2])
        whole = wholes[n % 2][: rows * COARSE, : cols * COARSE]
        small = whole.reshape(rows, COARSE, cols, COARSE, 3).mean(axis=(1, 3))
        row, col = int(rng.integers(rows - CIFAR[1])), int(rng.integers(cols - CIFAR[2]))
        found.append(small[row : row + CIFAR[1], col : col + CIFAR[2]].transpose(2, 0, 1))
    return np.stack(found).astype(np.uint8)


class _OnPictures(Builder):
    """Sets requantizers on pictures instead of noise."""

    def __init__(self, codes: Codes, bits: int, regions: bool = False) -> None:
        super().__init__(CIFAR, bits, bits, regions)
        scaled = codes[:CALIBRATION].astype(np.float64) * self.plain.qmax / np.iinfo(codes.dtype).max
        self.values[INPUT] = torch.from_numpy(np.rint(scaled))


class _FewWide(_OnPictures):
    """Weights of 8 bits of which `share` do not fit 4."""

    share = 0.0

    def _weight_codes(self, shape: Shape, largest: int) -> NDArray[np.integer]:
        deviation = 7.5 / NormalDist().inv_cdf(1 - self.share / 2)
        codes = np.clip(np.rint(self.rng.normal(0, deviation, shape)), -127, 127)
        return codes.astype(self.weight_format.dtype)


def plain_network(codes: Codes, bits: int) -> Network:
    """ResNet-20 of one width."""
    return _resnet(_OnPictures(codes, bits), stages=(16, 32, 64), blocks=3)


def region_networks(codes: Codes, shares: Sequence[float], per_channel: bool = False) -> Iterator[Network]:
    """ResNet-20 of 8 and 4 bits, one for each share of regions that are sensitive in every layer but the first.

    Thresholds follow from what the layers read of `codes` when all is in 8 bits, so that shares are met nearly.
    """
    network = _resnet(_OnPictures(codes, 8, regions=True), stages=(16, 32, 64), blocks=3)
    wide = _with_thresholds(network, {layer.name: 0 for layer in network.layers}, per_channel)
    read = {layer.name: layer.inputs[0] for layer in network.layers if layer.region}
    seen = hwsim.execute(wide, codes, capture=tuple(dict.fromkeys(read.values()))).codes
    means = {
        layer.name: _means(layer.region, seen[read[layer.name]], per_channel)
        for layer in network.layers
        if layer.region
    }
    for share in shares:
        thresholds = {name: int(np.quantile(found, 1 - share) * (1 << FRACTION_BITS)) for name, found in means.items()}
        yield _with_thresholds(network, thresholds, per_channel)


def _means(region: Region, codes: NDArray[np.integer], per_channel: bool) -> NDArray[np.float64]:
    """Means of all regions of all samples, in no order; the maps here are whole numbers of regions."""
    samples, channels, height, width = codes.shape
    down, across = height // region.height, width // region.width
    cut = codes.reshape(samples, channels, down, region.height, across, region.width).mean(axis=(3, 5))
    found: NDArray[np.float64] = (cut if per_channel else cut.mean(axis=1)).ravel()
    return found


def _with_thresholds(network: Network, thresholds: dict[str, int], per_channel: bool) -> Network:
    def changed(layer: Layer) -> Layer:
        if layer.region is None:
            return layer
        region = replace(layer.region, threshold=thresholds[layer.name], per_channel=per_channel)
        return replace(layer, region=region)

    return replace(network, layers=tuple(map(changed, network.layers)))


def outlier_network(codes: Codes, share: float) -> Network:
    """ResNet-20 whose codes have 8 bits, while all but about `share` of weights and activations fit 4."""
    builder = _FewWide(codes, 8)
    builder.share = share
    network = _resnet(builder, stages=(16, 32, 64), blocks=3)
    sources = {layer.inputs[0] for layer in network.layers if layer.has_macs and layer.inputs[0] != INPUT}
    seen = hwsim.execute(network, codes, capture=tuple(sources)).codes
    read = np.concatenate([seen[source].ravel() for source in sorted(sources)])
    return _scaled(network, (LARGEST + 0.5) / float(np.quantile(read, 1 - share)))


def _scaled(network: Network, factor: float) -> Network:
    """The same network with all activations behind the first layer scaled."""

    def changed(layer: Layer) -> Layer:
        if not layer.has_macs:
            return layer
        if layer.inputs[0] != INPUT:
            assert layer.bias is not None
            return replace(layer, bias=np.rint(layer.bias * factor).astype(np.int64))
        rule = layer.requantizer
        assert isinstance(rule, Requantizer)
        ratios = rule.multiplier / 2.0**rule.shift * factor
        return replace(layer, requantizer=requantizer(ratios, layer.output, relu=True))

    return replace(network, layers=tuple(map(changed, network.layers)))
