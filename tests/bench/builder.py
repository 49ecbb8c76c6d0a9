"""Builder of integer networks with random weights whose codes use the whole range in every layer."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.network.fixed_point import add_requantizer, requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import FRACTION_BITS, INPUT, Geometry, Layer, Op, Region, Shape

IMAGES = 2
"""Random images whose sums determine the multipliers."""

SPREAD = 3.0
"""Standard deviations of the sums that a requantizer represents; sums beyond are clipped."""

LOW_BITS = 4
REGION_SIZE = 2
SENSITIVE = 0.3
"""Share of sensitive regions."""


class Builder:
    """Builder with one method per layer, which returns the layer's name and stores its values of the random images.

    `w_bits` of 1 makes binary weights. With `regions` every convolution but the first has region
    precision. Sums of products are below 2^31 at every width.
    """

    def __init__(self, shape: Shape, w_bits: int, a_bits: int, regions: bool = False, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape, self.regions = shape, regions
        self.weight_format = (
            Format(1, kind=Kind.BINARY) if w_bits == 1 else Format(w_bits, signed=True, narrow_range=True)
        )
        self.plain = Format(a_bits)
        self.centered = Format(a_bits, zero_point=1 << (a_bits - 1))
        self.layers: list[Layer] = []
        images = self.rng.integers(0, self.plain.qmax + 1, (IMAGES, *shape))
        self.values: dict[str, Tensor] = {INPUT: torch.from_numpy(images).double()}  # decoded codes
        self.scales = {INPUT: 1 / self.plain.qmax}

    def conv(self, name: str, source: str, filters: int, kernel: int, stride: int = 1, relu: bool = True) -> str:
        """Add a square convolution; without ReLU the zero point is in the middle of the codes."""
        x, padding = self.values[source], kernel // 2
        codes = self._weight_codes((filters, x.shape[1], kernel, kernel), int(x.max()))
        values = torch.from_numpy(self.weight_format.decode(codes)).double()
        sums = F.conv2d(x, values, stride=stride, padding=padding)
        assert sums.abs().max() < 2**31, f"{name}: sums exceed the accumulator"
        mean, deviation = sums.mean((0, 2, 3)), sums.std((0, 2, 3)).clamp_min(1)
        output = self.plain if relu else self.centered
        reach = output.qmax / (SPREAD + 0.5) if relu else output.zero_point / SPREAD  # codes per deviation
        bias = torch.round(0.5 * deviation - mean) if relu else torch.round(-mean)
        ratios = (reach / deviation).numpy()
        scale = 1 / (output.qmax - output.zero_point)
        self.layers.append(
            Layer(
                name,
                Op.CONV,
                (source,),
                output,
                scale,
                weight=QTensor(codes, self.weight_format, ratios * scale / self.scales[source]),
                bias=bias.numpy().astype(np.int64),
                requantizer=requantizer(ratios, output, relu),
                geometry=Geometry((kernel, kernel), (stride, stride), (padding, padding)),
                region=self._region(x, codes) if self.regions and source != INPUT else None,
            )
        )
        scaled = (sums + bias[:, None, None]) * torch.from_numpy(ratios)[:, None, None]
        return self._store(name, scaled, output, scale)

    def add(self, name: str, a: str, b: str) -> str:
        """Add a residual add with ReLU."""
        real = self.values[a] * self.scales[a] + self.values[b] * self.scales[b]
        scale = float(real.quantile(0.999)) / self.plain.qmax
        rule = add_requantizer(self.scales[a] / scale, self.scales[b] / scale, self.plain, relu=True)
        self.layers.append(Layer(name, Op.ADD, (a, b), self.plain, scale, requantizer=rule))
        return self._store(name, real / scale, self.plain, scale)

    def global_average(self, name: str, source: str) -> str:
        """Add a global average pool."""
        mean = self.values[source].mean((2, 3), keepdim=True)
        ratio = self.plain.qmax / float(mean.max())
        scale = self.scales[source] / ratio
        pixels = math.prod(self.values[source].shape[2:])
        rule = requantizer(ratio / pixels, self.plain, relu=False)
        self.layers.append(Layer(name, Op.GLOBAL_AVG_POOL, (source,), self.plain, scale, requantizer=rule))
        return self._store(name, mean * ratio, self.plain, scale)

    def max_pool(self, name: str, source: str) -> str:
        """Add a 2 x 2 max pool with stride 2."""
        scale, geometry = self.scales[source], Geometry((2, 2), (2, 2))
        self.layers.append(Layer(name, Op.MAX_POOL, (source,), self.plain, scale, geometry=geometry))
        return self._store(name, F.max_pool2d(self.values[source], 2), self.plain, scale)

    def flatten(self, name: str, source: str) -> str:
        """Add a flatten layer."""
        scale = self.scales[source]
        self.layers.append(Layer(name, Op.FLATTEN, (source,), self.plain, scale))
        return self._store(name, self.values[source].flatten(1), self.plain, scale)

    def linear(self, name: str, source: str, outputs: int) -> str:
        """Add the last layer, with raw logits."""
        x = self.values[source]
        codes = self._weight_codes((outputs, x.shape[1]), int(x.max()))
        bias = self.rng.integers(-1000, 1001, outputs)
        weight = QTensor(codes, self.weight_format)
        self.layers.append(Layer(name, Op.LINEAR, (source,), LOGITS, self.scales[source], weight=weight, bias=bias))
        return name

    def network(self) -> Network:
        """Return the network."""
        return Network(self.plain, self.shape, self.scales[INPUT], tuple(self.layers))

    def _weight_codes(self, shape: Shape, largest: int) -> NDArray[np.integer]:
        """Draw uniform codes, limited so that sums with activations up to `largest` fit 32 bits."""
        form = self.weight_format
        if form.kind is Kind.BINARY:
            return self.rng.integers(0, 2, shape, dtype=np.int8)
        limit = min(form.qmax, int(2**30 / (math.sqrt(math.prod(shape[1:])) * largest)))
        return self.rng.integers(-limit, limit + 1, shape, dtype=form.dtype)

    def _region(self, x: Tensor, codes: NDArray[np.integer]) -> Region:
        means = F.avg_pool2d(x.mean(1, keepdim=True), REGION_SIZE)
        threshold = int(means.quantile(1 - SENSITIVE) * (1 << FRACTION_BITS))
        drop, half = self.weight_format.bits - LOW_BITS, 1 << (LOW_BITS - 1)
        low = np.clip(np.floor(codes / (1 << drop) + 0.5), -half, half - 1).astype(np.int8)
        return Region(REGION_SIZE, REGION_SIZE, threshold, low, LOW_BITS)

    def _store(self, name: str, scaled: Tensor, output: Format, scale: float) -> str:
        low, high = output.qmin - output.zero_point, output.qmax - output.zero_point
        self.values[name] = torch.round(scaled).clamp(low, high)
        self.scales[name] = scale
        return name
