"""Run files: an .npz with one integer array [sample, *shape] per layer, in the order of the layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim.debug.arrays import read_integers
from hwsim.errors import BadInput, UnknownName
from hwsim.files.archive import NPY, npy_bytes, open_archive, write_zip
from hwsim.network.file import HEADER


class RunFile(Mapping[str, NDArray[np.int64]]):
    """The arrays of a run file by layer name, in the order of the file; each array is read on access.

    Any .npz of integer arrays is accepted, compressed or not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_archive(path) as archive:
            self._names = dict.fromkeys(name.removesuffix(NPY) for name in archive.names if name.endswith(NPY))
        if not self._names:
            raise BadInput(str(path), "a zip without arrays", "an .npz with one integer array per layer")

    def __getitem__(self, name: str) -> NDArray[np.int64]:
        if name not in self._names:
            raise UnknownName(f"{self.path} layer", name, self._names)
        with open_archive(self.path) as archive, archive.open(name + NPY) as stream:
            return read_integers(stream, archive.entry_size(name + NPY), f"{self.path} {name}")

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def is_network(path: Path) -> bool:
    """Return True for a network file, False for any other zip; raises HwsimError for a file that is no zip."""
    with open_archive(path) as archive:
        return HEADER in archive.names


def write_run(path: Path, run: Mapping[str, NDArray[np.integer]], force: bool = False) -> None:
    """Write a run file, atomically; `np.load` reads it too.

    A file that hwsim did not write is replaced only with `force`.

    >>> write_run(Path("run.npz"), {"input": np.zeros((1, 3), np.int8)})  # doctest: +SKIP
    """
    write_zip(path, ((name + NPY, npy_bytes(np.asarray(array))) for name, array in run.items()), force)
