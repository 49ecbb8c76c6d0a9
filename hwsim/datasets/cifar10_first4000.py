"""The first 4,000 training images of CIFAR-10 in their original pixels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.features import pixels
from hwsim.datasets.files import ArraySpec, read_npz
from hwsim.registry import register

ARRAYS = {
    "x": ArraySpec((4000, 32, 32, 3), "uint8", "bac45b45504ed1289a3f437be4bfbefece248abbc094a428a0b4dfab00e776ae"),
    "y": ArraySpec((4000,), "uint8", "2c365f60663d4e0eae47b2e7e1f85bef4375b295095eff8ce46a32be9415473c"),
}


@register(
    "dataset",
    "cifar10_first4000",
    citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; the rows that "
    "github.com/karpathy/convnetjs carries",
)
class Cifar10First4000(Dataset):
    """CIFAR-10, the first 4,000 training images in original pixels: a check of results on the JPEG copy."""

    card: ClassVar[DatasetCard] = DatasetCard(
        4000,
        (3, 32, 32),
        10,
        "MIT (carrier); none stated for the data",
        "the first 4,000 rows of data_batch_1.bin in cifar-10-binary.tar.gz",
        "SHA-256 of every array",
        ("cifar10_first4000/cifar10_first4000.npz",),
    )

    def arrays(self) -> Pool:
        """Return images float32 [4000, 3, 32, 32] in 0..1 and labels 0..9."""
        d = read_npz("cifar10_first4000", ARRAYS, self.card.how_to_get)
        x = pixels(d["x"].astype(np.uint8).transpose(0, 3, 1, 2))
        return Pool(x, d["y"].astype(np.int64), "CIFAR-10, first 4,000 training images")
