"""What a data set is, where its files lie, and how a loader refuses what it does not know."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.errors import BadInput, HwsimError
from hwsim.registry import Choice
from hwsim.rng import stream

DATA_VARIABLE = "HWSIM_DATA"
"""Environment variable that names the folder with the data sets (the command line's `--data` sets it)."""


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


def read_npz(name: str, sha256: str, arrays: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    """The named arrays of `<data folder>/<name>/<name>.npz`, after its checksum was verified.

    Raises HwsimError that says where the file was looked for and how to get it.
    """
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise HwsimError(
            f"dataset {name!r}: no data folder is set; give one with --data DIR or {DATA_VARIABLE}=DIR "
            f"(it holds {name}/{name}.npz)"
        )
    path = Path(folder) / name / f"{name}.npz"
    if not path.is_file():
        raise HwsimError(
            f"dataset {name!r}: looked for {path} and found no file; "
            f"put {name}.npz there or set --data DIR or {DATA_VARIABLE}"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise BadInput(
            f"dataset {name!r}: {path}",
            f"sha256 {found[:16]}...",
            f"{sha256[:16]}... (another version, or a damaged copy)",
        )
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in arrays}
