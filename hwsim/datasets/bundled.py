"""Data sets of scikit-learn, for demo and tests without a download."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.features import scaled
from hwsim.registry import register


@register(
    "dataset",
    "digits",
    citation="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI 1998; bundled with "
    "scikit-learn (BSD-3-Clause)",
)
class Digits(Dataset):
    """Handwritten digits: 1,797 gray images of 8 x 8 pixels in 10 classes, bundled with scikit-learn."""

    card: ClassVar[DatasetCard] = DatasetCard(1797, (1, 8, 8), 10, "BSD-3-Clause", "scikit-learn")

    def arrays(self) -> Pool:
        """Return images float32 [1797, 1, 8, 8] in 0..1 (sixteenths) and labels 0..9."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        return Pool((bunch.images[:, None] / 16).astype(np.float32), bunch.target.astype(np.int64))


@register(
    "dataset",
    "breast_cancer",
    citation="Wolberg, Mangasarian, Street and Street, Breast Cancer Wisconsin (Diagnostic), UCI 1995; "
    "bundled with scikit-learn",
)
class BreastCancer(Dataset):
    """Breast cancer diagnosis: 569 records of 30 features in 2 classes, bundled with scikit-learn."""

    card: ClassVar[DatasetCard] = DatasetCard(569, (30,), 2, "BSD-3-Clause", "scikit-learn")

    def arrays(self) -> Pool:
        """Return features float32 [569, 30], each scaled to 0..1 by its range over the whole set, and labels 0..1."""
        from sklearn.datasets import load_breast_cancer

        bunch = load_breast_cancer()
        return Pool(scaled(bunch.data), bunch.target.astype(np.int64))
