"""Weights as the register tiles read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.inference.microkernels import LANES

Ints = NDArray[np.int64]

LOWEST, HIGHEST = -128 * 257, 127 * 257
"""Smallest and largest integer that two signed bytes make, the upper one counting 256."""


@dataclass(frozen=True, eq=False)
class Planes:
    """Weights as signed bytes: `values` int16 [plane, ...], to be summed with weights 256^plane and times `sign`.

    `sign` int64 [filter]: two bytes reach lower than they reach high, so that a filter with a weight
    beyond HIGHEST is stored negated.
    """

    values: NDArray[np.int16]
    sign: Ints


def split_planes(weights: Ints) -> Planes | None:
    """One or two planes of signed bytes for weights [filter, ...]; None where these do not suffice.

    >>> split_planes(np.array([[5, 32767]])).values.tolist()
    [[[-5, 1]], [[0, -128]]]
    """
    flat = weights.reshape(len(weights), -1)
    sign = np.ones(len(weights), dtype=np.int64)
    if flat.min(initial=0) >= -128 and flat.max(initial=0) <= 127:
        return Planes(weights[None].astype(np.int16), sign)
    sign[flat.max(axis=1, initial=0) > HIGHEST] = -1
    signed = weights * sign.reshape(-1, *(1,) * (weights.ndim - 1))
    if signed.min() < LOWEST or signed.max() > HIGHEST:
        return None
    low = ((signed + 128) & 255) - 128
    return Planes(np.stack([low, (signed - low) >> 8]).astype(np.int16), sign)


def pack_tiles(runs: list[NDArray[np.int16]], groups: int, vectors: int) -> NDArray[np.int8]:
    """Bytes int8 [group, tile of channels, plane, word, channel, 4], flat.

    `runs` has one array [plane, filter, byte] per segment: the weights that meet its bytes. The
    filters of a group are padded to whole tiles, each run to whole words, with zeros.
    """
    planes, filters = runs[0].shape[:2]
    width = LANES * vectors
    per_group = filters // groups
    tiles = -(-per_group // width)
    words = []
    for run in runs:
        padded = np.zeros((planes, groups, tiles * width, -(-run.shape[2] // 4) * 4), dtype=np.int8)
        padded[:, :, :per_group, : run.shape[2]] = run.reshape(planes, groups, per_group, run.shape[2])
        words.append(padded.reshape(planes, groups, tiles, width, -1, 4).transpose(1, 2, 0, 4, 3, 5))
    return np.ascontiguousarray(np.concatenate(words, axis=3)).reshape(-1)


def per_lane(values: Ints, groups: int, vectors: int, dtype: type[np.signedinteger]) -> NDArray[np.signedinteger]:
    """One value per output channel, padded to whole tiles in each group as `pack_tiles` pads filters."""
    width = LANES * vectors
    per_group = len(values) // groups
    padded: NDArray[np.signedinteger] = np.zeros((groups, -(-per_group // width) * width), dtype=dtype)
    padded[:, :per_group] = values.reshape(groups, per_group)
    return padded.reshape(-1)


def even_before_odd(lanes: NDArray[np.signedinteger]) -> NDArray[np.signedinteger]:
    """Each vector's values with its even channels before its odd ones, as 64-bit lanes take them."""
    return lanes.reshape(-1, LANES // 2, 2).transpose(0, 2, 1).reshape(-1)


def pack_bits(signs: NDArray[np.int16]) -> NDArray[np.int16]:
    """Weights of -1 and +1, [filter, channel, ...], as bytes of bits, [filter, byte, ...], 32 channels to a word."""
    positive = (signs > 0).astype(np.uint8)
    padded = np.pad(positive, ((0, 0), (0, -signs.shape[1] % 32), *((0, 0),) * (signs.ndim - 2)))
    return np.packbits(padded, axis=1, bitorder="little").view(np.int8).astype(np.int16)
