"""Capture of intermediate activations: memory for the codes of chosen values, and views of it for the caller."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.engine.layouts import pixels
from hwsim.engine.program import ALIGN, Program
from hwsim.formats import Format
from hwsim.kernels.inference.instructions import Captures
from hwsim.network.graph import Network

Codes = NDArray[Any]
"""Integer codes [sample, *shape of the value], of `code_dtype`."""


def code_dtype(format: Format) -> np.dtype[Any]:
    """Return the smallest integer dtype that contains every code of a format, unsigned where the format is.

    >>> code_dtype(Format(8)).name, code_dtype(Format(4, signed=True)).name, code_dtype(Format(9)).name
    ('uint8', 'int8', 'uint16')
    """
    return format.dtype if format.signed else np.min_scalar_type(format.qmax)


@dataclass(frozen=True, eq=False)
class CaptureBuffer:
    """Memory for the codes of captured values, value by value and sample by sample, channels last.

    Attributes
    ----------
    captures : records and uint8 memory for the kernels
    codes : name of a value -> view of the memory, [sample, *shape of the value]
    """

    captures: Captures
    codes: Mapping[str, Codes]


def allocate_captures(network: Network, program: Program, names: Iterable[str], samples: int) -> CaptureBuffer:
    """Allocate memory for the codes of the values `names`, which must not include the last layer's."""
    records, end = [], 0
    for name in names:
        format = network.formats[name]
        each = code_dtype(format).itemsize
        size = math.prod(network.shapes[name]) * each
        records.append((program.value_maps[name][0], format.qmin, end, size, each))
        end += ceil_div(samples * size, ALIGN) * ALIGN
    buffer = np.empty(end, dtype=np.uint8)
    codes = {
        name: _view(buffer[first : first + samples * size], network, name, program.value_maps[name][1])
        for name, (_, _, first, size, _) in zip(names, records, strict=True)
    }
    return CaptureBuffer(Captures(np.array(records, dtype=np.int64).reshape(-1, 5), buffer), codes)


def _view(raw: NDArray[np.uint8], network: Network, name: str, on_map: bool) -> Codes:
    """Return bytes as codes [sample, *shape]; the codes of a map are stored channels last."""
    shape, typed = network.shapes[name], raw.view(code_dtype(network.formats[name]))
    if on_map:
        return typed.reshape(-1, *pixels(shape, True)).transpose(0, 3, 1, 2)
    return typed.reshape(-1, *shape)
