"""Codes that a run is asked to keep: the memory that they take, and how a caller sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.layouts import pixels
from hwsim.engine.program import ALIGN, Program
from hwsim.formats import Format
from hwsim.network.graph import Network

Codes = NDArray[Any]
"""Integer codes [sample, *shape of the value], of `code_dtype`."""


def code_dtype(format: Format) -> np.dtype[Any]:
    """Smallest integer dtype that holds every code of a format, unsigned where the format is.

    >>> code_dtype(Format(8)).name, code_dtype(Format(4, signed=True)).name, code_dtype(Format(9)).name
    ('uint8', 'int8', 'uint16')
    """
    return format.dtype if format.signed else np.min_scalar_type(format.qmax)


@dataclass(frozen=True, eq=False)
class Captured:
    """Memory for the codes of some values, value by value and sample by sample, channels last.

    `records` int64 [value, (map, code of a stored zero, first byte, bytes of a sample, bytes of a code)]
    tell a kernel what to write into `buffer` (uint8); `codes` are the views of it that a caller wants.
    """

    buffer: NDArray[np.uint8]
    records: NDArray[np.int64]
    codes: Mapping[str, Codes]


def make_room(network: Network, program: Program, names: Iterable[str], samples: int) -> Captured:
    """Room for the codes of the values `names`, none of which is the last layer's."""
    records, end = [], 0
    for name in names:
        format = network.formats[name]
        each = code_dtype(format).itemsize
        size = math.prod(network.shapes[name]) * each
        records.append((program.places[name][0], format.qmin, end, size, each))
        end += -(-samples * size // ALIGN) * ALIGN
    buffer = np.empty(end, dtype=np.uint8)
    codes = {
        name: _view(buffer[first : first + samples * size], network, name, program.places[name][1])
        for name, (_, _, first, size, _) in zip(names, records, strict=True)
    }
    return Captured(buffer, np.array(records, dtype=np.int64).reshape(-1, 5), codes)


def _view(raw: NDArray[np.uint8], network: Network, name: str, on_map: bool) -> Codes:
    """Bytes as codes [sample, *shape]; those of a map lie channels last."""
    shape, typed = network.shapes[name], raw.view(code_dtype(network.formats[name]))
    if on_map:
        return typed.reshape(-1, *pixels(shape, True)).transpose(0, 3, 1, 2)
    return typed.reshape(-1, *shape)
