"""One integer layer: what it computes, with every rounding and overflow policy written in it.

Arrays are laid out as in torch: activations [sample, channel, row, column] or [sample, ..., feature],
convolution weights [filter, channel of its group, row, column], linear weights [output, input].
The semantics are called HQ1; `hwsim.reference` computes them in plain numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.formats import Format, QTensor

VERSION = "HQ1"
INPUT = "input"
"""The name by which layers refer to the network's input."""

Shape = tuple[int, ...]


class Op(StrEnum):
    """What a layer computes. ReLU is no op: it is the lower clip bound of a requantizer."""

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
    """How the bits below the binary point leave.

    half_up: to the nearest, ties toward plus infinity (add one half and shift; AP_RND). half_even:
    ties to the even neighbour (AP_RND_CONV). half_away: ties away from zero (AP_RND_INF). floor:
    toward minus infinity (AP_TRN). trunc: toward zero (AP_TRN_ZERO). gemmlowp_double: half_up at bit
    31, then half_away for the rest, as TFLite's reference kernels round twice. f32_half_even: not an
    integer rule: the accumulator becomes a float32, meets a float32 scale whose bits stand in
    `multiplier`, and the float32 product is rounded to the even neighbour (onnxruntime).
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
        """True for the rules that are one integer division by a power of two."""
        return self not in (Rounding.GEMMLOWP_DOUBLE, Rounding.F32_HALF_EVEN)


class Overflow(StrEnum):
    """What an accumulator does when a sum does not fit.

    wrap: keeps the low bits (two's complement); sums then do not depend on their order. saturate_end:
    the exact sum, bias included, is saturated once, when it leaves the array. saturate_step: starts at
    the bias and saturates after every product, in the order (kernel row, kernel column, channel) of
    the reduction, in which both dataflows add. check: the network is refused unless its weights prove
    that no sum can overflow.
    """

    WRAP = "wrap"
    SATURATE_END = "saturate_end"
    SATURATE_STEP = "saturate_step"
    CHECK = "check"


@dataclass(frozen=True)
class Accumulator:
    """Width (8 to 48 bits, two's complement) and overflow policy of the sum of products, bias included."""

    bits: int = 32
    overflow: Overflow = Overflow.WRAP

    def __post_init__(self) -> None:
        if not 8 <= self.bits <= 48:
            raise BadInput("accumulator.bits", self.bits, "8 to 48")

    @property
    def low(self) -> int:
        """Smallest sum that fits."""
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """Largest sum that fits."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True)
class Geometry:
    """Window, stride, zero padding, groups and dilation of a convolution or pool.

    `padding` is (rows above, columns left); `padding_end` is (rows below, columns right), the same
    as `padding` when not given.
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
        """Rows and columns that come out of an input of `height` x `width`.

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
"""The 32-bit accumulator that wraps: sums do not depend on their order, hence not on the dataflow."""

POINTWISE = Geometry()
"""The geometry of layers that have no window."""


@dataclass(frozen=True, eq=False)
class Requantizer:
    """y = clip(round(acc * multiplier / 2^shift) + zero point, low, high).

    `multiplier` (below 2^31) and `shift` (0 to 62) are int64: one entry per output channel, or one
    for all; a concatenation has one of each per operand, a residual add one multiplier per operand
    and one common shift. The product of accumulator and multiplier must fit 63 bits. With rounding
    f32_half_even `multiplier` holds the bits of a float32 scale and `shift` is 0. The zero point is
    that of the layer's output format; `low` above the format's smallest code is a ReLU.
    """

    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]
    low: int
    high: int
    rounding: Rounding = Rounding.HALF_UP


@dataclass(frozen=True, eq=False)
class Thresholds:
    """y = low + the number of levels that the accumulator reaches: the requantizer of FINN's MultiThreshold.

    `levels` int64 [channel, count] or [1, count], not decreasing along a row, at most 255 of them.
    Every monotone requantizer of few bits, folded batch norms included, is one of these. The zero
    point of the output format takes no part: `low` is a code.
    """

    levels: NDArray[np.int64]
    low: int


@dataclass(frozen=True, eq=False)
class Softmax:
    """Integer softmax over the last axis.

    An operand d codes below the largest of its row weighs `table[d]`, and nothing beyond the table's
    end. y = clip(round_half_up(one * weight / sum of weights) + zero point): `one` is the code that
    stands for a probability of 1 (256 and zero point -128 give the int8 format of TFLite).
    """

    table: NDArray[np.int64]
    one: int


NORM_BITS = 12
"""Fraction bits of a normalized value inside a layer norm."""

ROOT_BITS = 16
"""Even number of bits that are appended to a variance before its integer square root."""

FRACTION_BITS = 4
"""A region's threshold is an integer in units of 2^-FRACTION_BITS codes."""


@dataclass(frozen=True, eq=False)
class Region:
    """DRQ-style dynamic precision of a convolution's input, decided on integer codes.

    A `height` x `width` region of the input map is sensitive when, summed over it and over all
    channels, `2^FRACTION_BITS * sum(codes) >= threshold * number of codes`. Sensitive codes meet the
    layer's weights at full width. Others are rounded to `low_bits`
    (`min(round(code / 2^drop), 2^low_bits - 1)` with `drop = input bits - low_bits`), meet
    `low_weight`, and the product is shifted left by `drop + weight bits - low_bits` into the same
    accumulator. The region that counts is that of the *input* pixel of each kernel tap; padding is
    zero and belongs to no region. Regions at the right and lower edge may be smaller.

    With `per_channel` every channel decides for itself, by the sum and the number of its own codes.
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
    """One integer layer. `output` is the format of the codes it emits, `scale` its real unit (metadata).

    `weight` and `bias` (int64, in units of the accumulator) belong to convolutions, linear layers and
    layer norms. `filter_bits` are the widths of the single filters, where some are narrower than the
    weight's format: a matter of time and energy, which no code depends on. `shape` is what a reshape
    makes of a sample, `axes` the order in which a transpose takes the axes of a sample.
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
        """True for the layers that the PE array runs."""
        return self.op in (Op.CONV, Op.LINEAR, Op.MATMUL)

    @property
    def has_weights(self) -> bool:
        """True for the layers that have weights and a bias."""
        return self.op in (Op.CONV, Op.LINEAR, Op.LAYER_NORM)

    @property
    def channel_axis(self) -> int:
        """Axis of [sample, ...] along which multipliers, levels and biases differ."""
        return 1 if self.op in (Op.CONV, Op.AVG_POOL, Op.GLOBAL_AVG_POOL) else -1


def along_channels(values: NDArray[np.int64], layer: Layer, ndim: int) -> NDArray[np.int64]:
    """One value per channel (or one for all), shaped to stand beside an array [sample, ...] of `ndim` axes."""
    after = ndim - 2 if layer.channel_axis == 1 else 0
    return values.reshape(-1, *(1,) * after)


def keeps_format(layer: Layer) -> bool:
    """True for the layers that hand on the codes of their input as they are."""
    return layer.op in (Op.MAX_POOL, Op.FLATTEN, Op.RESHAPE, Op.TRANSPOSE)
