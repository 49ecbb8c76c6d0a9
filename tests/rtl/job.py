"""What the circuit is asked to do: one matrix product in values, and how it is cut into folds and words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.rtl.build import DRQ, Array

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Mode:
    """Widths (2, 4 or 8 bits) and signs of the operands of a fused PE."""

    w_bits: int = 8
    a_bits: int = 8
    w_signed: bool = True
    a_signed: bool = False

    @property
    def lanes(self) -> int:
        """Products per PE and cycle."""
        return 64 // (self.w_bits * self.a_bits)


WIDE = Mode()
"""a8 by w8, unsigned by signed: the only mode of a DRQ PE."""

MODES = [Mode(w, a, ws, sa) for w in (2, 4, 8) for a in (2, 4, 8) for ws in (False, True) for sa in (False, True)]


@dataclass(frozen=True, eq=False)
class Emission:
    """From accumulators to codes; multiplier and shift are int64 [N]."""

    multiplier: Ints
    shift: Ints
    zero_point: int = 0
    low: int = -128
    high: int = 127


@dataclass(frozen=True, eq=False)
class Job:
    """out [M, N] = a [M, K] @ w [K, N] + bias [N], as one layer on `array`.

    On a DRQ array `mask` [M, K] says which operands are sensitive; the others are rounded to 4 bits
    and meet `w_low` [K, N]. The array looks at one mask bit per row, so do the operands here.
    `hold` [n fold, k fold, M] is for how many cycles a_ready is low before each wavefront.
    """

    array: Array
    a: Ints
    w: Ints
    bias: Ints
    emission: Emission
    hold: Ints
    mode: Mode = WIDE
    mask: NDArray[np.bool_] | None = None
    w_low: Ints | None = None

    @property
    def pixels(self) -> int:
        """M, the wavefronts of a tile."""
        return len(self.a)

    @property
    def depth(self) -> int:
        """Part of K that one k fold takes."""
        return self.array.rows * (1 if self.array.kind == DRQ else self.mode.lanes)

    @property
    def k_folds(self) -> int:
        """Tiles along the reduction."""
        return -(-self.w.shape[0] // self.depth)

    @property
    def n_folds(self) -> int:
        """Tiles along the filters."""
        return -(-self.w.shape[1] // self.array.cols)

    def row_masks(self) -> NDArray[np.bool_]:
        """Mask bits of the rows [k fold, M, row], none set on a fused array; rows beyond K are not sensitive."""
        mask = np.zeros((self.pixels, self.k_folds * self.depth), dtype=np.bool_)
        if self.mask is not None:
            mask[:, : self.mask.shape[1]] = self.mask
        lanes = mask.reshape(self.pixels, self.k_folds, self.array.rows, -1)
        return lanes.any(axis=-1).transpose(1, 0, 2)

    def a_words(self) -> NDArray[np.uint32]:
        """Activation words [k fold, M, row]; what K lacks is filled with zeros."""
        a = np.zeros((self.pixels, self.k_folds * self.depth), dtype=np.int64)
        a[:, : self.a.shape[1]] = self.a
        lanes = a.reshape(self.pixels, self.k_folds, self.array.rows, -1)
        return packed(lanes, self.mode.a_bits).transpose(1, 0, 2)

    def w_words(self) -> NDArray[np.uint32]:
        """Weight words [n fold, k fold, row, column]; what K and N lack is filled with zeros."""
        words = self._tiles(self.w, self.mode.w_bits)
        return words if self.w_low is None else words | self._tiles(self.w_low, 4) << np.uint32(8)

    def _tiles(self, w: Ints, bits: int) -> NDArray[np.uint32]:
        padded = np.zeros((self.k_folds * self.depth, self.n_folds * self.array.cols), dtype=np.int64)
        padded[: w.shape[0], : w.shape[1]] = w
        tiles = padded.reshape(self.k_folds, self.array.rows, -1, self.n_folds, self.array.cols)
        return packed(tiles.transpose(3, 0, 1, 4, 2), bits)

    def by_column(self, values: Ints) -> NDArray[np.uint32]:
        """One value per filter [N] as words [n fold, column], zeros where there is no filter."""
        padded = np.zeros(self.n_folds * self.array.cols, dtype=np.int64)
        padded[: len(values)] = values
        return (padded & 0xFFFFFFFF).astype(np.uint32).reshape(self.n_folds, self.array.cols)


def packed(lanes: Ints, bits: int) -> NDArray[np.uint32]:
    """Words of the values along the last axis, lane l at bit l * bits, in two's complement.

    >>> packed(np.array([1, -1]), 4).item()
    241
    """
    fields = (lanes & ((1 << bits) - 1)) << (bits * np.arange(lanes.shape[-1]))
    words: NDArray[np.uint32] = fields.sum(axis=-1).astype(np.uint32)
    return words
