"""MNIST, from the data folder."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.features import joined, pixels
from hwsim.datasets.files import ArraySpec, read_npz
from hwsim.registry import register

ARRAYS = {
    "x_train": ArraySpec((60000, 28, 28), "uint8", "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
    "y_train": ArraySpec((60000,), "uint8", "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
    "x_test": ArraySpec((10000, 28, 28), "uint8", "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
    "y_test": ArraySpec((10000,), "uint8", "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
}


@register(
    "dataset",
    "mnist",
    citation="LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition, "
    "Proceedings of the IEEE 86(11), 1998",
)
class MNIST(Dataset):
    """MNIST: 70,000 gray images of handwritten digits, 28 x 28 pixels in 10 classes, read from the data folder."""

    card: ClassVar[DatasetCard] = DatasetCard(
        70000,
        (1, 28, 28),
        10,
        "CC BY-SA 3.0",
        "ossci-datasets.s3.amazonaws.com/mnist/, the four *-ubyte.gz files",
        "SHA-256 of every array",
        ("mnist/mnist.npz",),
    )

    def arrays(self) -> Pool:
        """Return images float32 [70000, 1, 28, 28] in 0..1, training images first, and labels 0..9."""
        d = read_npz("mnist", ARRAYS, self.card.how_to_get)
        return Pool(pixels(joined(d, "x"))[:, None], joined(d, "y").astype(np.int64))
