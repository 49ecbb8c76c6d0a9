"""Compiled network: step and map tables and constants for the kernels, for any number of samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import aligned
from hwsim.engine.maps import Map, arena_layout
from hwsim.kernels.inference.instructions import STEP, Constants

ALIGN = 64
"""Bytes to which weights and captured values are aligned."""


@dataclass(frozen=True, eq=False)
class Program:
    """Steps over maps, and the constants that the steps point to.

    Attributes
    ----------
    steps : STEP [step]
    maps : activation maps; map 0 is the input
    constants : flat arrays of constants
    strides : int64 [3], strides of row, column and channel in the flat input codes of one sample
    first_code : smallest code of the input format
    outputs : outputs per sample
    masks : (name, first, shape) of each layer with region precision: its first decision in a row of all
        decisions, and the shape of its decisions
    value_maps : value -> (index of its map, channels last?), without the last layer and without values
        that fused steps never store
    """

    steps: NDArray[np.void]
    maps: list[Map]
    constants: Constants
    strides: NDArray[np.int64]
    first_code: int
    outputs: int
    masks: tuple[tuple[str, int, tuple[int, ...]], ...]
    value_maps: Mapping[str, tuple[int, bool]]
    _layouts: dict[int, tuple[NDArray[np.void], NDArray[np.int64], int]] = field(default_factory=dict)

    @property
    def regions(self) -> int:
        """Decisions per sample."""
        return sum(math.prod(shape) for _, _, shape in self.masks)

    @cached_property
    def work(self) -> int:
        """Approximate number of products of one sample; a code that is only copied counts as one."""
        total = 0
        for step in self.steps:
            y = self.maps[step["y"]]
            taps = int(step["kernel_h"]) * int(step["kernel_w"]) * int(step["depth"])
            total += y.height * y.width * y.channels * max(taps, 1)
        return total

    @property
    def stores_codes(self) -> bool:
        """Whether the stored bytes of the input's map equal its codes."""
        first = self.maps[0]
        return self.first_code == 0 and first.unit == 1 and first.planes == 1

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of all maps of one sample."""
        return sum(m.size * m.planes for m in self.maps if m.parent is None)

    def layout(self, samples: int) -> tuple[NDArray[np.void], NDArray[np.int64], int]:
        """Return MAP records, borders and bytes of an arena for `samples` samples; see `arena_layout`."""
        if samples not in self._layouts:
            self._layouts[samples] = arena_layout(self.maps, samples)
        return self._layouts[samples]


class Builder:
    """Collector of steps, maps and constants during compilation."""

    def __init__(self) -> None:
        self.steps: list[dict[str, int]] = []
        self.maps: list[Map] = []
        self._longs: list[NDArray[np.int64]] = []
        self._ints: list[NDArray[np.int32]] = []
        self._weights: list[NDArray[np.int8]] = []

    def step(self, **fields: Any) -> None:
        """Append a step; fields not given are 0."""
        self.steps.append({name: int(value) for name, value in fields.items()})

    def map(self, one: Map) -> int:
        """Append a map and return its index."""
        self.maps.append(one)
        return len(self.maps) - 1

    def longs(self, values: Any) -> int:
        """Append int64 constants and return their offset."""
        return _append(self._longs, np.asarray(values, dtype=np.int64).reshape(-1))

    def ints(self, values: Any) -> int:
        """Append int32 constants and return their offset."""
        return _append(self._ints, np.asarray(values, dtype=np.int32).reshape(-1))

    def weights(self, values: NDArray[np.int8]) -> int:
        """Append weight bytes at a multiple of ALIGN and return their offset."""
        return _append(self._weights, np.pad(values, (0, -len(values) % ALIGN)))

    def table(self) -> NDArray[np.void]:
        """Return all steps as STEP records."""
        records = np.zeros(len(self.steps), dtype=STEP)
        for record, fields in zip(records, self.steps, strict=True):
            for name, value in fields.items():
                record[name] = value
        return records

    def constants(self) -> Constants:
        """Return all constants; the weights begin at an address that is a multiple of ALIGN."""
        total = sum(map(len, self._weights))
        weights = aligned(np.zeros(total + 2 * ALIGN, dtype=np.int8), ALIGN)[: total + ALIGN]
        if total:
            weights[:total] = np.concatenate(self._weights)
        longs = np.concatenate([*self._longs, np.zeros(1, np.int64)])
        ints = np.concatenate([*self._ints, np.zeros(1, np.int32)])
        return Constants(longs, ints, ints.view(np.float32), weights)


def _append(parts: list[Any], values: Any) -> int:
    offset = sum(map(len, parts))
    parts.append(values)
    return offset
