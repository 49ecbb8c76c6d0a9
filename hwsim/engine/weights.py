"""Packed weights and constants in the order that the micro-kernels read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.kernels.inference.microkernels import LANES

Ints = NDArray[np.int64]

MIN_TWO_BYTES, MAX_TWO_BYTES = -128 * 257, 127 * 257
"""Smallest and largest value of two signed bytes, the upper byte times 256."""


@dataclass(frozen=True, eq=False)
class Planes:
    """Weights as planes of signed bytes: a weight is sign * sum of values[plane] * 256^plane.

    Attributes
    ----------
    values : int16 [plane, filter, ...]
    sign : int64 [filter], -1 for a filter that is stored negated because a weight exceeds MAX_TWO_BYTES
    """

    values: NDArray[np.int16]
    sign: Ints


def split_planes(weights: Ints) -> Planes | None:
    """Return weights [filter, ...] in one or two planes of signed bytes; None where two do not suffice.

    >>> split_planes(np.array([[5, 32767]])).values.tolist()
    [[[-5, 1]], [[0, -128]]]
    """
    flat = weights.reshape(len(weights), -1)
    sign = np.ones(len(weights), dtype=np.int64)
    if flat.min(initial=0) >= -128 and flat.max(initial=0) <= 127:
        return Planes(weights[None].astype(np.int16), sign)
    sign[flat.max(axis=1, initial=0) > MAX_TWO_BYTES] = -1
    signed = weights * sign.reshape(-1, *(1,) * (weights.ndim - 1))
    if signed.min() < MIN_TWO_BYTES or signed.max() > MAX_TWO_BYTES:
        return None
    low = ((signed + 128) & 255) - 128
    return Planes(np.stack([low, (signed - low) >> 8]).astype(np.int16), sign)


def pack_blocks(runs: list[NDArray[np.int16]], groups: int, vectors: int) -> NDArray[np.int8]:
    """Return weight bytes int8 [group, block of channels, plane, word, channel, 4], flat.

    `runs` has one array [plane, filter, byte] per segment: the weights of its bytes. The filters of a
    group are padded with zeros to whole register blocks, each run to whole words.
    """
    planes, filters = runs[0].shape[:2]
    width = LANES * vectors
    per_group = filters // groups
    blocks = ceil_div(per_group, width)
    words = []
    for run in runs:
        padded = np.zeros((planes, groups, blocks * width, ceil_div(run.shape[2], 4) * 4), dtype=np.int8)
        padded[:, :, :per_group, : run.shape[2]] = run.reshape(planes, groups, per_group, run.shape[2])
        words.append(padded.reshape(planes, groups, blocks, width, -1, 4).transpose(1, 2, 0, 4, 3, 5))
    return np.ascontiguousarray(np.concatenate(words, axis=3)).reshape(-1)


def per_lane(values: Ints, groups: int, vectors: int, dtype: type[np.signedinteger]) -> NDArray[np.signedinteger]:
    """Return one value per output channel, flat, padded in each group to whole blocks as in `pack_blocks`."""
    width = LANES * vectors
    per_group = len(values) // groups
    padded: NDArray[np.signedinteger] = np.zeros((groups, ceil_div(per_group, width) * width), dtype=dtype)
    padded[:, :per_group] = values.reshape(groups, per_group)
    return padded.reshape(-1)


def even_before_odd(lanes: NDArray[np.signedinteger]) -> NDArray[np.signedinteger]:
    """Return the values with the even channels of each vector before its odd channels, in the order of 64-bit lanes."""
    return lanes.reshape(-1, LANES // 2, 2).transpose(0, 2, 1).reshape(-1)


def pack_bits(signs: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return weights of -1 and +1, [filter, channel, ...], as bits, [filter, byte, ...], 32 channels per word."""
    positive = (signs > 0).astype(np.uint8)
    padded = np.pad(positive, ((0, 0), (0, -signs.shape[1] % 32), *((0, 0),) * (signs.ndim - 2)))
    return np.packbits(padded, axis=1, bitorder="little").view(np.int8).astype(np.int16)
