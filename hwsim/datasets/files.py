"""Finding, verifying and opening the user's data files; nothing here runs code that a file holds."""

from __future__ import annotations

import hashlib
import io
import math
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError

DATA_VARIABLE = "HWSIM_DATA"
"""Environment variable that names the folder with the data sets (the command line's `--data` sets it)."""

MOST_HEADER = 1024
"""Bytes that the header of an array file may take."""

MOST_MEMBERS = 64
"""Files that an archive may hold; those known here hold eight or fewer."""

UNVERIFIED = "unpacked files of no known checksum, verified by their size only"
"""What results say of files that are read but cannot be told from others."""

DAMAGE = (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error, tarfile.TarError)


class Stored(NamedTuple):
    """What an array in a data file must be; `sha256` is that of its bytes in C order."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str


def locate(name: str, files: Sequence[str], get: str) -> Path:
    """The first of `files` that exists beneath the data folder.

    Raises HwsimError that says where data set `name` was looked for, and `get`: how to get it.
    """
    folder = os.environ.get(DATA_VARIABLE)
    wanted = " or ".join(files)
    if not folder:
        raise HwsimError(
            f"dataset {name!r}: no data folder is set; give one with --data DIR or {DATA_VARIABLE}=DIR, in which "
            f"there must be {wanted}: {get}; docs/datasets.md shows how"
        )
    found = next((path for path in (Path(folder) / file for file in files) if path.is_file()), None)
    if found is None:
        raise HwsimError(
            f"dataset {name!r}: looked for {Path(folder) / files[0]}"
            + "".join(f" or {file}" for file in files[1:])
            + f" and found no file; get it {get}; docs/datasets.md shows how"
        )
    return found


@contextmanager
def reading(name: str, path: Path, get: str) -> Iterator[None]:
    """Turn whatever a damaged file provokes into one line that says how to get the right one."""
    try:
        yield
    except DAMAGE as error:
        text = " ".join(str(error).split())
        raise HwsimError(
            f"dataset {name!r}: {path} is damaged or another file ({text}); get it {get}; docs/datasets.md shows how"
        ) from None


def read_npz(name: str, arrays: Mapping[str, Stored], get: str) -> dict[str, NDArray[np.generic]]:
    """The arrays of `<data folder>/<name>/<name>.npz`, each verified against its checksum.

    Raises HwsimError that says where the file was looked for and how to get it, which `get` tells.
    """
    path = locate(name, [f"{name}/{name}.npz"], get)
    with reading(name, path, get), zipfile.ZipFile(path) as archive:
        return {key: _verified(archive, key, wanted) for key, wanted in arrays.items()}


def _verified(archive: zipfile.ZipFile, key: str, wanted: Stored) -> NDArray[np.generic]:
    size = math.prod(wanted.shape) * np.dtype(wanted.dtype).itemsize
    array = read_array(archive, key, size)
    found = hashlib.sha256(array.tobytes()).hexdigest()
    if (array.shape, array.dtype.name, found) != wanted:
        raise ValueError(
            f"{key} is {array.shape} of {array.dtype} with sha256 {found[:16]}..., not {wanted.sha256[:16]}..."
        )
    return array


def read_array(archive: zipfile.ZipFile, key: str, most_bytes: int) -> NDArray[np.generic]:
    """One array of an opened npz file, refused before unpacking when it is larger than `most_bytes`."""
    size = archive.getinfo(f"{key}.npy").file_size
    if size > most_bytes + MOST_HEADER:
        raise ValueError(f"{key} is larger than {most_bytes:,} bytes")
    with archive.open(f"{key}.npy") as packed:
        raw = packed.read(size)
    array: NDArray[np.generic] = np.load(io.BytesIO(raw), allow_pickle=False)
    return array


def md5(path: Path) -> str:
    """MD5 of a file, as 32 hexadecimal digits; it tells files apart and is no defence against forgers."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def git_blob(path: Path) -> str:
    """The id under which git would store a file: SHA-1 of the word blob, its size, and its bytes."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def verify(path: Path, checksum: Callable[[Path], str], wanted: str) -> None:
    """Raise ValueError unless the checksum of a file is the wanted one."""
    found = checksum(path)
    if found != wanted:
        raise ValueError(f"its {checksum.__name__} is {found}, not {wanted}")


@contextmanager
def archive_members(path: Path, wanted: Mapping[str, int]) -> Iterator[Callable[[str], IO[bytes]]]:
    """Open a tar.gz for reading by the last part of the members' names; nothing is unpacked to disk.

    `wanted` maps a name to the most bytes that its file may have. Anything but a plain file, two
    files of one name and too many files raise ValueError.
    """
    with tarfile.open(path, "r:gz") as archive:
        members: dict[str, tarfile.TarInfo] = {}
        for count, member in enumerate(archive, 1):
            if count > MOST_MEMBERS:
                raise ValueError(f"more than {MOST_MEMBERS} files in the archive")
            name = member.name.rsplit("/", 1)[-1]
            if name not in wanted or member.isdir():
                continue
            if not member.isreg() or name in members:
                raise ValueError(f"{member.name} is not one plain file")
            if member.size > wanted[name]:
                raise ValueError(f"{member.name} has {member.size:,} bytes; at most {wanted[name]:,} are expected")
            members[name] = member

        def open_member(name: str) -> IO[bytes]:
            if name not in members:
                raise ValueError(f"no file {name} in the archive")
            file = archive.extractfile(members[name])
            if file is None:
                raise ValueError(f"{name} cannot be read")
            return file

        yield open_member
