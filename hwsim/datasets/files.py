"""Locating, verifying and opening data files; no code from a file is executed."""

from __future__ import annotations

import hashlib
import math
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.files.archive import Archive, open_archive

DATA_VARIABLE = "HWSIM_DATA"
"""Environment variable that names the folder with the data sets (the command line's `--data` sets it)."""

MAX_HEADER_BYTES = 1024
"""Largest header of an array file."""

MAX_MEMBERS = 64
"""Largest number of files in an archive; the known archives contain eight or fewer."""

UNVERIFIED = "unpacked files of no known checksum, verified by their size only"
"""Note of results on files that have no known checksum."""

DAMAGE_ERRORS = (ValueError, KeyError, IndexError, EOFError, OSError, zlib.error, tarfile.TarError, HwsimError)


class ArraySpec(NamedTuple):
    """Expected shape and dtype of an array in a data file, and the SHA-256 of its bytes in C order."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str


def locate(name: str, files: Sequence[str], how_to_get: str) -> Path:
    """Return the first of `files` that exists below the data folder.

    Raises HwsimError with the places where data set `name` was searched, and the instructions `how_to_get`.
    """
    folder = os.environ.get(DATA_VARIABLE)
    alternatives = " or ".join(files)
    if not folder:
        raise HwsimError(
            f"dataset {name!r}: no data folder is set; give one with --data DIR or {DATA_VARIABLE}=DIR, in which "
            f"there must be {alternatives}: {how_to_get}; docs/datasets.md shows how"
        )
    found = next((path for path in (Path(folder) / file for file in files) if path.is_file()), None)
    if found is None:
        raise HwsimError(
            f"dataset {name!r}: looked for {Path(folder) / files[0]}"
            + "".join(f" or {file}" for file in files[1:])
            + f" and found no file; get it {how_to_get}; docs/datasets.md shows how"
        )
    return found


@contextmanager
def damage_reported(name: str, path: Path, how_to_get: str) -> Iterator[None]:
    """Turn any error of a damaged file into one line with instructions to get the right file."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        text = " ".join(str(error).split())
        raise HwsimError(
            f"dataset {name!r}: {path} is damaged or another file ({text}); get it {how_to_get}; "
            "docs/datasets.md shows how"
        ) from None


def read_npz(name: str, arrays: Mapping[str, ArraySpec], how_to_get: str) -> dict[str, NDArray[np.generic]]:
    """Read the arrays of `<data folder>/<name>/<name>.npz`, each verified against its checksum.

    Raises HwsimError with the places where the file was searched, and the instructions `how_to_get`.
    """
    path = locate(name, [f"{name}/{name}.npz"], how_to_get)
    with damage_reported(name, path, how_to_get), open_archive(path) as archive:
        return {key: _verified(archive, key, expected) for key, expected in arrays.items()}


def _verified(archive: Archive, key: str, expected: ArraySpec) -> NDArray[np.generic]:
    """Read one array; raises ValueError where shape, dtype or checksum differ."""
    size = math.prod(expected.shape) * np.dtype(expected.dtype).itemsize
    array = read_array(archive, key, size)
    found = hashlib.sha256(array.tobytes()).hexdigest()
    if (array.shape, array.dtype.name, found) != expected:
        raise ValueError(
            f"{key} is {array.shape} of {array.dtype} with sha256 {found[:16]}..., not {expected.sha256[:16]}..."
        )
    return array


def read_array(archive: Archive, key: str, max_bytes: int) -> NDArray[np.generic]:
    """Read one array of an opened npz file; raises ValueError before unpacking for more than `max_bytes` bytes."""
    if archive.entry_size(f"{key}.npy") > max_bytes + MAX_HEADER_BYTES:
        raise ValueError(f"{key} is larger than {max_bytes:,} bytes")
    return archive.array(key, memory_limit=9 * (max_bytes + MAX_HEADER_BYTES))


def md5(path: Path) -> str:
    """Return the MD5 of a file in hexadecimal. It identifies known files and does not protect against forgery."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def git_blob(path: Path) -> str:
    """Return the git object id of a file: SHA-1 of the word blob, its size, and its bytes."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def verify(path: Path, checksum: Callable[[Path], str], expected: str) -> None:
    """Raise ValueError unless the checksum of a file equals `expected`."""
    found = checksum(path)
    if found != expected:
        raise ValueError(f"its {checksum.__name__} is {found}, not {expected}")


@contextmanager
def archive_members(path: Path, max_sizes: Mapping[str, int]) -> Iterator[Callable[[str], IO[bytes]]]:
    """Open a tar.gz for reading its files by the last part of their names; nothing is unpacked to disk.

    `max_sizes` maps the name of a file to its largest size in bytes. Raises ValueError for anything but a plain file,
    for two files of one name, and for too many files.
    """
    with tarfile.open(path, "r:gz") as archive:
        members: dict[str, tarfile.TarInfo] = {}
        for count, member in enumerate(archive, 1):
            if count > MAX_MEMBERS:
                raise ValueError(f"more than {MAX_MEMBERS} files in the archive")
            name = member.name.rsplit("/", 1)[-1]
            if name not in max_sizes or member.isdir():
                continue
            if not member.isreg() or name in members:
                raise ValueError(f"{member.name} is not one plain file")
            if member.size > max_sizes[name]:
                raise ValueError(f"{member.name} has {member.size:,} bytes; at most {max_sizes[name]:,} are expected")
            members[name] = member

        def open_member(name: str) -> IO[bytes]:
            if name not in members:
                raise ValueError(f"no file {name} in the archive")
            file = archive.extractfile(members[name])
            if file is None:
                raise ValueError(f"{name} cannot be read")
            return file

        yield open_member
