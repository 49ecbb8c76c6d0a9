"""The letters of EMNIST, from the data folder."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.features import joined, pixels
from hwsim.datasets.files import ArraySpec, read_npz
from hwsim.registry import register

ARRAYS = {
    "x_train": ArraySpec((124800, 28, 28), "uint8", "9d5d0a67fd893cbfb3a49abf7a1b764c994c462b342648a4fba0dcc0d7f5cfc6"),
    "y_train": ArraySpec((124800,), "uint8", "0d99903cfb9cfa946e8e96c93075e89b12c678328a2f4085c707533e4d93a43d"),
    "x_test": ArraySpec((20800, 28, 28), "uint8", "29150cc5b2fb612669596f0f21d0bb914db3340f59026259a77d1eadd6e2a7e2"),
    "y_test": ArraySpec((20800,), "uint8", "062d118d0459ebc21715245cb2d003ea28c7af7420a1b42c1f0fa61f3afa4da4"),
}


@register(
    "dataset",
    "emnist_letters",
    citation="Cohen, Afshar, Tapson and van Schaik, EMNIST: an Extension of MNIST to Handwritten Letters, "
    "arXiv 1702.05373",
)
class EmnistLetters(Dataset):
    """EMNIST letters: 145,600 gray images of 28 x 28 pixels in 26 classes, read from the data folder."""

    card: ClassVar[DatasetCard] = DatasetCard(
        145600,
        (1, 28, 28),
        26,
        "none stated",
        "www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip, the emnist-letters-* files",
        "SHA-256 of every array",
        ("emnist_letters/emnist_letters.npz",),
    )

    def arrays(self) -> Pool:
        """Return upright images float32 [145600, 1, 28, 28] in 0..1, training images first, and labels 0..25."""
        d = read_npz("emnist_letters", ARRAYS, self.card.how_to_get)
        return Pool(pixels(joined(d, "x"))[:, None], joined(d, "y").astype(np.int64) - 1)
