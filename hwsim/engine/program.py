"""A compiled network: tables for the kernels, ready for any number of samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.maps import Map, lay_out
from hwsim.kernels.inference.instructions import STEP

ALIGN = 64


@dataclass(frozen=True, eq=False)
class Program:
    """Steps over maps, and the constants that they point to. Map 0 is the input.

    `strides` are those of row, column and channel in the flat input codes of one sample; `masks` is
    the place of each region layer's decision in a row of all decisions: (name, first, shape);
    `places` says for each value but the last, unless it never is in memory, which map it is written
    to, and whether that has channels last.
    """

    steps: NDArray[np.void]
    maps: list[Map]
    words: NDArray[np.int64]
    ints: NDArray[np.int32]
    weights: NDArray[np.int8]
    strides: NDArray[np.int64]
    first_code: int
    outputs: int
    masks: tuple[tuple[str, int, tuple[int, ...]], ...]
    places: Mapping[str, tuple[int, bool]]
    _arenas: dict[int, tuple[NDArray[np.void], NDArray[np.int64], int]] = field(default_factory=dict)

    @property
    def regions(self) -> int:
        """Decisions per sample."""
        return sum(math.prod(shape) for _, _, shape in self.masks)

    @property
    def floats(self) -> NDArray[np.float32]:
        """The int32 constants as the float32 scales that some of them are."""
        return self.ints.view(np.float32)

    @cached_property
    def work(self) -> int:
        """About how many products one sample takes; a code that only moves counts as one."""
        total = 0
        for step in self.steps:
            y = self.maps[step["y"]]
            taps = int(step["kernel_h"]) * int(step["kernel_w"]) * int(step["depth"])
            total += y.height * y.width * y.channels * max(taps, 1)
        return total

    @property
    def stores_codes(self) -> bool:
        """Are the bytes of the input's map its codes themselves?"""
        first = self.maps[0]
        return self.first_code == 0 and first.unit == 1 and first.planes == 1

    @property
    def bytes_per_image(self) -> int:
        """Bytes of all maps of one sample."""
        return sum(m.image * m.planes for m in self.maps if m.parent is None)

    def arena(self, images: int) -> tuple[NDArray[np.void], NDArray[np.int64], int]:
        """Maps, borders and bytes of an arena that `images` samples share."""
        if images not in self._arenas:
            self._arenas[images] = lay_out(self.maps, images)
        return self._arenas[images]


class Builder:
    """Collects steps and constants while a network is compiled."""

    def __init__(self) -> None:
        self.steps: list[dict[str, int]] = []
        self.maps: list[Map] = []
        self._words: list[NDArray[np.int64]] = []
        self._ints: list[NDArray[np.int32]] = []
        self._weights: list[NDArray[np.int8]] = []

    def step(self, **fields: Any) -> None:
        """Append a step; what is not given is 0."""
        self.steps.append({name: int(value) for name, value in fields.items()})

    def map(self, one: Map) -> int:
        """Append a map and return its index."""
        self.maps.append(one)
        return len(self.maps) - 1

    def words(self, values: Any) -> int:
        """Append int64 constants and return their place."""
        return _append(self._words, np.asarray(values, dtype=np.int64).reshape(-1))

    def ints(self, values: Any) -> int:
        """Append int32 constants and return their place."""
        return _append(self._ints, np.asarray(values, dtype=np.int32).reshape(-1))

    def weights(self, values: NDArray[np.int8]) -> int:
        """Append weight bytes, aligned as vectors are, and return their place."""
        return _append(self._weights, np.pad(values, (0, -len(values) % ALIGN)))

    def table(self) -> NDArray[np.void]:
        """All steps as records."""
        records = np.zeros(len(self.steps), dtype=STEP)
        for record, fields in zip(records, self.steps, strict=True):
            for name, value in fields.items():
                record[name] = value
        return records

    def constants(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int8]]:
        """Words, ints, and weights at an aligned address."""
        total = sum(map(len, self._weights))
        raw = np.zeros(total + 2 * ALIGN, dtype=np.int8)
        start = -raw.ctypes.data % ALIGN
        weights = raw[start : start + total + ALIGN]
        if total:
            weights[:total] = np.concatenate(self._weights)
        return (
            np.concatenate([*self._words, np.zeros(1, np.int64)]),
            np.concatenate([*self._ints, np.zeros(1, np.int32)]),
            weights,
        )


def _append(parts: list[Any], values: Any) -> int:
    place = sum(map(len, parts))
    parts.append(values)
    return place
