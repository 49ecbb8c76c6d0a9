"""Purchase-like records generated from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.datasets.synthetic_purchase import nearest_prototype
from hwsim.errors import BadInput
from hwsim.registry import build

SMALL = {"samples": 300, "features": 40, "classes": 5}


def test_records_are_bits_and_depend_on_their_own_seed() -> None:
    first, same, other = (
        build("dataset", "synthetic_purchase", **SMALL, seed=seed).load(run) for seed, run in ((1, 0), (1, 9), (2, 0))
    )
    assert set(np.unique(first.x)) == {0, 1}
    assert first.x.tobytes() == same.x.tobytes()
    assert first.x.tobytes() != other.x[: len(first.x)].tobytes()
    assert first.note.startswith("synthetic records")


def test_the_label_is_the_nearest_prototype() -> None:
    draw = np.random.default_rng(0)
    x, prototypes = (draw.integers(0, 2, (rows, 20)).astype(np.float32) for rows in (50, 7))
    distances = (x[:, None] != prototypes).sum(axis=2)
    np.testing.assert_array_equal(nearest_prototype(x, prototypes), distances.argmin(axis=1))


def test_the_share_of_flipped_bits_is_the_given_one() -> None:
    """With many features every record is nearest to its own prototype."""
    data = build("dataset", "synthetic_purchase", samples=2000, features=600, classes=4, flips=0.1).load(0)
    centers = np.stack([data.x[data.labels == c].mean(axis=0) for c in range(4)]).round()
    flipped = np.mean([np.mean(data.x[data.labels == c] != centers[c]) for c in range(4)])
    assert 0.095 < flipped < 0.105
    assert 0.22 < centers.mean() < 0.28


def test_a_class_without_records_is_an_error() -> None:
    with pytest.raises(BadInput, match=r"dataset\.samples: got 20; allowed: more, or fewer classes"):
        build("dataset", "synthetic_purchase", samples=20, classes=50).load(0)
