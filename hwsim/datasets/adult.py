"""UCI Adult, from the data folder."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.features import joined, one_hot, scaled
from hwsim.datasets.files import ArraySpec, read_npz
from hwsim.registry import register

ARRAYS = {
    "x_train": ArraySpec((32561, 14), "float32", "f9b447b32bd3877d90b66a85570892f30c835244c8d3f0abfcb147b5808e95cf"),
    "y_train": ArraySpec((32561,), "uint8", "fc6f24803d0465014d0a618840423ad387d55f85b6d8f37ad8b95edba4c9e778"),
    "x_test": ArraySpec((16281, 14), "float32", "57252dc66c180b14a80ecae5c11a60d94358e7fbfbe03450c57de3f808b25c30"),
    "y_test": ArraySpec((16281,), "uint8", "c4834b715ef2a7f9ffe84d0d0c06063b617700129b09199ac6fe62d338e4c49c"),
}

CATEGORIES = {1: 9, 3: 16, 5: 7, 6: 15, 7: 6, 8: 5, 9: 2, 13: 42}
"""Column -> number of categories, `?` included. All other columns are numbers."""

FEATURES = sum(CATEGORIES.get(column, 1) for column in range(14))


@register(
    "dataset",
    "adult",
    citation="Becker and Kohavi, Adult, UCI Machine Learning Repository 1996",
)
class Adult(Dataset):
    """UCI Adult: 48,842 census records, 14 attributes as 108 features, income above 50,000 dollars or not."""

    card: ClassVar[DatasetCard] = DatasetCard(
        48842,
        (FEATURES,),
        2,
        "UCI's terms, not verified",
        "archive.ics.uci.edu/ml/machine-learning-databases/adult/, adult.data and adult.test",
        "SHA-256 of every array",
        ("adult/adult.npz",),
    )

    def arrays(self) -> Pool:
        """Return features float32 [48842, 108], training records first, and labels 1 for more than 50,000 dollars.

        Attributes keep the order of the file. A category becomes one feature per value; a number is scaled to 0..1 by
        its range over the whole pool.
        """
        d = read_npz("adult", ARRAYS, self.card.how_to_get)
        x = np.concatenate([d["x_train"], d["x_test"]]).astype(np.float64)
        features = [
            one_hot(x[:, column], CATEGORIES[column]) if column in CATEGORIES else scaled(x[:, column : column + 1])
            for column in range(x.shape[1])
        ]
        return Pool(np.concatenate(features, axis=1), joined(d, "y").astype(np.int64))
