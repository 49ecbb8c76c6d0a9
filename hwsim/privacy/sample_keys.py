"""Content hashes of samples, used to order and split them independently of their position."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput


def content_keys(*columns: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a 64-bit key per sample, uint64 [sample], from its values in all `columns`, numbers [sample, ...].

    Equal contents have equal keys (0.0 and -0.0 are equal); different contents have equal keys with a probability of
    about 2^-64 per pair. Sorting by the key gives an order that a permutation of the samples does not change. Raises
    BadInput when the columns differ in their number of samples.

    >>> keys = content_keys(np.array([[0.5, 1.0], [0.5, 2.0], [0.5, 1.0]]))
    >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
    (True, False)
    """
    if len({len(c) for c in columns}) != 1:
        raise BadInput("columns", str([c.shape for c in columns]), "one or more arrays with the same number of samples")
    samples = len(columns[0])
    rows = [c.reshape(samples, -1).astype(np.float64) + 0.0 for c in columns]  # adding 0.0 turns -0.0 into 0.0
    joined = np.ascontiguousarray(np.concatenate(rows, axis=1))
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in joined)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def first_half(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return the membership in the first of two halves, bool [sample]; samples with equal keys are in one half.

    Raises BadInput when all keys are equal.

    >>> first_half(np.array([5, 3, 5, 9], dtype=np.uint64)).tolist()
    [False, True, False, False]
    """
    distinct, place = np.unique(keys, return_inverse=True)
    if len(distinct) < 2:
        raise BadInput("samples", f"{len(keys)} samples that are all equal", "two different samples or more")
    return np.asarray(place < len(distinct) // 2)
