"""Where activations lie: the maps of a program, before it is known how many samples share an arena."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, Kind
from hwsim.kernels.inference.instructions import MAP

ALIGN = 64
SLACK = 64
"""Bytes behind each map that tiles may read, and never use: they take four bytes at a time, vectors sixteen."""

MAX_PLANES = 2
OUTPUT = -1


@dataclass(frozen=True)
class Border:
    """Rows and columns of zeros around a map."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def union(self, other: Border) -> Border:
        """The smallest border that holds both."""
        return Border(*(max(a, b) for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


NO_BORDER = Border()


@dataclass(frozen=True)
class Map:
    """A channels-last map of one sample, `height` x `width` pixels of `channels` codes of a format.

    `parent` is set where a map is a part of another one: the index of that map and the byte, after its
    pixel (0, 0), at which this one begins. Parent OUTPUT stands for the [sample, output] array of
    logits, with the distance of two channels in it.
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
    def image(self) -> int:
        """Bytes of one plane of one sample, border included."""
        return (self.border.top + self.height + self.border.bottom) * self.row

    @property
    def first(self) -> int:
        """Bytes from the beginning of a sample to its pixel (0, 0)."""
        return self.border.top * self.row + self.border.left * self.channels


def storage(format: Format) -> tuple[int, int, int]:
    """(value of a stored zero, difference of neighbouring codes' values, bytes per code) of a format."""
    low, high = format.value_range
    unit = 2 if format.kind in (Kind.BINARY, Kind.MIDRISE) else 1
    return low, unit, max(1, -(-(high - low).bit_length() // 8))


def lay_out(maps: list[Map], images: int) -> tuple[NDArray[np.void], NDArray[np.int64], int]:
    """The MAP records for `images` samples in one arena, the borders to fill, and the arena's bytes.

    Borders are int64 [., (start, length, byte)].
    """
    records = np.zeros(len(maps), dtype=MAP)
    borders, end = [], 0
    for record, m in zip(records, maps, strict=True):
        if m.parent is None:
            start, plane = end, -(-(m.image * images + SLACK) // ALIGN) * ALIGN
            end = start + plane * m.planes
            origin, image, row, pixel = start + m.first, m.image, m.row, m.channels
            if m.border != NO_BORDER:
                borders += [(start + p * plane, plane, (-m.low >> 8 * p) & 255) for p in range(m.planes)]
        elif m.parent[0] == OUTPUT:
            plane = m.parent[1]
            pixel = m.channels // plane if plane == 1 else 1
            origin, image, row = 0, m.height * m.width * m.channels, m.width * pixel
        else:
            whole, at = records[m.parent[0]], m.parent[1]
            origin, image, plane = whole["origin"] + at, whole["image"], whole["plane"]
            row, pixel = whole["row"], whole["pixel"]
        record["origin"], record["image"], record["row"], record["pixel"] = origin, image, row, pixel
        record["plane"], record["planes"], record["low"], record["unit"] = plane, m.planes, m.low, m.unit
        record["height"], record["width"], record["channels"] = m.height, m.width, m.channels
    return records, np.array(borders, dtype=np.int64).reshape(-1, 3), end + SLACK
