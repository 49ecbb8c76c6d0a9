"""What a data set is, where its files lie, and how a loader refuses what it does not know."""

from __future__ import annotations

import hashlib
import io
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.errors import HwsimError
from hwsim.registry import Choice
from hwsim.rng import stream

DATA_VARIABLE = "HWSIM_DATA"
"""Environment variable that names the folder with the data sets (the command line's `--data` sets it)."""

MOST_HEADER = 1024
"""Bytes that the header of an array file may take."""


@dataclass(frozen=True, eq=False)
class Data:
    """A labelled data set in memory.

    `x` float32 [sample, *shape] in 0..1; `labels` int64 [sample], what models are trained on and
    audited with; `clean_labels` the same before label noise, for accuracy; `note` goes into reports.
    """

    x: NDArray[np.float32]
    labels: NDArray[np.int64]
    clean_labels: NDArray[np.int64]
    classes: int
    note: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.x.shape[1:]


class Dataset(Choice):
    """Base of the data sets: subclasses read arrays, this class adds label noise."""

    label_noise: float = Field(
        0.0, ge=0.0, le=0.9, description="share of labels replaced by a wrong class, members and non-members alike"
    )

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Inputs float32 [sample, *shape] in 0..1 and labels int64 [sample]."""
        raise NotImplementedError

    def load(self, seed: int) -> Data:
        """Read the data set; label noise is drawn from `seed`."""
        x, clean = self.arrays()
        classes = int(clean.max()) + 1
        labels = clean.copy()
        if self.label_noise:
            draw = stream(seed, "label_noise")
            wrong = draw.random(len(labels)) < self.label_noise
            labels[wrong] = (labels[wrong] + draw.integers(1, classes, wrong.sum())) % classes
        note = (
            f"{self.label_noise:.0%} of the labels replaced by a wrong class"
            if self.label_noise
            else "labels as published"
        )
        return Data(x, labels, clean, classes, note)


class Stored(NamedTuple):
    """What an array in a data file must be; `sha256` is that of its bytes in C order."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str


def read_npz(name: str, arrays: Mapping[str, Stored], source: str) -> dict[str, NDArray[np.generic]]:
    """The arrays of `<data folder>/<name>/<name>.npz`, each verified against its checksum.

    Raises HwsimError that says where the file was looked for and how to get it, which `source` tells.
    """
    get = f"{', '.join(arrays)} from {source}; docs/datasets.md shows how to make the file"
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise HwsimError(
            f"dataset {name!r}: no data folder is set; give one with --data DIR or {DATA_VARIABLE}=DIR, in which "
            f"{name}/{name}.npz holds {get}"
        )
    path = Path(folder) / name / f"{name}.npz"
    if not path.is_file():
        raise HwsimError(f"dataset {name!r}: looked for {path} and found no file; it must hold {get}")
    try:
        with zipfile.ZipFile(path) as archive:
            return {key: _read(archive, key, wanted) for key, wanted in arrays.items()}
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise HwsimError(f"dataset {name!r}: {path} is damaged or another file ({error}); it must hold {get}") from None


def _read(archive: zipfile.ZipFile, key: str, wanted: Stored) -> NDArray[np.generic]:
    size = math.prod(wanted.shape) * np.dtype(wanted.dtype).itemsize
    if archive.getinfo(f"{key}.npy").file_size > size + MOST_HEADER:  # before any of it is unpacked
        raise ValueError(f"{key} is larger than {wanted.shape} of {wanted.dtype}")
    array: NDArray[np.generic] = np.load(io.BytesIO(archive.read(f"{key}.npy")), allow_pickle=False)
    found = hashlib.sha256(array.tobytes()).hexdigest()
    if (array.shape, array.dtype.name, found) != wanted:
        raise ValueError(
            f"{key} is {array.shape} of {array.dtype} with sha256 {found[:16]}..., not {wanted.sha256[:16]}..."
        )
    return array
