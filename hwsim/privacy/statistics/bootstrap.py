"""Bootstrap of the samples: rates of an attack at a low error rate, on resampled samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.rng import derive_seed

RESAMPLES = 1000
"""Default number of bootstrap resamples."""


def resample_seeds(resamples: int, seed: int) -> NDArray[np.uint64]:
    """Return the seed of the samples of each resample, uint64 [resample]."""
    return np.array([derive_seed(seed, "bootstrap points", r) for r in range(resamples)], dtype=np.uint64)
