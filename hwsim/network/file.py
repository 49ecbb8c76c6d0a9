"""Network files: a zip of a JSON header and one plain .npy file per integer array.

The header contains the fields of the dataclasses `Network` and `Layer`: enums by value, integer arrays by dtype and
shape (the codes are in the entry with the path of the field), real scales as numbers. Loading executes nothing, and all
sizes are checked before memory is taken.

Version 2 of the format has `narrow_range` and the kind `midrise` where version 1 has `narrow` and `odd`. `load` reads
both, `save` writes version 2.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
import types
import typing
from collections.abc import Iterator
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.files import memory
from hwsim.files.archive import Archive, npy_bytes, open_archive, write_zip
from hwsim.network.graph import Network
from hwsim.network.layer import SEMANTICS

HEADER = "network.json"

VERSION = 2
"""Version of the file format."""

VERSION_1 = SEMANTICS
"""Value of `version` in files of version 1, which name the semantics there."""

MAX_HEADER_BYTES = 16 << 20
"""Largest JSON header that `load` reads, in bytes."""

_OPTIONAL = ("per_channel", "filter_bits")
"""Fields that are written only where they differ from their default, and may be missing in a file."""

_KEYS_OF_VERSION_1 = {"narrow": "narrow_range"}
_KINDS_OF_VERSION_1 = {"odd": "midrise"}

_INTEGERS: dict[str, type[np.signedinteger]] = {"|i1": np.int8, "<i2": np.int16, "<i4": np.int32, "<i8": np.int64}

Arrays = dict[str, NDArray[np.signedinteger]]


def save(network: Network, path: str | Path, force: bool = False) -> None:
    """Write `network` to `path` atomically; equal networks give equal bytes.

    A file that hwsim did not write is replaced only with `force`.

    >>> save(network, "net.npz")  # doctest: +SKIP
    """
    header, arrays = _pack(network)
    codes = ((f"{place}.npy", npy_bytes(array)) for place, array in arrays.items())
    write_zip(path, chain([(HEADER, header)], codes), force)


def load(path: str | Path) -> Network:
    """Read a network that `save` wrote; integer arrays may have a narrower dtype with equal values.

    Raises HwsimError, with the file and the place in it, for any other file.
    """
    with open_archive(path) as archive:
        memory.require(archive.size, str(path))
        return _Reader(archive).network()


def digest(network: Network) -> str:
    """Return the SHA-256 (hex) of all fields of a network; equal before saving and after loading."""
    header, arrays = _pack(network)
    state = hashlib.sha256(header)
    for array in arrays.values():
        state.update(array.tobytes())
    return state.hexdigest()


# From a network to a header and arrays.


def _pack(network: Network) -> tuple[bytes, Arrays]:
    arrays: Arrays = {}
    fields = _encode(Network, network, "network", arrays)
    header = {"version": VERSION, "semantics": SEMANTICS, "network": fields}
    return json.dumps(header, indent=1, allow_nan=False).encode(), arrays


def _encode(hint: Any, value: Any, place: str, arrays: Arrays) -> Any:
    """Return JSON data for `value`; integer arrays are put into `arrays` by path, in the narrowest dtype."""
    if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.integer):
        arrays[place] = stored = _narrowest(value)
        return {"dtype": stored.dtype.str, "shape": list(stored.shape)}
    if isinstance(value, np.ndarray):
        return [float(x) for x in value.ravel()]
    if dataclasses.is_dataclass(value):
        hints = typing.get_type_hints(type(value))
        fields = [
            f for f in dataclasses.fields(value) if f.name not in _OPTIONAL or getattr(value, f.name) != f.default
        ]
        return {f.name: _encode(hints[f.name], getattr(value, f.name), f"{place}/{f.name}", arrays) for f in fields}
    if isinstance(value, tuple):
        inner = _item_hints(hint, len(value))
        return [_encode(h, v, f"{place}/{i}", arrays) for i, (h, v) in enumerate(zip(inner, value, strict=True))]
    if value is None or isinstance(value, str):
        return value
    if float in _alternatives(hint):
        return float(value)
    return bool(value) if hint is bool else int(value)


def _narrowest(array: NDArray[np.integer]) -> NDArray[np.signedinteger]:
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    dtype = next(d for d in _INTEGERS.values() if np.iinfo(d).min <= low and high <= np.iinfo(d).max)
    return np.array(array, dtype=np.dtype(dtype).newbyteorder("<"), order="C")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the hint itself."""
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _item_hints(hint: Any, count: int) -> tuple[Any, ...]:
    """Return the types of the items of a tuple type: `count` types, or the types of a fixed length."""
    items = typing.get_args(hint)
    return items[:1] * count if items[-1] is Ellipsis else items


# From a header and arrays to a network.


class _Reader:
    """Reader of the entries of one file; raises HwsimError for data of another type than the field."""

    def __init__(self, archive: Archive) -> None:
        self.file, self.archive = archive.path, archive
        self.unused = set(archive.names)
        for name in archive.names:
            if not archive.is_stored(name):
                raise BadInput(f"{self.file} {name}", "a compressed entry", "stored entries")

    def network(self) -> Network:
        header = self._header()
        if isinstance(header, dict) and header.get("version") == VERSION_1:
            fields = _from_version_1(self._keys(header, ("version", "network"), "header")["network"])
        else:
            fields = self._fields(header)
        network: Network = self._decode(Network, fields, "network")
        if self.unused:
            raise BadInput(f"{self.file}", f"unused entry {min(self.unused)}", "only entries that the header names")
        return network

    def _fields(self, header: Any) -> Any:
        """Return the network's data from a header of the present version."""
        keys = self._keys(header, ("version", "semantics", "network"), "header")
        if type(keys["version"]) is not int or keys["version"] != VERSION:
            raise BadInput(f"{self.file} version", keys["version"], f"{VERSION}, or {VERSION_1} in older files")
        if keys["semantics"] != SEMANTICS:
            raise BadInput(f"{self.file} semantics", keys["semantics"], SEMANTICS)
        return keys["network"]

    def _take(self, name: str) -> None:
        if name not in self.unused:
            raise BadInput(f"{self.file} {name}", "no such entry", "one entry per array, and the header")
        self.unused.remove(name)

    def _header(self) -> Any:
        def refuse(word: str) -> None:
            raise BadInput(f"{self.file} {HEADER}", word, "finite numbers")

        def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            table = dict(pairs)
            if len(table) != len(pairs):
                raise BadInput(f"{self.file} {HEADER}", "a key twice", "each key once")
            return table

        self._take(HEADER)
        try:
            return json.loads(
                self.archive.read(HEADER, MAX_HEADER_BYTES), parse_constant=refuse, object_pairs_hook=unique
            )
        except (ValueError, RecursionError) as error:
            raise HwsimError(f"{self.file} {HEADER}: not JSON: {error}") from None

    def _keys(self, data: Any, names: tuple[str, ...], place: str) -> dict[str, Any]:
        """Return `data` as a table with exactly these keys; optional keys may be missing."""
        if not isinstance(data, dict):
            raise BadInput(f"{self.file} {place}", _kind(data), "a table")
        for key in data:
            if key not in names:
                raise UnknownName(f"{self.file} {place}", key, names, "setting")
        for name in names:
            if name not in data and name not in _OPTIONAL:
                raise BadInput(f"{self.file} {place}/{name}", None, "a value is required here")
        return data

    def _decode(self, hint: Any, data: Any, place: str) -> Any:
        """Return the value of type `hint` for JSON data."""
        if data is None and types.NoneType in _alternatives(hint):
            return None
        options = [h for h in _alternatives(hint) if h is not types.NoneType]
        if len(options) > 1 and float in options:  # a number or an array of numbers
            options = [h for h in options if (h is float) != isinstance(data, list)]
        elif len(options) > 1:  # several dataclasses: the one with the given keys, else the first
            given = set(data) if isinstance(data, dict) else set()
            options.sort(key=lambda h: given != {f.name for f in dataclasses.fields(h)})
        hint = options[0]
        if dataclasses.is_dataclass(hint):
            return self._decode_dataclass(hint, data, place)
        if typing.get_origin(hint) is tuple:
            return tuple(self._decode(h, v, f"{place}/{i}") for i, (h, v) in enumerate(self._items(hint, data, place)))
        if typing.get_origin(hint) is np.ndarray:
            (scalar,) = typing.get_args(typing.get_args(hint)[1])
            return self._reals(data, place) if scalar is np.float64 else self._integers(scalar, data, place)
        return self._decode_plain(hint, data, place)

    def _decode_dataclass(self, cls: Any, data: Any, place: str) -> Any:
        hints = typing.get_type_hints(cls)
        names = tuple(f.name for f in dataclasses.fields(cls))
        table = self._keys(data, names, place)
        values = {name: self._decode(hints[name], table[name], f"{place}/{name}") for name in names if name in table}
        try:
            return cls(**values)
        except HwsimError as error:
            raise HwsimError(f"{self.file} {place}: {error}") from None

    def _items(self, hint: Any, data: Any, place: str) -> Iterator[tuple[Any, Any]]:
        if not isinstance(data, list):
            raise BadInput(f"{self.file} {place}", _kind(data), "a list")
        hints = _item_hints(hint, len(data))
        if len(hints) != len(data):
            raise BadInput(f"{self.file} {place}", f"{len(data)} items", f"{len(hints)}")
        return zip(hints, data, strict=True)

    def _decode_plain(self, hint: Any, data: Any, place: str) -> Any:
        """Return an enum member, string, number or bool."""
        where = f"{self.file} {place}"
        if issubclass(hint, StrEnum):
            words = {str(member): member for member in hint}
            if not isinstance(data, str) or data not in words:
                raise UnknownName(where, data if isinstance(data, str) else _kind(data), words, "value")
            return words[data]
        if hint is float and type(data) in (int, float):
            if not abs(data) <= sys.float_info.max:
                raise BadInput(where, data, "a finite number")
            return float(data)
        if type(data) is not hint:
            raise BadInput(where, _kind(data), f"a value of type {hint.__name__}")
        if hint is int and abs(data) >= 2**63:
            raise BadInput(where, "a larger number", "64-bit integers")
        return data

    def _reals(self, data: Any, place: str) -> NDArray[np.float64]:
        values = [self._decode_plain(float, x, f"{place}/{i}") for i, x in enumerate(data)]
        return np.array(values, dtype=np.float64)

    def _integers(self, scalar: Any, data: Any, place: str) -> NDArray[np.signedinteger]:
        """Return the array in the entry of this path, as int64 for an int64 field, else in the stored dtype."""
        where = f"{self.file} {place}.npy"
        keys = self._keys(data, ("dtype", "shape"), place)
        if keys["dtype"] not in tuple(_INTEGERS):
            raise UnknownName(f"{where} dtype", keys["dtype"], _INTEGERS)
        dtype = np.dtype(keys["dtype"])
        shape = self._decode(tuple[int, ...], keys["shape"], f"{place}/shape")
        self._take(f"{place}.npy")
        header = self.archive.header(place, where)
        if header.by_columns or header.dtype.str not in _INTEGERS:
            raise BadInput(where, "another .npy header", "little-endian signed integers in C order")
        found = (header.dtype.str, header.shape)
        if found != (keys["dtype"], shape):
            raise BadInput(where, f"{found[0]} {found[1]}", f"{keys['dtype']} {shape}, as the header says")
        stored = self.archive.array(place, where)
        return stored.astype(np.int64 if scalar is np.int64 else dtype.newbyteorder("="))


def _kind(data: Any) -> str:
    return {dict: "a table", list: "a list", str: "a word", type(None): "null"}.get(type(data), repr(data)[:40])


def _from_version_1(data: Any) -> Any:
    """Rename keys and kinds of a header of version 1, in place, and return it."""
    pending = [data]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            for old, new in _KEYS_OF_VERSION_1.items():
                if old in node and new not in node:
                    node[new] = node.pop(old)
            if isinstance(node.get("kind"), str):
                node["kind"] = _KINDS_OF_VERSION_1.get(node["kind"], node["kind"])
            pending += node.values()
    return data
