"""Synthetic table like Purchase-100: binary records, labeled by the nearest of many prototypes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.errors import BadInput
from hwsim.registry import register
from hwsim.rng import stream


@register(
    "dataset",
    "synthetic_purchase",
    citation="our own generator, after the labels of Purchase-100 in Shokri et al. (S&P 2017): the nearest center "
    "of k-means",
)
class SyntheticPurchase(Dataset):
    """Purchase-like records generated from a seed: binary features, labeled by the nearest of many prototypes.

    A record is a prototype with some of its bits flipped. Where another prototype is then nearer, the record has the
    label of that prototype, as in k-means. Design choice: sizes and shares.
    """

    card: ClassVar[DatasetCard] = DatasetCard(4000, (600,), 100, "Apache-2.0, as hwsim", "hwsim, generated from a seed")

    samples: int = Field(4000, ge=20, le=200_000, description="records, before repeated samples are dropped")
    features: int = Field(600, ge=8, le=10_000, description="binary features of a record")
    classes: int = Field(100, ge=2, le=1000, description="prototypes, each a class")
    ones: float = Field(0.25, gt=0.0, lt=1.0, description="share of ones in a prototype")
    flips: float = Field(0.2, gt=0.0, le=0.5, description="share of a record's bits that differ from its prototype")
    seed: int = Field(0, ge=0, description="seed of the generator; the records do not depend on the seed of the run")

    def arrays(self) -> Pool:
        """Return features float32 [samples, features] of 0 and 1, and labels 0..classes-1.

        Raises BadInput where a prototype is nearest to no record.
        """
        draw = stream(self.seed, "synthetic_purchase")
        prototypes = draw.random((self.classes, self.features), dtype=np.float32) < self.ones
        origin = draw.integers(0, self.classes, self.samples)
        flipped = draw.random((self.samples, self.features), dtype=np.float32) < self.flips
        x = (prototypes[origin] ^ flipped).astype(np.float32)
        labels = nearest_prototype(x, prototypes.astype(np.float32))
        empty = self.classes - len(np.unique(labels))
        if empty:
            raise BadInput(
                "dataset.samples", self.samples, f"more, or fewer classes or flips: {empty} classes have no record"
            )
        return Pool(x, labels, "synthetic records")


def nearest_prototype(x: NDArray[np.float32], prototypes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each row of bits [row, bit] the prototype with the fewest different bits: int64 [row].

    The first of several is returned. Distances are whole numbers below 2**24, so they are exact in float32, with any
    number of threads.

    >>> nearest_prototype(np.float32([[1, 1, 0], [0, 0, 0]]), np.float32([[0, 0, 1], [1, 1, 1]])).tolist()
    [1, 0]
    """
    differing = x @ (1 - prototypes).T + (1 - x) @ prototypes.T
    nearest: NDArray[np.int64] = differing.argmin(axis=1).astype(np.int64)
    return nearest
