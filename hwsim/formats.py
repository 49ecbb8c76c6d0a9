"""Integer formats: width and meaning of codes (Format), and arrays of codes (QTensor)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput


class Kind(StrEnum):
    """Mapping from a stored code to the integer that a PE multiplies.

    Attributes
    ----------
    UNIFORM : code - zero point
    BINARY : codes 0 and 1 are the values -1 and +1 (*bipolar* in FINN and QONNX)
    MIDRISE : code c of b bits is the value 2c - (2^b - 1): evenly spaced, without zero (DoReFa, N2UQ)
    CODEBOOK : code c is entry c of the format's table, looked up before the multiplier
    """

    UNIFORM = "uniform"
    BINARY = "binary"
    MIDRISE = "midrise"
    CODEBOOK = "codebook"


MAX_CODE_BITS = 16
"""Largest width of weights and activations."""


@dataclass(frozen=True)
class Format:
    """Width and meaning of integer codes.

    Attributes
    ----------
    bits : width, 1 to 16 for weights and activations, up to 48 for raw accumulators
    signed : codes from -2^(bits-1) instead of from 0
    narrow_range : without the most negative code of a signed format, so that the range is symmetric; ternary with
        2 bits
    zero_point : code of the value 0 in a uniform format
    kind : mapping from codes to values
    table : 2^bits signed 16-bit integers of a codebook; empty for other kinds

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
        """Smallest signed numpy dtype that represents every code."""
        for dtype in (np.int8, np.int16, np.int32):
            if np.iinfo(dtype).min <= self.qmin and self.qmax <= np.iinfo(dtype).max:
                return np.dtype(dtype)
        return np.dtype(np.int64)

    @property
    def value_range(self) -> tuple[int, int]:
        """Smallest and largest decoded value.

        >>> Format(8, zero_point=3).value_range, Format(2, kind=Kind.MIDRISE).value_range
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
        """Largest magnitude of a decoded value."""
        return max(map(abs, self.value_range))

    def decode(self, codes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the integers that a PE multiplies, int64 of the shape of `codes`.

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
        """Raise BadInput, with the place `where`, unless every code is an integer inside the format."""
        if not isinstance(codes, np.ndarray) or isinstance(codes, np.ma.MaskedArray):
            raise BadInput(where, f"a {type(codes).__name__}", "a numpy array of integers")
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
"""Format of ternary weights: -1, 0 and +1."""

LOGITS = Format(32, signed=True)
"""Format of a network's output: the raw 32-bit accumulator."""


@dataclass(frozen=True, eq=False)
class QTensor:
    """Integer codes with their format.

    Attributes
    ----------
    codes : integer array of any shape
    format : format of the codes
    scale : real value of one unit, one number or one per output channel (first axis of `codes`); metadata, which
        inference does not read
    """

    codes: NDArray[np.integer]
    format: Format
    scale: float | NDArray[np.float64] = 1.0

    def __post_init__(self) -> None:
        self.format.require(self.codes, "tensor")

    def values(self) -> NDArray[np.int64]:
        """Return the decoded integers, int64."""
        return self.format.decode(self.codes)
