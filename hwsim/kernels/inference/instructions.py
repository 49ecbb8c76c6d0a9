"""Instruction format of a compiled program: MAP (one activation map), STEP (one instruction) and argument tuples.

All activations of a few samples lie in one uint8 array, the arena. A map is channels-last and may have
a border filled with the stored byte of the value zero, so that a convolution needs no special case at
the edges. An activation is stored as `value - low` in one unsigned byte or, beyond eight bits, in two
bytes in two planes of equal layout (low byte first).

A *plane* is one byte of all codes or weights of a map or layer. A *word* is four bytes.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.inference.microkernels import KERNELS

MAP = np.dtype(
    [
        (name, np.int64)
        for name in (
            "origin",  # byte offset of the first channel of pixel (0, 0) of the first sample
            "sample",  # bytes between samples
            "row",  # bytes between rows
            "pixel",  # bytes between pixels of a row
            "plane",  # bytes between the low and the high byte of a code
            "planes",  # bytes per code: 1 or 2
            "low",  # value of a stored zero
            "unit",  # difference of neighboring codes' values (2 in formats without zero)
            "height",
            "width",
            "channels",
        )
    ]
)
"""Layout of one activation map in the arena."""


class StepKind(IntEnum):
    """Operation of a step."""

    GEMM = auto()  # convolution or linear layer by register blocks
    DEPTHWISE = auto()  # convolution with one filter per channel, by vectors of channels
    GEMM_INT64 = auto()  # convolution or linear layer by scalar products in int64: any width and overflow policy
    MAX_POOL = auto()
    SUM_POOL = auto()  # average pool: window sums, then the requantizer
    ADD = auto()
    RESCALE = auto()  # one operand of a concatenation
    GATHER = auto()  # change of layout
    PACK_BITS = auto()  # codes of -1 and +1 to bits
    SPLIT_REGIONS = auto()  # region precision: sensitive regions, fine and coarse codes in two planes
    MATMUL = auto()
    SOFTMAX = auto()
    LAYER_NORM = auto()


class Epilogue(IntEnum):
    """Processing of a step's sums before they are stored."""

    BYTES = auto()  # by vectors: requantize half up to codes of one byte
    BYTES_ADD = auto()  # BYTES, then a residual add
    WIDE = auto()  # by vectors of 64 bits: join planes, requantize half up to codes of one or two bytes
    CODES = auto()  # scalar: any rounding, thresholds, any width
    INT32 = auto()  # by vectors: raw sums modulo 2^32 of a feature vector
    LOGITS = auto()  # scalar: raw sums


class OverflowPolicy(IntEnum):
    """Treatment of sums that exceed their accumulator."""

    NONE = auto()  # no sum exceeds it (proved), or it has 32 bits and wraps as int32 does
    WRAP = auto()
    SATURATE = auto()
    SATURATE_STEP = auto()


STEP = np.dtype(
    [
        (name, np.int64)
        for name in (
            "kind",  # StepKind
            "x",  # index of the MAP of the first operand
            "other",  # index of the MAP of the second operand
            "y",  # index of the MAP of the result
            "kernel_h",
            "kernel_w",
            "stride_h",
            "stride_w",
            "pad_h",
            "pad_w",
            "dilation_h",
            "dilation_w",
            "groups",
            "filters",  # per group
            "depth",  # input channels per group
            "block",  # index into BLOCKS
            "block_groups",  # pixel groups of that register block
            "vectors",  # vectors of channels of that register block
            "segments",  # offset in `longs` of rows (byte offset, plane, words)
            "segment_count",
            "split",  # 1 where the planes of x contain fine and coarse codes, not low and high bytes
            "weights",  # offset in `weights`
            "weight_bytes",  # bytes of one block of channels and one plane
            "weight_planes",
            "epilogue",  # Epilogue
            "bias",  # offset in `longs`, in the channel order of the register blocks
            "bias32",  # offset in `ints`
            "multiplier",  # offset in `longs`
            "multiplier32",  # offset in `ints`
            "half",  # offset in `longs`: rounding constants added before the shift
            "shift",  # offset in `longs`
            "scalars",  # offset in `longs`: see `microkernels.Requantization`
            "rounding",  # index into the members of Rounding
            "zero",  # output zero point, as a code
            "code_low",  # clip bounds
            "code_high",
            "first_code",  # smallest code of the output format: stored as zero
            "levels",  # offset in `longs` of thresholds [level, channel]
            "level_count",  # number of levels; 0 for a requantizer with multipliers
            "channels",
            "overflow",  # OverflowPolicy
            "accumulator_bits",
            "table",  # offset in `longs` of a table that depends on the kind
            "table_size",
            "one",  # softmax: code of probability 1, less the zero point
            "region_h",
            "region_w",
            "per_channel",  # 1 where each channel of a region has a decision of its own
            "threshold",
            "low_bits",
            "drop",  # bits removed from coarse codes
            "mask",  # offset of the first decision in a row of `masks`
            "fraction_bits",
            "norm_bits",
            "root_bits",
        )
    ]
)
"""One instruction; fields that its kind does not read are 0."""

BLOCKS = tuple(
    (name, *shape)
    for name in (*KERNELS, "xnor")
    for shape in (((4, 1), (2, 2)) if name == "vnni" else ((2, 2),) if name == "xnor" else ((1, 1),))
)
"""(instruction, pixel groups, vectors of channels) of every register block for this CPU."""


class Constants(NamedTuple):
    """Constants of a program; steps contain offsets into these flat arrays.

    Attributes
    ----------
    longs : int64 constants
    ints : int32 constants
    floats : float32 view of `ints`
    weights : int8 weight bytes, at an aligned address
    """

    longs: NDArray[np.int64]
    ints: NDArray[np.int32]
    floats: NDArray[np.float32]
    weights: NDArray[np.int8]


class Batch(NamedTuple):
    """Inputs and outputs of one run.

    Attributes
    ----------
    samples : number of samples
    chunk : number of samples that share an arena
    codes : int32 [sample * size], flat input codes; empty where `codes8` is used
    codes8 : uint8 [sample * size], flat input codes; empty where `codes` is used
    strides : int64 [3], strides of row, column and channel in the flat codes of one sample
    first_code : smallest code of the input format
    logits : int32 [sample * outputs], flat outputs
    masks : bool [sample, decision], region decisions
    """

    samples: int
    chunk: int
    codes: NDArray[np.int32]
    codes8: NDArray[np.uint8]
    strides: NDArray[np.int64]
    first_code: int
    logits: NDArray[np.int32]
    masks: NDArray[np.bool_]


class Captures(NamedTuple):
    """Values whose codes a run copies out of the arena; see `engine.activation_capture`.

    Attributes
    ----------
    records : int64 [value, 5] of (map index, smallest code, first byte in `buffer`, bytes per sample, bytes per code)
    buffer : uint8 destination
    """

    records: NDArray[np.int64]
    buffer: NDArray[np.uint8]

    def after(self, samples: int) -> Captures:
        """Return the captures of a part of the batch that follows the first `samples`."""
        records = self.records.copy()
        records[:, 2] += samples * records[:, 3]
        return Captures(records, self.buffer)


class Share(NamedTuple):
    """Part of a step that one thread computes: number `part` of `parts` equal parts of all `samples`."""

    samples: int
    part: int
    parts: int
