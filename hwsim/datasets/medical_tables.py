"""Small medical tables from the data folder: one row per patient, one label."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.features import filled, scaled
from hwsim.datasets.files import ArraySpec, read_npz
from hwsim.registry import register


class MedicalTable(Dataset):
    """Base of tables with numbers `x` float32 [record, feature] and labels `y` uint8 [record]."""

    name: ClassVar[str]
    card: ClassVar[DatasetCard]
    sha256: ClassVar[tuple[str, str]]

    def arrays(self) -> Pool:
        """Return features float32 [record, feature], each scaled to 0..1 by its range over all records, and labels.

        A missing value becomes the median of its feature over all records.
        """
        shapes = {"x": (self.card.samples, *self.card.shape), "y": (self.card.samples,)}
        stored = {
            key: ArraySpec(shapes[key], dtype, sha256)
            for key, dtype, sha256 in zip(("x", "y"), ("float32", "uint8"), self.sha256, strict=True)
        }
        d = read_npz(self.name, stored, self.card.how_to_get)
        return Pool(scaled(filled(d["x"].astype(np.float64))), d["y"].astype(np.int64))


def _card(name: str, samples: int, features: int, classes: int, source: str) -> DatasetCard:
    file = f"{name}/{name}.npz"
    return DatasetCard(samples, (features,), classes, "none stated", source, "SHA-256 of every array", (file,))


@register(
    "dataset",
    "cardio",
    citation="S. Ulianova, Cardiovascular Disease dataset, Kaggle, "
    "kaggle.com/datasets/sulianova/cardiovascular-disease-dataset",
)
class Cardio(MedicalTable):
    """Cardiovascular disease: 70,000 patient records of 11 features, ill or not, read from the data folder.

    Impossible blood pressures (from -150 to 16,020) are kept, as in the source, and stretch the range by which the
    pressures are scaled.
    """

    name: ClassVar[str] = "cardio"
    card: ClassVar[DatasetCard] = _card(
        "cardio", 70000, 11, 2, "cardio_train.csv of the Kaggle set Cardiovascular Disease, without the column id"
    )
    sha256: ClassVar[tuple[str, str]] = (
        "8e5ad657447ad9314ea2a1710067abb1173503ff18e14713e68a93117d29072c",
        "eea4eb201f83249d4a5634d8c31b85f61ba6b3d72cad67fa86fbe64d02fe1c6c",
    )


@register(
    "dataset",
    "pima_diabetes",
    citation="Smith et al., Using the ADAP Learning Algorithm to Forecast the Onset of Diabetes Mellitus, 1988",
)
class PimaDiabetes(MedicalTable):
    """Pima Indians diabetes: 768 records of 8 features, diabetes or not, read from the data folder.

    A zero in glucose, blood pressure, skin thickness, insulin or body mass index means that the value was not measured.
    """

    name: ClassVar[str] = "pima_diabetes"
    card: ClassVar[DatasetCard] = _card(
        "pima_diabetes", 768, 8, 2, "github.com/jbrownlee/Datasets, pima-indians-diabetes.csv"
    )
    sha256: ClassVar[tuple[str, str]] = (
        "fb3ab7be11aad36aaccc4e79e7fe28d8dc9020dde25c989e221fe91102ef09ba",
        "47f027f9cd0be2d16358279b35804c9609e20e167534125ce6ee85bf957d5fa7",
    )


@register(
    "dataset",
    "heart_cleveland",
    citation="Detrano et al., International Application of a New Probability Algorithm for the Diagnosis of "
    "Coronary Artery Disease, American Journal of Cardiology 64, 1989",
)
class HeartCleveland(MedicalTable):
    """Heart disease, Cleveland: 303 records of 13 features in 5 degrees of illness, read from the data folder.

    Five missing values are filled with the median of their feature.
    """

    name: ClassVar[str] = "heart_cleveland"
    card: ClassVar[DatasetCard] = _card(
        "heart_cleveland", 303, 13, 5, "the UCI Heart Disease collection, processed.cleveland.data"
    )
    sha256: ClassVar[tuple[str, str]] = (
        "4bcd11d6dbc797b8b030ca072490b2889b0e59ffc5da2e389b548b5edba9005a",
        "587768b926b8b601b9e2d51a547d274e8f1b26a34bd7bf913ec14c33bce18ad6",
    )


@register(
    "dataset",
    "mammography",
    citation="Woods et al., Comparative Evaluation of Pattern Recognition Techniques for Detection of "
    "Microcalcifications in Mammography, IJPRAI 7(6), 1993",
)
class Mammography(MedicalTable):
    """Mammography: 11,183 regions of 6 features, microcalcification or not (2 %), read from the data folder.

    3,335 regions repeat an earlier one; 7,848 remain.
    """

    name: ClassVar[str] = "mammography"
    card: ClassVar[DatasetCard] = _card("mammography", 11183, 6, 2, "github.com/jbrownlee/Datasets, mammography.csv")
    sha256: ClassVar[tuple[str, str]] = (
        "5b0d390520363787e13f70311cffab14f36050854ef1dd65e620184064ba4a3f",
        "21b1b52ea7b81263c877ab7b9b29b7d0ab8bfcaaa100cf2b96071ce40bc6259e",
    )
