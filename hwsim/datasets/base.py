"""What a data set is: a pool of samples without repeats, its labels, and a card that says where it comes from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.registry import Configurable
from hwsim.rng import stream


@dataclass(frozen=True)
class Card:
    """What is known of a data set without reading it.

    `samples` counts the published rows, before repeats are dropped; `shape` is that of one sample.
    `files` are places beneath the data folder of which any one will do; a set without files needs
    none. `source` says where to get it, `checksum` what verifies it.
    """

    samples: int
    shape: tuple[int, ...]
    classes: int
    licence: str
    source: str
    checksum: str = ""
    files: tuple[str, ...] = ()

    @property
    def get(self) -> str:
        """How to get the files, for messages."""
        return f"from {self.source}" + (f" ({self.checksum})" if self.checksum else "")


class Pool(NamedTuple):
    """A data set as published: `x` float32 [sample, *shape] in 0..1, `labels` int64 [sample].

    Rows are the training part, then validation where there is one, then test. `remark` is what every
    result on this data has to say.
    """

    x: NDArray[np.float32]
    labels: NDArray[np.int64]
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Data:
    """A labelled data set in memory, without repeated samples.

    `x` float32 [sample, *shape] in 0..1; `labels` int64 [sample], what models are trained on and
    audited with; `clean_labels` the same before label noise, for accuracy; `note` goes into reports;
    `rows` int64 [sample] is the row of each sample in the published pool.
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
    """Base of the data sets: subclasses read arrays, this class drops repeats and adds label noise."""

    card: ClassVar[Card | None] = None

    label_noise: float = Field(
        0.0, ge=0.0, le=0.9, description="share of labels replaced by a wrong class, members and non-members alike"
    )

    def arrays(self) -> Pool:
        """Inputs float32 [sample, *shape] in 0..1 and labels int64 [sample], as published."""
        raise NotImplementedError

    def load(self, seed: int) -> Data:
        """Read the data set and drop its repeats; label noise is drawn from `seed`.

        A sample that occurs twice could be member and non-member of the same model at once, so only
        the first of every group of identical samples stays, whatever the labels of the others.
        """
        pool = Pool(*self.arrays())
        rows = first_of_repeats(pool.x)
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


def first_of_repeats(x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows int64, ascending, of the first of every group of identical samples of `x` [sample, ...].

    Samples are compared as numbers, so -0.0 equals 0.0; by a 128-bit hash, so that 145,600 images take
    a second and no second copy.

    >>> first_of_repeats(np.array([[1, 2], [0, 3], [1, 2], [-0.0, 3]], dtype=np.float32))
    array([0, 1])
    """
    flat = x.reshape(len(x), -1)
    seen: set[bytes] = set()
    first = []
    for row, sample in enumerate(flat):
        digest = hashlib.blake2b((sample + np.float32(0)).tobytes(), digest_size=16).digest()  # + 0 makes -0.0 a 0.0
        if digest not in seen:
            seen.add(digest)
            first.append(row)
    return np.array(first, dtype=np.int64)
