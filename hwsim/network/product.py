"""Matrix product of a layer: sizes and widths of the operands, without their values."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property

from hwsim.arithmetic import ceil_div
from hwsim.network.graph import Network
from hwsim.network.layer import POINTWISE, Geometry, Layer


@dataclass(frozen=True)
class Window:
    """Convolution of a product: rows and columns of the input map, and the window."""

    height: int
    width: int
    geometry: Geometry

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of the output map."""
        return self.geometry.output_size(self.height, self.width)

    @property
    def taps(self) -> int:
        """Number of kernel positions."""
        return math.prod(self.geometry.kernel)

    def input_rows(self, output_rows: int) -> int:
        """Return the number of input rows that `output_rows` adjacent output rows read, at most all rows."""
        span = (output_rows - 1) * self.geometry.stride[0] + self.geometry.dilation[0] * (self.geometry.kernel[0] - 1)
        return min(self.height, span + 1)


@dataclass(frozen=True)
class Product:
    """A convolution, linear or matmul layer as one matrix product per group, for one sample.

    Each group multiplies [pixels, reduction] by [reduction, filters]. The reduction runs over (kernel row, kernel
    column, channel).

    Attributes
    ----------
    pixels : output positions; 1 for a linear layer of a feature vector
    reduction : products per sum
    filters : output channels of one group
    groups : groups of a convolution, or leading indices of a matmul
    ifmap_elements : input codes of all groups, without padding
    a_bits, w_bits, out_bits : widths of activations, weights and output codes
    low_bits : low width of region precision, None without it
    regions : mask bits of region precision
    window : window of a convolution, None for a plain product
    second_is_weight : whether the second operand is a weight, which the samples of a batch share; False for a product
        of two activations, such as the scores of an attention

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
    second_is_weight: bool = True

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Computed once: a sweep looks up the mapping of each product for every design."""
        return hash(tuple(getattr(self, field.name) for field in fields(self)))

    @property
    def convolution(self) -> Window:
        """The convolution; of a plain product a 1x1 convolution of a map with its pixels as rows."""
        return self.window or Window(self.pixels, 1, Geometry())

    @property
    def macs(self) -> int:
        """Products of one sample, padding included."""
        return self.groups * self.pixels * self.reduction * self.filters

    @property
    def stored_w_bits(self) -> int:
        """Bits per weight in memory; layers with region precision also store a low-width copy of each weight."""
        return self.w_bits + (self.low_bits or 0)


def conv_product(channels: int, filters: int, height: int, width: int, geometry: Geometry = POINTWISE) -> Product:
    """Return the product of a convolution with 8-bit operands; `channels` and `filters` count all groups.

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
    """Return the matrix product of a convolution, linear or matmul layer of `network`, or of a width group."""
    if layer.weight is None:
        return _activations_product(network, layer)
    source, region = layer.inputs[0], layer.region
    shape, output = network.shapes[source], network.shapes[layer.name]
    filters, groups = layer.weight.codes.shape[0], layer.geometry.groups
    regions = 0
    if region:
        regions = ceil_div(shape[1], region.height) * ceil_div(shape[2], region.width)
        regions *= shape[0] if region.per_channel else 1
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
    """Return the product of two activations; the second operand takes the place of weights, one per leading index."""
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
        second_is_weight=False,
    )
