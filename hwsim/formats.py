"""What an integer code is: Format; and an array of codes with its format: QTensor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput


class Kind(StrEnum):
    """How a stored code becomes the integer that a PE multiplies.

    uniform: the code itself, less the zero point. binary: codes 0 and 1 mean -1 and +1.
    """

    UNIFORM = "uniform"
    BINARY = "binary"


@dataclass(frozen=True)
class Format:
    """Width and meaning of integer codes (HQ1: 1 to 16 bits; up to 48 for raw accumulators).

    `narrow` drops the most negative code of a signed format, so that the range is symmetric.

    >>> Format(4, signed=True).qmin, Format(4, signed=True, narrow=True).qmin, Format(8).qmax
    (-8, -7, 255)
    """

    bits: int
    signed: bool = False
    narrow: bool = False
    zero_point: int = 0
    kind: Kind = Kind.UNIFORM

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 48:
            raise BadInput("format.bits", self.bits, "1 to 48")
        if self.narrow and not (self.signed and self.bits >= 2):
            raise BadInput("format.narrow", self.narrow, "only signed formats of 2 bits or more")
        if self.kind is Kind.BINARY and (self.bits != 1 or self.signed or self.zero_point):
            raise BadInput("format.kind", "binary", "1 bit, unsigned codes, no zero point")
        if not self.qmin <= self.zero_point <= self.qmax:
            raise BadInput("format.zero_point", self.zero_point, f"{self.qmin} to {self.qmax}")

    @property
    def qmin(self) -> int:
        """Smallest code."""
        return -(1 << (self.bits - 1)) + int(self.narrow) if self.signed else 0

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
    def max_magnitude(self) -> int:
        """Largest |value| that a code can stand for after `decode`."""
        if self.kind is Kind.BINARY:
            return 1
        return max(abs(self.qmin - self.zero_point), abs(self.qmax - self.zero_point))

    def decode(self, codes: NDArray[np.integer]) -> NDArray[np.int64]:
        """The integers that a PE multiplies: int64, same shape as `codes`.

        >>> Format(8, zero_point=3).decode(np.array([3, 5])).tolist()
        [0, 2]
        >>> Format(1, kind=Kind.BINARY).decode(np.array([0, 1])).tolist()
        [-1, 1]
        """
        values = codes.astype(np.int64)
        return 2 * values - 1 if self.kind is Kind.BINARY else values - self.zero_point

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
        return f"binary{zero}" if self.kind is Kind.BINARY else f"{sign}{self.bits}{zero}"


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
