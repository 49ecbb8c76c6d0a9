"""Base of all data sets: samples without duplicates, their labels, and a card with source and license."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.cache import on_clear
from hwsim.checksums import file_checksum
from hwsim.datasets.files import locate
from hwsim.registry import Configurable, family
from hwsim.rng import stream


@dataclass(frozen=True)
class DatasetCard:
    """Description of a data set, available without reading it.

    Attributes
    ----------
    samples : published rows, duplicates included
    shape : shape of one sample
    classes : number of classes
    license : license as stated by the source
    source : place to get the data set from
    checksum : kind of checksum that verifies the files
    files : alternative places below the data folder, of which one is needed; empty for a set without files
    """

    samples: int
    shape: tuple[int, ...]
    classes: int
    license: str
    source: str
    checksum: str = ""
    files: tuple[str, ...] = ()

    @property
    def how_to_get(self) -> str:
        """Instructions to get the files, for messages."""
        return f"from {self.source}" + (f" ({self.checksum})" if self.checksum else "")


class Pool(NamedTuple):
    """A data set as published.

    Rows are the training part, then validation where there is one, then test.

    Attributes
    ----------
    x : float32 [sample, *shape] in 0..1
    labels : int64 [sample]
    remark : note for every result on this data
    """

    x: NDArray[np.float32]
    labels: NDArray[np.int64]
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Data:
    """A labeled data set in memory, without repeated samples.

    Attributes
    ----------
    x : float32 [sample, *shape] in 0..1
    labels : int64 [sample], for training and audit
    clean_labels : int64 [sample], labels before label noise, for accuracy
    classes : number of classes
    note : text for reports
    rows : int64 [sample], row of each sample in the published pool
    """

    x: NDArray[np.float32]
    labels: NDArray[np.int64]
    clean_labels: NDArray[np.int64]
    classes: int
    note: str
    rows: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.x.shape[1:]


class Dataset(Configurable):
    """Base of the data sets: subclasses read arrays; this class drops repeated samples and adds label noise."""

    card: ClassVar[DatasetCard | None] = None

    label_noise: float = Field(
        0.0, ge=0.0, le=0.9, description="share of labels replaced by a wrong class, of members and of non-members"
    )

    def files(self) -> Sequence[Path]:
        """Return the files that `arrays` reads; raises HwsimError where they are missing.

        By default the file of the card that exists. A data set that reads other files overrides this method.
        """
        if self.card is None or not self.card.files:
            return ()
        return (locate(registered_name(self), self.card.files, self.card.how_to_get),)

    def checksums(self) -> Mapping[str, str]:
        """Return the SHA-256 of each of `files` by name.

        For a data set from outside of hwsim that names no file, the SHA-256 of its arrays: they are read.
        """
        files = {path.name: file_checksum(path) for path in self.files()}
        if files or type(self).__module__.startswith("hwsim."):
            return files
        return {"arrays": _array_checksum(self)}

    @abstractmethod
    def arrays(self) -> Pool:
        """Return inputs float32 [sample, *shape] in 0..1 and labels int64 [sample], as published."""

    def load(self, seed: int) -> Data:
        """Read the data set without its repeated samples; label noise is drawn from `seed`.

        A sample that occurs twice could be member and non-member of the same model. Only the first of identical
        samples is therefore returned, also where their labels differ.
        """
        pool = Pool(*self.arrays())
        rows = first_occurrences(pool.x)
        dropped = len(pool.x) - len(rows)
        x, clean = (pool.x[rows], pool.labels[rows]) if dropped else (pool.x, pool.labels)
        classes = int(clean.max()) + 1
        labels = clean.copy()
        if self.label_noise:
            draw = stream(seed, "label_noise")
            wrong = draw.random(len(labels)) < self.label_noise
            labels[wrong] = (labels[wrong] + draw.integers(1, classes, wrong.sum())) % classes
        remarks = [
            pool.remark,
            f"{self.label_noise:.0%} of the labels replaced by a wrong class"
            if self.label_noise
            else "labels as published",
            f"{dropped:,} repeated samples dropped" if dropped else "no repeated samples",
        ]
        return Data(x, labels, clean, classes, "; ".join(filter(None, remarks)), rows)


def registered_name(member: Dataset) -> str:
    """Return the name of a data set in the registry; the name of its class where it has none."""
    names = [name for name, record in family("dataset").items() if record.factory is type(member)]
    return names[0] if names else type(member).__name__


_array_checksums: dict[tuple[type[Dataset], str], str] = {}
on_clear(_array_checksums.clear)


def _array_checksum(dataset: Dataset) -> str:
    """Return the SHA-256 of all arrays of a data set, which are read once until `forget_arrays`."""
    key = type(dataset), dataset.model_dump_json()
    if key not in _array_checksums:
        _array_checksums[key] = _read_array_checksum(dataset)
    return _array_checksums[key]


def _read_array_checksum(dataset: Dataset) -> str:
    pool = Pool(*dataset.arrays())
    digest = hashlib.sha256(pool.remark.encode())
    for array in (pool.x, pool.labels):
        digest.update(f"{array.shape} {array.dtype.str}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def forget_arrays() -> None:
    """Forget the checksums of arrays, so that `Dataset.checksums` reads them again."""
    _array_checksums.clear()


def first_occurrences(x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the rows int64, ascending, of the first of identical samples of `x` [sample, ...].

    Samples are compared as numbers, so -0.0 equals 0.0. The comparison uses a 128-bit hash, so that 145,600 images take
    a second and no second copy.

    >>> first_occurrences(np.array([[1, 2], [0, 3], [1, 2], [-0.0, 3]], dtype=np.float32))
    array([0, 1])
    """
    flat = x.reshape(len(x), -1)
    seen: set[bytes] = set()
    first = []
    for row, sample in enumerate(flat):
        digest = hashlib.blake2b((sample + np.float32(0)).tobytes(), digest_size=16).digest()  # + 0 turns -0.0 into 0.0
        if digest not in seen:
            seen.add(digest)
            first.append(row)
    return np.array(first, dtype=np.int64)
