"""Location-30, from the data folder."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.files import ArraySpec, read_npz
from hwsim.registry import register

FEATURES = 446
ARRAYS = {
    "x_packed": ArraySpec((5010, 56), "uint8", "2b148dd312ef19d824f625023914c1ca47e7539c2cd9bba7aa7b0d9b0f242409"),
    "y": ArraySpec((5010,), "uint8", "fdd366c228dc3e41ca998a3fd5ef9f43e13e465449bb5e4fcf0e1c598f268268"),
}


@register(
    "dataset",
    "location30",
    citation="Yang, Zhang and Qu, Participatory Cultural Mapping Based on Collective Behavior Data, "
    "TIST 2016; prepared by Shokri et al., S&P 2017",
)
class Location30(Dataset):
    """Location-30: 5,010 users' check-ins in Bangkok, 446 binary features in 30 classes, read from the data folder."""

    card: ClassVar[DatasetCard] = DatasetCard(
        5010,
        (FEATURES,),
        30,
        "none stated",
        "github.com/privacytrustlab/datasets, dataset_location.tgz",
        "SHA-256 of every array",
        ("location30/location30.npz",),
    )

    def arrays(self) -> Pool:
        """Return features float32 [5010, 446] of 0 and 1, and labels 0..29."""
        d = read_npz("location30", ARRAYS, self.card.how_to_get)
        bits = np.unpackbits(d["x_packed"].astype(np.uint8), axis=1)[:, :FEATURES]
        return Pool(bits.astype(np.float32), d["y"].astype(np.int64))
