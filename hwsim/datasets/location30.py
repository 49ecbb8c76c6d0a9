"""Location-30, read from the user's data folder."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.datasets.base import Card, Dataset, Pool
from hwsim.datasets.files import Stored, read_npz
from hwsim.registry import register

FEATURES = 446
ARRAYS = {
    "x_packed": Stored((5010, 56), "uint8", "2b148dd312ef19d824f625023914c1ca47e7539c2cd9bba7aa7b0d9b0f242409"),
    "y": Stored((5010,), "uint8", "fdd366c228dc3e41ca998a3fd5ef9f43e13e465449bb5e4fcf0e1c598f268268"),
}


@register(
    "dataset",
    "location30",
    citation="Yang, Zhang and Qu, Participatory Cultural Mapping Based on Collective Behavior Data, "
    "TIST 2016; prepared by Shokri et al., S&P 2017",
)
class Location30(Dataset):
    """Location-30: 5,010 users' check-ins in Bangkok, 446 binary features in 30 classes, read from the data folder."""

    card: ClassVar[Card] = Card(
        5010,
        (FEATURES,),
        30,
        "none stated",
        "github.com/privacytrustlab/datasets, dataset_location.tgz",
        "SHA-256 of every array",
        ("location30/location30.npz",),
    )

    def arrays(self) -> Pool:
        """Features float32 [5010, 446] of 0 and 1, and labels 0..29."""
        d = read_npz("location30", ARRAYS, self.card.get)
        bits = np.unpackbits(d["x_packed"].astype(np.uint8), axis=1)[:, :FEATURES]
        return Pool(bits.astype(np.float32), d["y"].astype(np.int64))
