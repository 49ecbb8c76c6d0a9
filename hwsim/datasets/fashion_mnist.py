"""Fashion-MNIST, read from the user's data folder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.datasets.base import Dataset, read_npz
from hwsim.registry import register

SHA256 = "5b6d2c4c694a91887af8ab7d039c04f80af3c29378d731c93a538d2e831aa469"


@register(
    "dataset",
    "fashion_mnist",
    citation="Xiao, Rasul and Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine "
    "Learning Algorithms, arXiv 1708.07747",
)
class FashionMNIST(Dataset):
    """Fashion-MNIST: 70,000 grey images of 28 x 28 pixels in 10 classes, read from the data folder."""

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Images float32 [70000, 1, 28, 28] in 0..1, training images first, and labels 0..9."""
        d = read_npz("fashion_mnist", SHA256, ("x_train", "y_train", "x_test", "y_test"))
        x = np.concatenate([d["x_train"], d["x_test"]])[:, None].astype(np.float32) / np.float32(255)
        return x, np.concatenate([d["y_train"], d["y_test"]]).astype(np.int64)
