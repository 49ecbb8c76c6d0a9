"""Fashion-MNIST, from the data folder."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.features import joined, pixels
from hwsim.datasets.files import ArraySpec, read_npz
from hwsim.registry import register

ARRAYS = {
    "x_train": ArraySpec((60000, 28, 28), "uint8", "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012"),
    "y_train": ArraySpec((60000,), "uint8", "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"),
    "x_test": ArraySpec((10000, 28, 28), "uint8", "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a"),
    "y_test": ArraySpec((10000,), "uint8", "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9"),
}


@register(
    "dataset",
    "fashion_mnist",
    citation="Xiao, Rasul and Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine "
    "Learning Algorithms, arXiv 1708.07747",
)
class FashionMNIST(Dataset):
    """Fashion-MNIST: 70,000 gray images of 28 x 28 pixels in 10 classes, read from the data folder."""

    card: ClassVar[DatasetCard] = DatasetCard(
        70000,
        (1, 28, 28),
        10,
        "MIT",
        "github.com/zalandoresearch/fashion-mnist, folder data/fashion",
        "SHA-256 of every array",
        ("fashion_mnist/fashion_mnist.npz",),
    )

    def arrays(self) -> Pool:
        """Return images float32 [70000, 1, 28, 28] in 0..1, training images first, and labels 0..9."""
        d = read_npz("fashion_mnist", ARRAYS, self.card.how_to_get)
        return Pool(pixels(joined(d, "x"))[:, None], joined(d, "y").astype(np.int64))
