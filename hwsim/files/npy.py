"""Reader of .npy data that trusts nothing: it evaluates no header, and checks sizes before it takes memory.

The format is numpy's, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1.0 and 2.0.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, HwsimError
from hwsim.files import memory

MAX_HEADER_BYTES = 10_000
"""Size of the largest header, as in numpy."""

WIDE_BYTES = 8
"""Bytes of an element after widening to int64 or float64."""

NUMBERS = "biuf"
"""Kinds of booleans, integers and real numbers."""

_MAX_AXES = 32
_CHUNK = 1 << 20
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
_ITEM = re.compile(
    r"""\s*(['"])(?P<key>\w{1,20})\1\s*:\s*(?:(?P<word>True|False)|\((?P<shape>[\d\s,]*)\)|(['"])(?P<descr>[^'"]{0,12})\5)"""
    r"\s*(?:,|$)"
)
_DESCR = re.compile(r"([<>|=])([biufU])(\d{1,4})")
_SIZES = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8)}


@dataclass(frozen=True)
class Header:
    """Shape, dtype and order of the array that follows a header, and the size of the header in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool
    start: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of the stored elements in bytes."""
        return self.elements * self.dtype.itemsize

    @property
    def wide_bytes(self) -> int:
        """Bytes of memory for the stored elements and for a copy of them as int64 or float64.

        The copy is made where the stored elements are narrower or in another order. An array without elements counts
        with the product of its other sides, as every side is a number of models, samples or channels.
        """
        if not self.elements:
            return math.prod(side or 1 for side in self.shape) * WIDE_BYTES
        copied = self.dtype.itemsize < WIDE_BYTES or self.by_columns or not self.dtype.isnative
        return self.elements * max(WIDE_BYTES, self.dtype.itemsize) + copied * self.nbytes


def read_header(stream: IO[bytes], where: str) -> Header:
    """Read the header of .npy data; raises BadInput, with the place `where`, for any other data.

    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.zeros((2, 3), np.int8))
    >>> header = read_header(io.BytesIO(file.getvalue()), "x.npy")
    >>> header.shape, header.dtype, header.wide_bytes
    ((2, 3), dtype('int8'), 54)
    """
    allowed = "a .npy array of version 1.0 or 2.0"
    magic = stream.read(8)
    if len(magic) < 8 or magic[:6] != b"\x93NUMPY":
        raise BadInput(where, "something that is not an array", allowed)
    length_bytes = _LENGTH_BYTES.get((magic[6], magic[7]))
    if length_bytes is None:
        raise BadInput(where, f"a .npy array of version {magic[6]}.{magic[7]}", allowed)
    length = int.from_bytes(stream.read(length_bytes), "little")
    if length > MAX_HEADER_BYTES:
        raise BadInput(where, f"a header of {length} bytes", f"at most {MAX_HEADER_BYTES}")
    raw = stream.read(length)
    if len(raw) < length:
        raise BadInput(where, "something that is not an array", allowed)
    shape, dtype, by_columns = _parse(raw.decode("latin-1"), where)
    return Header(shape, dtype, by_columns, 8 + length_bytes + length)


def read_array(
    stream: IO[bytes], size: int, where: str, kinds: str = NUMBERS, memory_limit: int | None = None
) -> NDArray[Any]:
    """Read .npy data as an array in C order and the byte order of the machine.

    Raises BadInput, with the place `where`, for data that is no array of these kinds, that does not fit its header or
    that needs more memory than the limit after widening; HwsimError for data that ends early.

    Parameters
    ----------
    stream : .npy data
    size : bytes of the data
    where : place, for errors
    kinds : allowed kinds of numpy's dtypes
    memory_limit : largest number of bytes after widening; `hwsim.files.memory.limit()` by default

    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.asfortranarray([[1.5, 2.5], [3, 4]]))
    >>> read_array(io.BytesIO(file.getvalue()), len(file.getvalue()), "x.npy").tolist()
    [[1.5, 2.5], [3.0, 4.0]]
    """
    header = read_header(stream, where)
    if header.dtype.kind not in kinds:
        raise BadInput(where, f"{header.dtype} values", "numbers")
    return read_data(stream, header, size, where, memory_limit)


def read_data(
    stream: IO[bytes], header: Header, size: int, where: str, memory_limit: int | None = None
) -> NDArray[Any]:
    """Read the array that follows a header; parameters and errors as `read_array`."""
    if size - header.start != header.nbytes:
        given = f"a header of {header.nbytes} bytes before {size - header.start} bytes of data"
        raise BadInput(where, given, "a header that fits the data")
    if memory_limit is None:
        memory.require(header.wide_bytes, where)
    elif header.wide_bytes > memory_limit:
        raise BadInput(where, f"{header.wide_bytes:,} bytes after widening", f"at most {memory_limit:,}")
    try:
        return _read(stream, header, where)
    except MemoryError:
        raise HwsimError(f"{where}: no memory for {header.wide_bytes:,} bytes") from None


def _read(stream: IO[bytes], header: Header, where: str) -> NDArray[Any]:
    raw = np.empty(header.nbytes, np.uint8)
    position = 0
    while position < header.nbytes:
        part = stream.read(min(_CHUNK, header.nbytes - position))
        if not part:
            raise HwsimError(f"{where}: ends after {position} of {header.nbytes} bytes of data")
        raw[position : position + len(part)] = np.frombuffer(part, np.uint8)
        position += len(part)
    if header.dtype.kind == "b" and raw.size and raw.max() > 1:
        raise BadInput(where, f"a boolean of value {raw.max()}", "0 or 1")
    try:
        array = raw.view(header.dtype).reshape(header.shape, order="F" if header.by_columns else "C")
    except ValueError:  # an array without elements whose other sides are too long
        raise BadInput(where, f"shape {header.shape}", "a shape that fits the memory") from None
    return np.asarray(array, dtype=header.dtype.newbyteorder("="), order="C")


def _parse(text: str, where: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Return shape, dtype and order that a header describes."""
    allowed = "a header with descr, fortran_order and shape of plain numbers"
    body = text.strip()
    if not (body.startswith("{") and body.endswith("}")):
        raise BadInput(where, "something that is not an array", allowed)
    body, found = body[1:-1].rstrip(), {}
    position = 0
    while position < len(body):
        item = _ITEM.match(body, position)
        if item is None or item["key"] in found:
            raise _refused(text, where, allowed)
        found[item["key"]] = item
        position = item.end()
    if set(found) != {"descr", "fortran_order", "shape"}:
        raise _refused(text, where, allowed)
    descr, order, shape = found["descr"]["descr"], found["fortran_order"]["word"], found["shape"]["shape"]
    if descr is None or order is None or shape is None:
        raise _refused(text, where, allowed)
    return _shape(shape, where), _dtype(descr, where), order == "True"


def _refused(text: str, where: str, allowed: str) -> BadInput:
    if re.search(r"\(\s*-|,\s*-", text):
        return BadInput(where, "a shape with a negative number", "a shape without negative numbers")
    return BadInput(where, f"a header {' '.join(text[:80].split())!r}", allowed)


def _shape(text: str, where: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if words[-1] == "":
        words.pop()  # after the last comma, and in ()
    elif len(words) == 1:
        raise BadInput(where, f"shape ({text})", "a tuple, such as (3,)")
    if len(words) > _MAX_AXES:
        raise BadInput(where, f"{len(words)} axes", f"at most {_MAX_AXES}")
    if not all(re.fullmatch(r"\d{1,18}", word) for word in words):
        raise BadInput(where, f"shape ({text[:40]})", "whole numbers below 10^18")
    return tuple(map(int, words))


def _dtype(descr: str, where: str) -> np.dtype[Any]:
    if "O" in descr:
        raise BadInput(where, "pickled objects", "plain numbers; nothing in a file is executed")
    found = _DESCR.fullmatch(descr)
    if found is not None:
        kind, size = found[2], int(found[3])
        if (kind == "U" and size > 0) or size in _SIZES.get(kind, ()):
            return np.dtype(descr)
    words = {"c": "complex", "V": "structured", "S": "byte string", "M": "date", "m": "time span", "f": "long double"}
    word = next((f"{name} values" for key, name in words.items() if key in descr), f"dtype {descr!r}")
    raise BadInput(where, word, "booleans, integers of 1 to 8 bytes, or real numbers of 2, 4 or 8 bytes")
