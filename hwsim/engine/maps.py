"""Activation maps of a program, independent of the number of samples that share an arena."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.formats import Format, Kind
from hwsim.kernels.inference.instructions import MAP

ALIGN = 64
SLACK = 64
"""Bytes after each map that kernels may read without using them: they read words of four bytes, or vectors."""

MAX_PLANES = 2
"""Bytes per code that the kernels support."""

OUTPUT = -1
"""Parent index of the map of the [sample, output] array."""


@dataclass(frozen=True)
class Border:
    """Rows and columns of zeros around a map."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def union(self, other: Border) -> Border:
        """Return the smallest border that contains both."""
        return Border(*(max(a, b) for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


NO_BORDER = Border()


@dataclass(frozen=True)
class Map:
    """A channels-last map of one sample.

    Attributes
    ----------
    height, width : pixels
    channels : codes per pixel
    low : value of a stored zero
    unit : difference of neighboring codes' values
    planes : bytes per code
    border : rows and columns of zeros around the map
    parent : for a part of another map, the index of that map and the byte, after its pixel (0, 0), at
        which this map begins; for the [sample, output] array of logits, (OUTPUT, distance of two channels)
    """

    height: int
    width: int
    channels: int
    low: int
    unit: int
    planes: int
    border: Border = NO_BORDER
    parent: tuple[int, int] | None = None

    @property
    def row(self) -> int:
        """Bytes from row to row."""
        return (self.border.left + self.width + self.border.right) * self.channels

    @property
    def size(self) -> int:
        """Bytes of one plane of one sample, border included."""
        return (self.border.top + self.height + self.border.bottom) * self.row

    @property
    def first(self) -> int:
        """Bytes from the beginning of a sample to its pixel (0, 0)."""
        return self.border.top * self.row + self.border.left * self.channels


def storage(format: Format) -> tuple[int, int, int]:
    """Return (value of a stored zero, difference of neighboring codes' values, bytes per code) of a format."""
    low, high = format.value_range
    unit = 2 if format.kind in (Kind.BINARY, Kind.MIDRISE) else 1
    return low, unit, max(1, ceil_div((high - low).bit_length(), 8))


def arena_layout(maps: list[Map], samples: int) -> tuple[NDArray[np.void], NDArray[np.int64], int]:
    """Return the layout of an arena for `samples` samples: MAP records, borders to fill, and its bytes.

    Borders are int64 [border, (start, length, byte)].
    """
    records = np.zeros(len(maps), dtype=MAP)
    borders, end = [], 0
    for record, m in zip(records, maps, strict=True):
        if m.parent is None:
            start, plane = end, ceil_div(m.size * samples + SLACK, ALIGN) * ALIGN
            end = start + plane * m.planes
            origin, sample, row, pixel = start + m.first, m.size, m.row, m.channels
            if m.border != NO_BORDER:
                borders += [(start + p * plane, plane, (-m.low >> 8 * p) & 255) for p in range(m.planes)]
        elif m.parent[0] == OUTPUT:
            plane = m.parent[1]
            pixel = m.channels // plane if plane == 1 else 1
            origin, sample, row = 0, m.height * m.width * m.channels, m.width * pixel
        else:
            whole, at = records[m.parent[0]], m.parent[1]
            origin, sample, plane = whole["origin"] + at, whole["sample"], whole["plane"]
            row, pixel = whole["row"], whole["pixel"]
        record["origin"], record["sample"], record["row"], record["pixel"] = origin, sample, row, pixel
        record["plane"], record["planes"], record["low"], record["unit"] = plane, m.planes, m.low, m.unit
        record["height"], record["width"], record["channels"] = m.height, m.width, m.channels
    return records, np.array(borders, dtype=np.int64).reshape(-1, 3), end + SLACK
