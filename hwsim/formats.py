"""What an integer code is: Format; and an array of codes with its format: QTensor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput


class Kind(StrEnum):
    """How a stored code becomes the integer that a PE multiplies.

    uniform: the code itself, less the zero point. binary: codes 0 and 1 mean -1 and +1. odd: code c
    of b bits means 2c - (2^b - 1), evenly spaced and without a zero (DoReFa, N2UQ). codebook: code c
    means entry c of the format's table, looked up before the multiplier.
    """

    UNIFORM = "uniform"
    BINARY = "binary"
    MIDRISE = "odd"
    CODEBOOK = "codebook"


MAX_CODE_BITS = 16
"""Widest codes of weights and activations (HQ1)."""


@dataclass(frozen=True)
class Format:
    """Width and meaning of integer codes (HQ1: 1 to 16 bits; up to 48 for raw accumulators).

    `narrow` drops the most negative code of a signed format, so that the range is symmetric; with
    2 bits that is ternary. `table` holds the 2^bits integers of a codebook, each of 16 bits.

    >>> Format(4, signed=True).qmin, Format(4, signed=True, narrow_range=True).qmin, Format(8).qmax
    (-8, -7, 255)
    """

    bits: int
    signed: bool = False
    narrow_range: bool = False
    zero_point: int = 0
    kind: Kind = Kind.UNIFORM
    table: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 48:
            raise BadInput("format.bits", self.bits, "1 to 48")
        if self.narrow_range and not (self.signed and self.bits >= 2):
            raise BadInput("format.narrow_range", self.narrow_range, "only signed formats of 2 bits or more")
        if self.kind is Kind.BINARY and (self.bits != 1 or self.signed or self.zero_point):
            raise BadInput("format.kind", "binary", "1 bit, unsigned codes, no zero point")
        if self.kind in (Kind.MIDRISE, Kind.CODEBOOK) and (self.bits > MAX_CODE_BITS or self.signed or self.zero_point):
            raise BadInput(
                "format.kind", str(self.kind), f"at most {MAX_CODE_BITS} bits, unsigned codes, no zero point"
            )
        if len(self.table) != (1 << self.bits if self.kind is Kind.CODEBOOK else 0):
            raise BadInput("format.table", f"{len(self.table)} entries", "2^bits entries for a codebook, else none")
        if any(not -(1 << 15) <= entry < 1 << 15 for entry in self.table):
            raise BadInput("format.table", max(self.table, key=abs), "integers of 16 bits")
        if not self.qmin <= self.zero_point <= self.qmax:
            raise BadInput("format.zero_point", self.zero_point, f"{self.qmin} to {self.qmax}")

    @property
    def qmin(self) -> int:
        """Smallest code."""
        return -(1 << (self.bits - 1)) + int(self.narrow_range) if self.signed else 0

    @property
    def qmax(self) -> int:
        """Largest code."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def dtype(self) -> np.dtype[np.signedinteger]:
        """Smallest signed numpy dtype that holds every code."""
        for dtype in (np.int8, np.int16, np.int32):
            if np.iinfo(dtype).min <= self.qmin and self.qmax <= np.iinfo(dtype).max:
                return np.dtype(dtype)
        return np.dtype(np.int64)

    @property
    def values(self) -> tuple[int, int]:
        """Smallest and largest integer that a code can stand for after `decode`.

        >>> Format(8, zero_point=3).values, Format(2, kind=Kind.ODD).values
        ((-3, 252), (-3, 3))
        """
        match self.kind:
            case Kind.BINARY | Kind.MIDRISE:
                return -self.qmax, self.qmax
            case Kind.CODEBOOK:
                return min(self.table), max(self.table)
        return self.qmin - self.zero_point, self.qmax - self.zero_point

    @property
    def max_magnitude(self) -> int:
        """Largest |value| that a code can stand for after `decode`."""
        return max(map(abs, self.values))

    def decode(self, codes: NDArray[np.integer]) -> NDArray[np.int64]:
        """The integers that a PE multiplies: int64, same shape as `codes`.

        >>> Format(8, zero_point=3).decode(np.array([3, 5])).tolist()
        [0, 2]
        >>> Format(1, kind=Kind.BINARY).decode(np.array([0, 1])).tolist()
        [-1, 1]
        >>> Format(2, kind=Kind.CODEBOOK, table=(-7, -1, 1, 7)).decode(np.array([3, 0])).tolist()
        [7, -7]
        """
        wide = codes.astype(np.int64)
        match self.kind:
            case Kind.BINARY | Kind.MIDRISE:
                return 2 * wide - self.qmax
            case Kind.CODEBOOK:
                return np.array(self.table, dtype=np.int64)[wide]
        return wide - self.zero_point

    def require(self, codes: NDArray[np.integer], where: str) -> None:
        """Raise BadInput, naming `where`, unless every code is an integer inside the format."""
        if not np.issubdtype(codes.dtype, np.integer):
            raise BadInput(where, f"dtype {codes.dtype}", "an integer dtype")
        if codes.size and not (self.qmin <= codes.min() and codes.max() <= self.qmax):
            worst = codes.min() if codes.min() < self.qmin else codes.max()
            raise BadInput(where, int(worst), f"codes {self.qmin} to {self.qmax} ({self})")

    def __str__(self) -> str:
        sign = "int" if self.signed else "uint"
        zero = f", zero point {self.zero_point}" if self.zero_point else ""
        match self.kind:
            case Kind.BINARY:
                return "binary"
            case Kind.MIDRISE | Kind.CODEBOOK:
                return f"{self.kind} of {self.bits} bits"
        return f"{sign}{self.bits}{zero}"


TERNARY = Format(2, signed=True, narrow_range=True)
"""The format of ternary weights: -1, 0 and +1."""

LOGITS = Format(32, signed=True)
"""The format of a network's output: the raw int32 accumulator."""


@dataclass(frozen=True, eq=False)
class QTensor:
    """Integer codes with their format; the real scale is metadata which inference never reads.

    `scale` is one real number, or one per output channel (the first axis of `codes`).
    """

    codes: NDArray[np.integer]
    format: Format
    scale: float | NDArray[np.float64] = 1.0

    def __post_init__(self) -> None:
        self.format.require(self.codes, "tensor")

    def values(self) -> NDArray[np.int64]:
        """The decoded integers, int64."""
        return self.format.decode(self.codes)
