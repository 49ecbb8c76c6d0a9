"""Run files: an .npz with one integer array [sample, *shape] per layer, in the order of the layers."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim.debug.arrays import read_integers
from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.network.file import HEADER, SIZE_LIMIT, npy_bytes, write_zip

_NPY = ".npy"


class RunFile(Mapping[str, NDArray[np.int64]]):
    """The arrays of a run file by layer name, in the order of the file; each array is read on access.

    Any .npz of integer arrays is accepted, compressed or not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries = {e.filename.removesuffix(_NPY): e for e in _entries(path) if e.filename.endswith(_NPY)}
        if not self._entries:
            raise BadInput(str(path), "a zip without arrays", "an .npz with one integer array per layer")

    def __getitem__(self, name: str) -> NDArray[np.int64]:
        if name not in self._entries:
            raise UnknownName(f"{self.path} layer", name, self._entries)
        entry = self._entries[name]
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(entry) as stream:
                return read_integers(stream, entry.file_size, f"{self.path} {name}")
        except (OSError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
            raise HwsimError(f"{self.path} {name}: cannot be read: {error}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def is_network(path: Path) -> bool:
    """Return True for a network file, False for any other zip; raises HwsimError for a file that is no zip."""
    return any(entry.filename == HEADER for entry in _entries(path))


def write_run(path: Path, run: Mapping[str, NDArray[np.integer]]) -> None:
    """Write a run file, atomically; `np.load` reads it too.

    >>> write_run(Path("run.npz"), {"input": np.zeros((1, 3), np.int8)})  # doctest: +SKIP
    """
    write_zip(path, ((name + _NPY, npy_bytes(np.asarray(array))) for name, array in run.items()))


def _entries(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except OSError as error:
        raise HwsimError(f"{path}: cannot be read: {error.strerror or error}") from None
    except zipfile.BadZipFile:
        raise BadInput(
            str(path), "a file that is no zip", "a network file, or an .npz with one integer array per layer"
        ) from None
    total = sum(entry.file_size for entry in entries)
    if total > SIZE_LIMIT:
        raise BadInput(str(path), f"{total} bytes of arrays", f"at most {SIZE_LIMIT}")
    if len({entry.filename for entry in entries}) != len(entries):
        raise HwsimError(f"{path}: two entries have one name")
    return entries
