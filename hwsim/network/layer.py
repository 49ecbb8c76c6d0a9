"""One integer layer: what it computes, with every rounding and overflow policy written in it.

Arrays are laid out as in torch: activations [sample, channel, row, column] or [sample, feature],
convolution weights [filter, channel of its group, row, column], linear weights [output, input].
The semantics are called HQ1; `hwsim.reference` computes them in plain numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, HwsimError
from hwsim.formats import Format, QTensor

VERSION = "HQ1"
INPUT = "input"
"""The name by which layers refer to the network's input."""

Shape = tuple[int, ...]


class Op(StrEnum):
    """What a layer computes. ReLU is no op: it is the lower clip bound of a requantizer."""

    CONV = "conv"
    LINEAR = "linear"
    MAX_POOL = "max_pool"
    AVG_POOL = "avg_pool"
    GLOBAL_AVG_POOL = "global_avg_pool"
    ADD = "add"
    FLATTEN = "flatten"


class Rounding(StrEnum):
    """How the bits below the binary point leave: half_up adds one half and shifts (ties go up)."""

    HALF_UP = "half_up"


class Overflow(StrEnum):
    """What an accumulator does when a sum does not fit: wrap keeps the low bits (two's complement)."""

    WRAP = "wrap"


@dataclass(frozen=True)
class Accumulator:
    """Width and overflow policy of the sum of products, bias included."""

    bits: int = 32
    overflow: Overflow = Overflow.WRAP

    def __post_init__(self) -> None:
        if self.bits != 32:
            raise BadInput("accumulator.bits", self.bits, "32")


@dataclass(frozen=True)
class Geometry:
    """Window, stride, zero padding (all sides of an axis alike) and groups of a convolution or pool."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns that come out of an input of `height` x `width`.

        >>> Geometry((3, 3), (2, 2), (1, 1)).output_size(8, 8)
        (4, 4)
        """
        h = (height + 2 * self.padding[0] - self.kernel[0]) // self.stride[0] + 1
        w = (width + 2 * self.padding[1] - self.kernel[1]) // self.stride[1] + 1
        return h, w


INT32 = Accumulator()
"""The 32-bit accumulator that wraps: sums do not depend on their order, hence not on the dataflow."""

POINTWISE = Geometry()
"""The geometry of layers that have no window."""


@dataclass(frozen=True, eq=False)
class Requantizer:
    """y = clip(((acc * multiplier + 2^(shift-1)) >> shift) + zero point, low, high).

    `multiplier` (below 2^31) and `shift` (0 to 62) are int64: one entry per output channel, or one
    for all; a residual add has one multiplier per operand and one common shift. The zero point is
    that of the layer's output format; `low` above the format's smallest code is a ReLU.
    """

    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]
    low: int
    high: int
    rounding: Rounding = Rounding.HALF_UP


FRACTION_BITS = 4
"""A region's threshold is an integer in units of 2^-FRACTION_BITS codes."""


@dataclass(frozen=True, eq=False)
class Region:
    """DRQ-style dynamic precision of a convolution's input, decided on integer codes.

    A `height` x `width` region of the input map is sensitive when, summed over it and over all
    channels, `2^FRACTION_BITS * sum(codes) >= threshold * number of codes`. Sensitive codes meet the
    layer's weights at full width. Others are rounded to `low_bits`
    (`min((code + half) >> drop, 2^low_bits - 1)` with `drop = input bits - low_bits`), meet
    `low_weight`, and the product is shifted left by `drop + weight bits - low_bits` into the same
    accumulator. The region that counts is that of the *input* pixel of each kernel tap; padding is
    zero and belongs to no region. Regions at the right and lower edge may be smaller.
    """

    height: int
    width: int
    threshold: int
    low_weight: NDArray[np.integer]
    low_bits: int = 4


@dataclass(frozen=True, eq=False)
class Layer:
    """One integer layer. `output` is the format of the codes it emits, `scale` its real unit (metadata)."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    output: Format
    scale: float = 1.0
    weight: QTensor | None = None
    bias: NDArray[np.int64] | None = None
    requantizer: Requantizer | None = None
    geometry: Geometry = POINTWISE
    region: Region | None = None
    accumulator: Accumulator = INT32

    @property
    def has_macs(self) -> bool:
        """True for the layers that the PE array runs."""
        return self.op in (Op.CONV, Op.LINEAR)


def output_shape(layer: Layer, inputs: list[Shape]) -> Shape:
    """Shape of one sample after `layer`; raises HwsimError when the inputs do not fit it."""
    first = inputs[0]
    match layer.op:
        case Op.FLATTEN:
            return (math.prod(first),)
        case Op.ADD:
            if len(inputs) != 2 or inputs[0] != inputs[1]:
                raise HwsimError(f"layer {layer.name!r}: add needs two inputs of one shape, got {inputs}")
            return first
        case Op.LINEAR:
            assert layer.weight is not None
            outputs, features = layer.weight.codes.shape
            if first != (features,):
                raise HwsimError(f"layer {layer.name!r}: weights want {features} features, the input has shape {first}")
            return (outputs,)
    if len(first) != 3:
        raise HwsimError(f"layer {layer.name!r}: {layer.op} needs [channel, row, column], the input has shape {first}")
    channels, height, width = first
    if layer.op is Op.GLOBAL_AVG_POOL:
        return (channels, 1, 1)
    height, width = layer.geometry.output_size(height, width)
    if height < 1 or width < 1:
        raise HwsimError(f"layer {layer.name!r}: the window {layer.geometry.kernel} is larger than the map {first}")
    if layer.op is Op.CONV:
        assert layer.weight is not None
        filters, per_group = layer.weight.codes.shape[:2]
        if per_group * layer.geometry.groups != channels or filters % layer.geometry.groups:
            raise HwsimError(
                f"layer {layer.name!r}: {filters} filters of {per_group} channels in {layer.geometry.groups} groups "
                f"do not fit an input of {channels} channels"
            )
        channels = filters
    return (channels, height, width)
