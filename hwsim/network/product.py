"""A layer with multiplications as the PE array sees it: a matrix product, without its values."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property

from hwsim.network.graph import Network
from hwsim.network.layer import POINTWISE, Geometry, Layer


@dataclass(frozen=True)
class Window:
    """The convolution behind a product: size of its input map, and how a kernel moves over it."""

    height: int
    width: int
    geometry: Geometry

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of the output map."""
        return self.geometry.output_size(self.height, self.width)

    @property
    def taps(self) -> int:
        """Positions of the kernel."""
        return math.prod(self.geometry.kernel)

    def input_rows(self, output_rows: int) -> int:
        """Rows of the input map that so many neighbouring output rows read, at most all of them."""
        span = (output_rows - 1) * self.geometry.stride[0] + self.geometry.dilation[0] * (self.geometry.kernel[0] - 1)
        return min(self.height, span + 1)


@dataclass(frozen=True)
class Product:
    """A convolution, linear or matmul layer as one matrix product per group, for one sample.

    Each of `groups` groups multiplies [pixels, reduction] by [reduction, filters]; a linear layer of
    a plain feature vector has one pixel. The reduction runs over (kernel row, kernel column, channel).
    `ifmap_elements` are the input codes of all groups, padding not included; `window` is the
    convolution, None for a plain product. With region precision `low_bits` is the narrow width and
    `regions` the number of mask bits.

    >>> Product(pixels=64, reduction=9, filters=8).macs
    4608
    """

    pixels: int
    reduction: int
    filters: int
    groups: int = 1
    ifmap_elements: int = 0
    a_bits: int = 8
    w_bits: int = 8
    out_bits: int = 8
    low_bits: int | None = None
    regions: int = 0
    window: Window | None = None

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Computed once: a sweep looks up the mapping of each product for every design."""
        return hash(tuple(getattr(self, field.name) for field in fields(self)))

    @property
    def macs(self) -> int:
        """Products of one sample, those with padding included."""
        return self.groups * self.pixels * self.reduction * self.filters

    @property
    def stored_w_bits(self) -> int:
        """Bits per weight in memory: region layers store a low twin of every weight."""
        return self.w_bits + (self.low_bits or 0)


def conv_product(channels: int, filters: int, height: int, width: int, geometry: Geometry = POINTWISE) -> Product:
    """The product of a convolution with 8-bit operands: `channels` and `filters` are those of all groups.

    >>> layer = conv_product(64, 64, 56, 56, Geometry((3, 3), padding=(1, 1)))
    >>> layer.pixels, layer.reduction, layer.filters
    (3136, 576, 64)
    """
    window = Window(height, width, geometry)
    return Product(
        pixels=math.prod(window.output),
        reduction=window.taps * (channels // geometry.groups),
        filters=filters // geometry.groups,
        groups=geometry.groups,
        ifmap_elements=channels * height * width,
        window=window,
    )


def as_product(network: Network, layer: Layer) -> Product:
    """The matrix product that a convolution, linear or matmul layer of `network` is, or one of its `width_groups`."""
    if layer.weight is None:
        return _activations_product(network, layer)
    source, region = layer.inputs[0], layer.region
    shape, output = network.shapes[source], network.shapes[layer.name]
    filters, groups = layer.weight.codes.shape[0], layer.geometry.groups
    regions = -(-shape[1] // region.height) * -(-shape[2] // region.width) if region else 0
    regions *= shape[0] if region and region.per_channel else 1
    return Product(
        pixels=math.prod(output) // output[layer.channel_axis - 1 if layer.channel_axis == 1 else -1],
        reduction=math.prod(layer.weight.codes.shape[1:]),
        filters=filters // groups,
        groups=groups,
        ifmap_elements=math.prod(shape),
        a_bits=network.formats[source].bits,
        w_bits=layer.weight.format.bits,
        out_bits=layer.output.bits,
        low_bits=region.low_bits if region else None,
        regions=regions,
        window=Window(shape[1], shape[2], layer.geometry) if layer.weight.codes.ndim == 4 else None,
    )


def _activations_product(network: Network, layer: Layer) -> Product:
    """A product of two activations: the second one takes the place of the weights, once per leading index."""
    (*leading, pixels, reduction), right = (network.shapes[name] for name in layer.inputs)
    a, b = (network.formats[name] for name in layer.inputs)
    return Product(
        pixels=pixels,
        reduction=reduction,
        filters=right[-1],
        groups=math.prod(leading),
        ifmap_elements=math.prod(network.shapes[layer.inputs[0]]),
        a_bits=a.bits,
        w_bits=b.bits,
        out_bits=layer.output.bits,
    )
