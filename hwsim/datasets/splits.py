"""Named splits: samples of members, of non-members, of shadow models and of references.

A split is defined by its sizes. The samples follow from one permutation of the pool (training, validation, test;
without repeated samples), which is drawn by PCG64 with a fixed seed and cut into consecutive slices. A name therefore
always means the same samples. Labels have no influence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.datasets.base import Data
from hwsim.errors import HwsimError, UnknownName

SEED = 20230907
"""Seed of the permutation of every split."""


@dataclass(frozen=True)
class Split:
    """Sizes of the parts of a pool.

    Attributes
    ----------
    sizes : part -> number of samples, in the order of the slices; None for all remaining samples
    source : origin of the split
    samples : size of the pool without repeated samples, where it is known; it is checked
    first_rows : number of published rows to which the pool is limited (the training part), None for all rows
    """

    sizes: Mapping[str, int | None]
    source: str
    samples: int | None = None
    first_rows: int | None = None


ML_DOCTOR = "liuyugeng/ML-Doctor, demoloader/dataloader.py: a quarter of train and test together for each part"
LOSS_TRAJECTORY = "DennisLiu2022, code of TrajectoryMIA, dataset.py: four parts of 10,000, the rest for distillation"
ML_LEAKS = "AhmedSalem2/ML-Leaks, mlLeaks.py: four parts of 10,520 of the training images"
RELAX_LOSS = "DingfanChen/RelaxLoss, source/utils/misc.py: five equal parts"
LIRA = "orientino/lira-pytorch, train.py: every model trains on a random half of the training images"
MEMGUARD = "jinyuan-jia/MemGuard, config.ini: sizes of that split, our permutation"
OWN = "our own sizes, similar to the other splits"
HALVES = "our own: random halves, many models, scores pooled; a single split of a few hundred rows resolves nothing"


def _four(size: int, rest: str = "", left: int | None = None) -> dict[str, int | None]:
    parts: dict[str, int | None] = dict.fromkeys(
        ("target_member", "target_nonmember", "shadow_member", "shadow_nonmember"), size
    )
    return parts | {rest: left} if rest else parts


def _pool(source: str, samples: int | None = None, first_rows: int | None = None) -> Split:
    return Split({"pool": None}, source, samples, first_rows)


_MNIST = {
    "quarter": Split(_four(17500), ML_DOCTOR, 70000),
    "ten_k": Split(_four(10000, "reference", 30000), LOSS_TRAJECTORY, 70000),
    "lira": _pool(LIRA, 70000, first_rows=60000),
}

_CIFAR10 = {
    "ten_k": Split(_four(10000, "reference", 20000), LOSS_TRAJECTORY, 60000),
    "ml_leaks": Split(
        dict.fromkeys(("target_member", "shadow_member", "target_nonmember", "shadow_nonmember"), 10520),
        ML_LEAKS,
        60000,
        first_rows=50000,
    ),
    "fifth": Split(_four(12000, "reference", 12000), RELAX_LOSS, 60000),
    "lira": _pool(LIRA, 60000, first_rows=50000),
}

SPLITS: Mapping[str, Mapping[str, Split]] = {
    "fashion_mnist": _MNIST,
    "mnist": _MNIST,
    "emnist_letters": {"twenty_k": Split(_four(20000, "reference", 65595), OWN, 145595)},
    "cifar10_jpeg": _CIFAR10,
    "cifar10": _CIFAR10,
    "cifar100": {
        "ten_k": Split(_four(10000, "reference"), LOSS_TRAJECTORY),
        "lira": _pool(LIRA, first_rows=50000),
    },
    "location30": {
        "memguard": Split(
            {"target_member": 1000, "defense_nonmember": 1000, "target_nonmember": 1000, "rest": 2010}, MEMGUARD, 5010
        )
    },
    "adult": {"ten_k": Split(_four(10000, "reference", 8785), OWN, 48785)},
    "cardio": {"ten_k": Split(_four(10000, "reference", 29959), OWN, 69959)},
    "pneumonia_mnist": {"quarter": Split(_four(1456), ML_DOCTOR, 5827)},
    "purchase100": {"ten_k": Split(_four(10000, "reference"), OWN)},
    "texas100": {"ten_k": Split(_four(10000, "reference"), OWN)},
    "digits": {"halves": _pool(HALVES, 1797)},
    "breast_cancer": {"halves": _pool(HALVES, 569)},
    "pima_diabetes": {"halves": _pool(HALVES, 768)},
    "heart_cleveland": {"halves": _pool(HALVES, 303)},
    "mammography": {"halves": _pool(HALVES, 7848)},
    "cifar10_first4000": {"halves": _pool(HALVES, 4000)},
    "synthetic_purchase": {"halves": _pool(HALVES)},
}
"""Data set -> name of the split -> split. `target_nonmember` is also the test set.

`lira` and `halves` have one part, `pool`; the game draws which half each model trains on.
"""


def split(dataset: str, name: str, data: Data) -> dict[str, NDArray[np.int64]]:
    """Return the parts of a named split: part -> indices int64 into `data.x`, in the order of the permutation.

    Raises UnknownName with the splits of the data set, and HwsimError where `data` has another number of samples than
    the split.

    >>> from hwsim.registry import build
    >>> parts = split("digits", "halves", build("dataset", "digits").load(0))
    >>> parts["pool"][:3].tolist(), len(parts["pool"])
    ([695, 1397, 1328], 1797)
    """
    if dataset not in SPLITS:
        raise UnknownName("split.dataset", dataset, SPLITS)
    if name not in SPLITS[dataset]:
        raise UnknownName(f"split of {dataset}", name, SPLITS[dataset])
    chosen = SPLITS[dataset][name]
    if chosen.samples not in (None, len(data.x)):
        raise HwsimError(
            f"split {name!r} of {dataset!r} is for {chosen.samples:,} unrepeated samples, not for {len(data.x):,}"
        )
    order = permutation(data, chosen.first_rows)
    parts, start = {}, 0
    for part, size in chosen.sizes.items():
        stop = len(order) if size is None else start + size
        if stop > len(order) or stop == start:
            raise HwsimError(
                f"split {name!r} of {dataset!r} needs more than {len(order):,} samples; {part} has none left"
            )
        parts[part] = order[start:stop]
        start = stop
    return parts


def permutation(data: Data, first_rows: int | None = None) -> NDArray[np.int64]:
    """Return all samples, or those of the first published rows: indices int64 into `data.x`, in the order of splits."""
    end = len(data.rows) if first_rows is None else int(np.searchsorted(data.rows, first_rows))
    return np.random.Generator(np.random.PCG64(SEED)).permutation(end).astype(np.int64)
