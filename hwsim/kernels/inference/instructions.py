"""The words in which a compiled program is written: where a map of codes lies, and what a step does.

All activations of a few samples lie in one array of bytes, the arena. A map is channels-last and may
have a border, filled with the byte of the value zero, so that a convolution needs no special case at
its edges. What is stored is `value - low` as an unsigned byte, or, for codes beyond eight bits, as
two bytes in two planes of the same layout (low byte first).
"""

from __future__ import annotations

from enum import IntEnum, auto

import numpy as np

from hwsim.kernels.inference.microkernels import KERNELS

MAP = np.dtype(
    [
        (name, np.int64)
        for name in (
            "origin",  # byte of the first channel of pixel (0, 0) of the first sample
            "image",  # bytes from one sample to the next
            "row",  # from one row to the next
            "pixel",  # from one pixel to the next
            "plane",  # from the low to the high byte of a code
            "planes",  # bytes per code: 1 or 2
            "low",  # value of a stored zero
            "unit",  # difference of two neighbouring codes' values (2 where there is no zero)
            "height",
            "width",
            "channels",
        )
    ]
)


class Kind(IntEnum):
    """What a step does."""

    PRODUCT = auto()  # convolution or linear layer by register tiles
    DEPTHWISE = auto()  # one filter per channel, by vectors of channels
    EXACT = auto()  # convolution, linear or matmul one product at a time: any width, any overflow policy
    MAX_POOL = auto()
    SUM_POOL = auto()  # an average pool before its requantizer
    ADD = auto()
    RESCALE = auto()  # one operand of a concatenation
    GATHER = auto()  # change of layout
    PACK = auto()  # codes of -1 and +1 as bits
    SPLIT = auto()  # region precision: decide, and write fine and coarse codes side by side
    MATMUL = auto()
    SOFTMAX = auto()
    LAYER_NORM = auto()


class Emit(IntEnum):
    """How sums leave a step."""

    BYTES = auto()  # by vectors: half up, one byte per code
    BYTES_ADD = auto()  # the same, and then a residual add
    WIDE = auto()  # by vectors of 64 bits: half up, sums in planes, codes of one or two bytes
    CODES = auto()  # one at a time: any rounding, thresholds, any width
    INTS = auto()  # raw, by vectors: sums modulo 2^32 of a feature vector
    LOGITS = auto()  # raw, one at a time


class Fit(IntEnum):
    """What becomes of a sum that does not fit its accumulator."""

    NOTHING = auto()  # proved to fit, or 32 bits that wrap by themselves
    WRAP = auto()
    SATURATE = auto()
    SATURATE_STEP = auto()


STEP = np.dtype(
    [
        (name, np.int64)
        for name in (
            "kind",
            "x",  # maps of the operands and of the result, by index
            "other",
            "y",
            "kernel_h",
            "kernel_w",
            "stride_h",
            "stride_w",
            "pad_h",
            "pad_w",
            "dilation_h",
            "dilation_w",
            "groups",
            "filters",  # of one group
            "depth",  # input channels of one group
            "tile",  # index into TILES
            "tile_groups",  # pixel groups and vectors of that tile
            "vectors",
            "segments",  # place in `words` of (offset, plane, four-byte words), and their number
            "segment_count",
            "split",  # 1 where the planes of x are fine and coarse codes, not low and high bytes
            "weights",  # place in `weights`, bytes of one tile of channels, planes
            "weight_bytes",
            "weight_planes",
            "emit",
            "bias",  # place in `words`, in order of the channels as the tiles have them
            "bias32",  # place in `ints`
            "multiplier",  # place in `words`
            "multiplier32",  # place in `ints`
            "half",  # place in `words`: what to add before the shift
            "shift",  # place in `words`
            "scalars",  # place in `words`: see `tiles.emit`
            "rounding",  # index into the members of Rounding
            "zero",  # output zero point, as a code
            "code_low",  # clip
            "code_high",
            "first_code",  # smallest code of the output format: stored as zero
            "levels",  # place in `words` of thresholds [level, channel], their number (0 where a multiplier stands)
            "level_count",
            "channels",
            "fit",
            "fit_bits",
            "table",  # place in `words` of whatever else a step needs, and its length
            "table_size",
            "one",
            "region_h",
            "region_w",
            "per_channel",  # 1 where each channel of a region decides for itself
            "threshold",
            "low_bits",
            "drop",
            "mask",  # first decision in a row of `masks`
            "fraction_bits",
            "norm_bits",
            "root_bits",
        )
    ]
)

TILES = tuple(
    (name, *shape)
    for name in (*KERNELS, "xnor")
    for shape in (((4, 1), (2, 2)) if name == "vnni" else ((2, 2),) if name == "xnor" else ((1, 1),))
)
"""(multiply-add, pixel groups, vectors of channels) of every tile that this CPU has."""
