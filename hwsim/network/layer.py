"""Integer layer: operation, weights, and all rounding and overflow policies.

Arrays have torch's layout: activations [sample, channel, row, column] or [sample, ..., feature], convolution weights
[filter, channel of its group, row, column], linear weights [output, input]. The semantics of the integers are HQ1
(docs/hq1.md); `hwsim.reference` computes them in plain numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.formats import Format, QTensor

SEMANTICS = "HQ1"
"""Name of the integer semantics: hwsim quantization, version 1."""

INPUT = "input"
"""Name of the network's input in the `inputs` of a layer."""

Shape = tuple[int, ...]


class Op(StrEnum):
    """Operation of a layer. A ReLU is the lower clip bound of a requantizer, not an operation."""

    CONV = "conv"
    LINEAR = "linear"
    MATMUL = "matmul"
    MAX_POOL = "max_pool"
    AVG_POOL = "avg_pool"
    GLOBAL_AVG_POOL = "global_avg_pool"
    ADD = "add"
    CONCAT = "concat"
    SOFTMAX = "softmax"
    LAYER_NORM = "layer_norm"
    FLATTEN = "flatten"
    RESHAPE = "reshape"
    TRANSPOSE = "transpose"


class Rounding(StrEnum):
    """Rounding rule of a division by a power of two.

    Attributes
    ----------
    HALF_UP : nearest, ties toward plus infinity (add one half and shift; AP_RND)
    HALF_EVEN : nearest, ties to even (AP_RND_CONV)
    HALF_AWAY : nearest, ties away from zero (AP_RND_INF)
    FLOOR : toward minus infinity (AP_TRN)
    TRUNC : toward zero (AP_TRN_ZERO)
    GEMMLOWP_DOUBLE : HALF_UP at bit 31, then HALF_AWAY for the remaining bits, the two roundings of TFLite's reference
        kernels
    F32_HALF_EVEN : the accumulator, as a float32, times a float32 scale whose bits are the multiplier; the float32
        product is rounded half to even (onnxruntime)
    """

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    HALF_AWAY = "half_away"
    FLOOR = "floor"
    TRUNC = "trunc"
    GEMMLOWP_DOUBLE = "gemmlowp_double"
    F32_HALF_EVEN = "f32_half_even"

    @property
    def one_step(self) -> bool:
        """True for rules that are one integer division by a power of two."""
        return self not in (Rounding.GEMMLOWP_DOUBLE, Rounding.F32_HALF_EVEN)


class Overflow(StrEnum):
    """Policy of an accumulator for sums beyond its width.

    Attributes
    ----------
    WRAP : keep the low bits (two's complement); the result does not depend on the order of the sum
    SATURATE_END : saturate the exact sum, bias included, once, when it leaves the array
    SATURATE_STEP : start at the saturated bias and saturate after every product, in the order (kernel row, kernel
        column, channel) of the reduction, which is the order of both dataflows
    CHECK : accept the network only if its weights prove that no sum can overflow
    """

    WRAP = "wrap"
    SATURATE_END = "saturate_end"
    SATURATE_STEP = "saturate_step"
    CHECK = "check"


@dataclass(frozen=True)
class Accumulator:
    """Accumulator of the sum of products, bias included: width (8 to 48 bits, two's complement) and overflow policy."""

    bits: int = 32
    overflow: Overflow = Overflow.WRAP

    def __post_init__(self) -> None:
        if not 8 <= self.bits <= 48:
            raise BadInput("accumulator.bits", self.bits, "8 to 48")

    @property
    def low(self) -> int:
        """Smallest value of the accumulator."""
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """Largest value of the accumulator."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True)
class Geometry:
    """Window of a convolution or pool.

    Attributes
    ----------
    kernel : rows and columns of the kernel
    stride : rows and columns
    padding : zero padding, rows above and columns left
    groups : groups of channels
    dilation : rows and columns
    padding_end : zero padding, rows below and columns right; equal to `padding` if None
    """

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    dilation: tuple[int, int] = (1, 1)
    padding_end: tuple[int, int] | None = None

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Rows above and below, columns left and right."""
        (top, left), (bottom, right) = self.padding, self.padding_end or self.padding
        return top, bottom, left, right

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the rows and columns of the output for an input of `height` x `width`.

        >>> Geometry((3, 3), (2, 2), (1, 1)).output_size(8, 8)
        (4, 4)
        >>> Geometry((3, 3), (2, 2), (0, 0), padding_end=(1, 1), dilation=(2, 1)).output_size(8, 8)
        (3, 4)
        """
        top, bottom, left, right = self.pads
        h = height + top + bottom - self.dilation[0] * (self.kernel[0] - 1) - 1
        w = width + left + right - self.dilation[1] * (self.kernel[1] - 1) - 1
        return h // self.stride[0] + 1, w // self.stride[1] + 1


INT32 = Accumulator()
"""Wrapping 32-bit accumulator: sums depend neither on their order nor on the dataflow."""

POINTWISE = Geometry()
"""Geometry of layers without a window."""


@dataclass(frozen=True, eq=False)
class Requantizer:
    """Requantizer by multiplier and shift: y = clip(round(acc * multiplier / 2^shift) + zero point, low, high).

    The product of accumulator and multiplier has at most 63 bits. The zero point is the zero point of the layer's
    output format.

    Attributes
    ----------
    multiplier : int64 [channel] or [1], below 2^31; [operand] in a concatenation and a residual add; the bits of a
        float32 scale under F32_HALF_EVEN
    shift : int64, 0 to 62, of the shape of the multiplier; [1] in a residual add; 0 under F32_HALF_EVEN
    low, high : clip bounds; a `low` above the smallest code of the format is a ReLU
    rounding : rounding rule
    """

    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]
    low: int
    high: int
    rounding: Rounding = Rounding.HALF_UP


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Requantizer by thresholds: y = low + number of levels that the accumulator reaches (FINN's MultiThreshold).

    Every monotone requantizer of few bits, folded batch norms included, has this form.

    Attributes
    ----------
    levels : int64 [channel, count] or [1, count], not decreasing along a row, count at most 255
    low : output code of a sum below all levels; the zero point of the output format is not added
    """

    levels: NDArray[np.int64]
    low: int


@dataclass(frozen=True, eq=False)
class Softmax:
    """Integer softmax over the last axis: y = clip(round_half_up(one * weight / sum of weights) + zero point).

    Attributes
    ----------
    table : int64 [distance]; weight of an operand that is `distance` codes below the largest of its row; the weight is
        0 beyond the table
    one : code of the probability 1, without the zero point (256 with zero point -128 is the int8 format of TFLite)
    """

    table: NDArray[np.int64]
    one: int


NORM_BITS = 12
"""Fraction bits of a normalized value inside a layer norm."""

ROOT_BITS = 16
"""Bits appended to a variance before its integer square root; an even number."""

FRACTION_BITS = 4
"""Fraction bits of the threshold of a region."""


@dataclass(frozen=True, eq=False)
class Region:
    """Dynamic precision by region of a convolution's input (DRQ), decided on integer codes.

    A region of the input map is sensitive if `2^FRACTION_BITS * sum(codes) >= threshold * number of codes`, summed over
    the region and all channels. Sensitive codes are multiplied by the layer's weights at full width. Other codes are
    rounded to `min(round(code / 2^drop), 2^low_bits - 1)` with `drop = input bits - low_bits` and multiplied by
    `low_weight`; the product is shifted left by `drop + weight bits - low_bits` into the same accumulator. The region
    of a product is the region of its *input* pixel. Padding is zero and belongs to no region. Regions at the right and
    lower edge may be smaller.

    Attributes
    ----------
    height, width : size of a region in input pixels
    threshold : mean code of a sensitive region, with FRACTION_BITS fraction bits
    low_weight : integers of `low_bits`, of the shape of the layer's weights
    low_bits : width of the low precision
    rounding : rounding rule of the low-precision codes
    per_channel : decide each channel alone, by the sum and the number of its own codes
    """

    height: int
    width: int
    threshold: int
    low_weight: NDArray[np.integer]
    low_bits: int = 4
    rounding: Rounding = Rounding.HALF_UP
    per_channel: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """One integer layer.

    Attributes
    ----------
    name : unique name
    op : operation
    inputs : names of the layers whose output it reads; INPUT is the network's input
    output : format of its output codes
    scale : real value of one unit of the output; metadata
    weight : weights of a convolution, linear layer or layer norm
    bias : int64 [channel] in units of the accumulator, for layers with weights
    requantizer : conversion of sums to output codes; None in the last layer and in layers without sums
    geometry : window of a convolution or pool
    region : dynamic precision of a convolution
    accumulator : accumulator of the sums
    softmax : rule of a softmax
    shape : shape of one sample after a reshape
    axes : order of the axes of a sample in a transpose
    filter_bits : width of each filter where some are narrower than the weight format; affects time and energy, no code
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    output: Format
    scale: float = 1.0
    weight: QTensor | None = None
    bias: NDArray[np.int64] | None = None
    requantizer: Requantizer | Thresholds | None = None
    geometry: Geometry = POINTWISE
    region: Region | None = None
    accumulator: Accumulator = INT32
    softmax: Softmax | None = None
    shape: Shape = ()
    axes: tuple[int, ...] = ()
    filter_bits: tuple[int, ...] = ()

    @property
    def has_macs(self) -> bool:
        """True for layers that run on the PE array."""
        return self.op in (Op.CONV, Op.LINEAR, Op.MATMUL)

    @property
    def accumulates(self) -> bool:
        """True for layers that sum in an accumulator."""
        return self.has_macs or self.op in (Op.AVG_POOL, Op.GLOBAL_AVG_POOL, Op.LAYER_NORM)

    @property
    def has_weights(self) -> bool:
        """True for layers with weights and a bias."""
        return self.op in (Op.CONV, Op.LINEAR, Op.LAYER_NORM)

    @property
    def channel_axis(self) -> int:
        """Channel axis of [sample, ...]: the axis of multipliers, levels and biases."""
        return 1 if self.op in (Op.CONV, Op.AVG_POOL, Op.GLOBAL_AVG_POOL) else -1


def along_channels(values: NDArray[np.int64], layer: Layer, ndim: int) -> NDArray[np.int64]:
    """Reshape `values` [channel] or [1] to broadcast against an array [sample, ...] of `ndim` axes."""
    after = ndim - 2 if layer.channel_axis == 1 else 0
    return values.reshape(-1, *(1,) * after)


def keeps_format(layer: Layer) -> bool:
    """Return True for layers whose output codes are codes of their input."""
    return layer.op in (Op.MAX_POOL, Op.FLATTEN, Op.RESHAPE, Op.TRANSPOSE)
