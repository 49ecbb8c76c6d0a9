"""PneumoniaMNIST, from the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.features import joined, pixels
from hwsim.datasets.files import ArraySpec, damage_reported, locate, md5, read_array, read_npz, verify
from hwsim.files.archive import open_archive
from hwsim.registry import register

ARRAYS = {
    "x_train": ArraySpec((4708, 28, 28), "uint8", "162cc59dc8ea8160004374029c1e9e1ce6b6d77213129800d9eb8a02e0745eed"),
    "y_train": ArraySpec((4708,), "uint8", "51c9590930a3f0c7ac0a094c0ea5dbe65241edfa11a06d6e493615b604900259"),
    "x_val": ArraySpec((524, 28, 28), "uint8", "499b99bb7cc3b2a8654da75b2a19fae443343c6251d46a9c80249930d4f33934"),
    "y_val": ArraySpec((524,), "uint8", "150e23159736511733a32b038e64e5f6235c888105e2bd579efc0e7dcb1c38fd"),
    "x_test": ArraySpec((624, 28, 28), "uint8", "f936e3b6b29d2ed7a8182dd090c27504a6b7152ce496a960db0169622aabf843"),
    "y_test": ArraySpec((624,), "uint8", "13c6ece2a1da60187a0129e7a1b66c685dcbcffe8229225cb5e48e5ee12cfd3d"),
}
OFFICIAL = "pneumonia_mnist/pneumoniamnist.npz"
OFFICIAL_MD5 = "28209eda62fecd6e6a2d98b1501bb15f"


@register(
    "dataset",
    "pneumonia_mnist",
    citation="Yang et al., MedMNIST v2, Scientific Data 10, 2023; images of Kermany et al., Cell 172(5), 2018",
)
class PneumoniaMNIST(Dataset):
    """PneumoniaMNIST: 5,856 chest X-rays of children, 28 x 28 pixels, normal or pneumonia, from the data folder."""

    card: ClassVar[DatasetCard] = DatasetCard(
        5856,
        (1, 28, 28),
        2,
        "CC BY 4.0",
        "zenodo.org/record/6496656/files/pneumoniamnist.npz",
        f"SHA-256 of every array, or MD5 {OFFICIAL_MD5} of the official file",
        ("pneumonia_mnist/pneumonia_mnist.npz", OFFICIAL),
    )

    def arrays(self) -> Pool:
        """Return images float32 [5856, 1, 28, 28] in 0..1, train, val, test, and labels 0 (normal), 1 (pneumonia)."""
        path = locate("pneumonia_mnist", self.card.files, self.card.how_to_get)
        if path.name == Path(OFFICIAL).name:
            with damage_reported("pneumonia_mnist", path, self.card.how_to_get):
                d, remark = _official(path), "training images in MedMNIST's order"
        else:
            d, remark = read_npz("pneumonia_mnist", ARRAYS, self.card.how_to_get), "training images sorted by class"
        return Pool(pixels(joined(d, "x"))[:, None], joined(d, "y").astype(np.int64), remark)


def _official(path: Path) -> dict[str, NDArray[np.generic]]:
    verify(path, md5, OFFICIAL_MD5)
    with open_archive(path) as archive:
        arrays: dict[str, NDArray[np.generic]] = {}
        for part, rows in (("train", 4708), ("val", 524), ("test", 624)):
            arrays[f"x_{part}"] = read_array(archive, f"{part}_images", rows * 784).reshape(rows, 28, 28)
            arrays[f"y_{part}"] = read_array(archive, f"{part}_labels", rows * 8).reshape(rows)
    return arrays
