"""The official file of MedMNIST is read directly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets import pneumonia_mnist
from hwsim.datasets.files import md5
from hwsim.datasets.pneumonia_mnist import PneumoniaMNIST
from hwsim.errors import HwsimError

PARTS = {"train": 4708, "val": 524, "test": 624}


def official(folder: Path, **changes: np.ndarray) -> Path:
    """A file in the format of MedMNIST, with random pixels."""
    draw = np.random.default_rng(0)
    arrays = {}
    for part, rows in PARTS.items():
        arrays[f"{part}_images"] = draw.integers(0, 256, (rows, 28, 28), dtype=np.uint8)
        arrays[f"{part}_labels"] = draw.integers(0, 2, (rows, 1), dtype=np.uint8)
    path = folder / "pneumonia_mnist" / "pneumoniamnist.npz"
    path.parent.mkdir()
    np.savez(path, **arrays | changes)  # type: ignore[arg-type]
    return path


def test_parts_are_joined_in_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = official(folder)
    monkeypatch.setattr(pneumonia_mnist, "OFFICIAL_MD5", md5(path))
    pool = PneumoniaMNIST().arrays()
    assert pool.x.shape == (5856, 1, 28, 28)
    assert "MedMNIST's order" in pool.remark
    with np.load(path) as d:
        np.testing.assert_array_equal(pool.x[4708:5232, 0], d["val_images"].astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(pool.labels[5232:], d["test_labels"][:, 0])


def test_another_file_is_refused(folder: Path) -> None:
    official(folder)
    with pytest.raises(HwsimError, match=r"its md5 is .*, not 28209eda62fecd6e6a2d98b1501bb15f"):
        PneumoniaMNIST().arrays()


def test_arrays_of_another_size_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = official(folder, train_images=np.zeros((9, 28, 28), dtype=np.uint8))
    monkeypatch.setattr(pneumonia_mnist, "OFFICIAL_MD5", md5(path))
    with pytest.raises(HwsimError, match="damaged or another file"):
        PneumoniaMNIST().arrays()
