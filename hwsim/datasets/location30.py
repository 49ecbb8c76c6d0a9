"""Location-30, read from the user's data folder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.datasets.base import Dataset, read_npz
from hwsim.registry import register

SHA256 = "bd8d6120a220048d8fce4450b97f2cf6fbe7a31b5f7bdad2d6199c4885180c05"


@register(
    "dataset",
    "location30",
    citation="Yang, Zhang and Qu, Participatory Cultural Mapping Based on Collective Behavior Data, "
    "TIST 2016; prepared by Shokri et al., S&P 2017",
)
class Location30(Dataset):
    """Location-30: 5,010 users' check-ins in Bangkok, 446 binary features in 30 classes, read from the data folder."""

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features float32 [5010, 446] of 0 and 1, and labels 0..29."""
        d = read_npz("location30", SHA256, ("x_packed", "n_features", "y"))
        bits = np.unpackbits(d["x_packed"].astype(np.uint8), axis=1)[:, : int(d["n_features"])]
        return bits.astype(np.float32), d["y"].astype(np.int64)
