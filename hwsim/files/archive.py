"""Zip and .npz files. The reader trusts nothing: every entry is checked against the file before it is read.

Refused are two entries of one name, entries that share bytes (zip bombs: D. Fifield, A better zip bomb, WOOT 2019),
encryption, other compressions than deflate, sizes beyond what deflate can unpack, and names that leave the folder.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, HwsimError
from hwsim.files import memory, writing
from hwsim.files.npy import NUMBERS, Header, read_array, read_header
from hwsim.files.reading import open_file
from hwsim.files.writing import ZIP_COMMENT, write_file

NPY = ".npy"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # one timestamp for all entries: equal content makes equal files

MAX_ENTRIES = 1 << 16
"""Largest number of entries."""

_MAX_DIRECTORY_BYTES = 16 << 20
_MAX_RATIO = 1032
"""Largest number of bytes that deflate unpacks from one (M. Adler, zlib technical details)."""

_ENCRYPTED = 0x1 | 0x40 | 0x2000
_LOCAL_HEADER_BYTES = 30
_END, _END_BYTES = b"PK\x05\x06", 22
_DAMAGE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    RuntimeError,
    NotImplementedError,
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
)


class Archive:
    """An open zip file of checked entries; use `open_archive`.

    Attributes
    ----------
    path : name of the file, for errors
    size : bytes of the file
    names : names of the entries, in the order of the file
    """

    def __init__(self, path: str, size: int, archive: zipfile.ZipFile) -> None:
        self.path, self.size, self._archive = path, size, archive
        self._entries = {entry.filename: entry for entry in archive.infolist()}
        self.names = tuple(self._entries)

    def entry_size(self, name: str) -> int:
        """Return the size of an entry in bytes, after unpacking."""
        return self._entry(name).file_size

    def is_stored(self, name: str) -> bool:
        """Return True for an entry without compression."""
        return self._entry(name).compress_type == zipfile.ZIP_STORED

    def read(self, name: str, limit: int) -> bytes:
        """Return an entry; raises BadInput, before it is unpacked, for more than `limit` bytes."""
        size = self.entry_size(name)
        if size > limit:
            raise BadInput(f"{self.path} {name}", f"{size:,} bytes", f"at most {limit:,}")
        with self.open(name) as stream:
            data = stream.read()
        if len(data) != size:
            raise HwsimError(f"{self.path} {name}: ends after {len(data)} of {size} bytes")
        return data

    def header(self, name: str, where: str = "") -> Header:
        """Return the header of the array in entry `name`.npy, checked against the size of the entry."""
        where = where or f"{self.path} {name}"
        with self.open(name + NPY) as stream:
            header = read_header(stream, where)
        stored = self.entry_size(name + NPY) - header.start
        if stored != header.nbytes:
            given = f"a header of {header.nbytes} bytes before {stored} bytes of data"
            raise BadInput(where, given, "a header that fits the data")
        return header

    def array(self, name: str, where: str = "", kinds: str = NUMBERS, memory_limit: int | None = None) -> NDArray[Any]:
        """Read the array in entry `name`.npy; parameters and errors as `hwsim.files.npy.read_array`."""
        where = where or f"{self.path} {name}"
        with self.open(name + NPY) as stream:
            return read_array(stream, self.entry_size(name + NPY), where, kinds, memory_limit)

    def arrays(self, names: list[str]) -> dict[str, NDArray[Any]]:
        """Read arrays by name, after a check of the memory that all of them need together after widening."""
        headers = [self.header(name) for name in names]
        memory.require(sum(header.wide_bytes for header in headers), self.path)
        return {name: self.array(name) for name in names}

    def _entry(self, name: str) -> zipfile.ZipInfo:
        if name not in self._entries:
            raise BadInput(f"{self.path} {name}", "no such entry", ", ".join(self.names[:20]) or "nothing here")
        return self._entries[name]

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open an entry for reading; its checksum is compared at its end."""
        entry = self._entry(name)
        with damage_named(self.path), self._archive.open(entry) as stream:
            yield stream


@contextmanager
def open_archive(path: str | Path) -> Iterator[Archive]:
    """Open a zip file; raises HwsimError, with the file and the entry, for one that is damaged, hostile or no zip."""
    with open_file(path) as stream:
        with damage_named(str(path)):
            size = stream.seek(0, 2)
            directory = _directory_bytes(stream, size)
            if directory > _MAX_DIRECTORY_BYTES:
                given = f"a list of entries of {directory:,} bytes"
                raise BadInput(str(path), given, f"at most {_MAX_DIRECTORY_BYTES:,}")
            archive = zipfile.ZipFile(stream)
            _check(str(path), size, archive)
        yield Archive(str(path), size, archive)


@contextmanager
def damage_named(path: str) -> Iterator[None]:
    """Raise BadInput with the name of the file for any error of a damaged zip."""
    try:
        yield
    except HwsimError:
        raise
    except OSError as error:
        raise HwsimError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise HwsimError(f"{path}: no memory for its entries") from None
    except _DAMAGE as error:
        text = " ".join(str(error).split())
        raise BadInput(path, f"not a complete .npz file ({text})", "an .npz, as numpy.savez writes it") from None


def _directory_bytes(stream: BinaryIO, size: int) -> int:
    """Return the size of the list of entries as the end of the file says; 0 where there is no such end."""
    tail_bytes = min(size, _END_BYTES + 0xFFFF)
    stream.seek(size - tail_bytes)
    tail = stream.read(tail_bytes)
    place = tail.rfind(_END)
    if place < 0 or place + _END_BYTES > len(tail):
        return 0
    directory, comment_bytes = struct.unpack_from("<L4xH", tail, place + 12)
    if place + _END_BYTES + comment_bytes > len(tail):
        raise zipfile.BadZipFile("the file ends early")
    if directory == 0xFFFFFFFF:  # zip64: between the list and here are 76 bytes
        large = tail.rfind(b"PK\x06\x06", 0, place)
        if large < 0 or large + 48 > len(tail):
            raise zipfile.BadZipFile("no end of a zip64 file")
        (directory,) = struct.unpack_from("<Q", tail, large + 40)
    return int(directory)


def _check(path: str, size: int, archive: zipfile.ZipFile) -> None:
    """Raise HwsimError unless the entries can be what the file says."""
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise BadInput(path, f"{len(entries):,} entries", f"at most {MAX_ENTRIES:,}")
    if len({entry.filename for entry in entries}) != len(entries):
        raise HwsimError(f"{path}: two entries have one name")
    for entry in entries:
        _check_entry(f"{path} {entry.filename!r}", entry)
    spans = sorted((entry.header_offset, entry.compress_size, entry.filename) for entry in entries)
    ends = [*(offset for offset, _, _ in spans[1:]), archive.start_dir]
    for (offset, packed, name), end in zip(spans, ends, strict=True):
        if offset < 0 or offset + _LOCAL_HEADER_BYTES + len(name) + packed > min(end, size):
            raise HwsimError(f"{path} {name!r}: overlaps another entry or the end of the file")


def _check_entry(where: str, entry: zipfile.ZipInfo) -> None:
    parts = entry.filename.replace("\\", "/").split("/")
    if entry.filename != entry.orig_filename or ".." in parts or parts[0] == "" or not entry.filename.isprintable():
        raise BadInput(where, "an odd name", "a relative name inside the archive")
    if entry.flag_bits & _ENCRYPTED:
        raise BadInput(where, "an encrypted entry", "entries that can be read without a password")
    if entry.compress_type == zipfile.ZIP_STORED:
        possible = entry.compress_size == entry.file_size
    elif entry.compress_type == zipfile.ZIP_DEFLATED:
        possible = entry.file_size <= _MAX_RATIO * (entry.compress_size + 1)
    else:
        raise BadInput(where, f"compression {entry.compress_type}", "stored or deflated entries")
    if not possible:
        raise BadInput(where, f"{entry.file_size:,} bytes in {entry.compress_size:,}", "a size that can be unpacked")


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Return the content of a .npy file of an array.

    >>> npy_bytes(np.zeros(2, np.int8))[:6]
    b'\\x93NUMPY'
    """
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def zip_writer(entries: Iterable[tuple[str, bytes]]) -> Callable[[IO[bytes]], None]:
    """Return a function that writes a zip of named entries to a stream; equal entries give equal bytes."""

    def write(stream: IO[bytes]) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            archive.comment = ZIP_COMMENT
            for name, data in entries:
                info = zipfile.ZipInfo(name, _EPOCH)
                info.create_system = 3
                info.external_attr = 0o644 << 16
                archive.writestr(info, data)

    return write


def write_zip(path: str | Path, entries: Iterable[tuple[str, bytes]], force: bool = False) -> None:
    """Write a zip of named entries atomically; errors as `hwsim.files.writing.write_file`."""
    write_file(path, zip_writer(entries), writing.ZIP, force)
