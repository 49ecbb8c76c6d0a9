"""Data sets load what they say, and say where they looked when they cannot."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets import DATA_VARIABLE, Data
from hwsim.datasets.base import Stored, read_npz
from hwsim.errors import HwsimError
from hwsim.registry import build, family

BUNDLED = {"digits": ((1797, 1, 8, 8), 10), "breast_cancer": ((569, 30), 2)}
FOLDER = {"fashion_mnist": ((70000, 1, 28, 28), 10), "location30": ((5010, 446), 30)}


def test_every_data_set_is_tested_here() -> None:
    assert set(family("dataset")) == set(BUNDLED) | set(FOLDER)


def check(name: str, shape: tuple[int, ...], classes: int) -> Data:
    data: Data = build("dataset", name).load(0)
    assert data.x.shape == shape
    assert data.x.dtype == np.float32
    assert data.x.min() >= 0
    assert data.x.max() <= 1
    assert data.classes == classes
    assert set(np.unique(data.labels)) == set(range(classes))
    return data


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_bundled(name: str) -> None:
    check(name, *BUNDLED[name])


@pytest.mark.parametrize("name", sorted(FOLDER))
def test_from_the_data_folder(name: str) -> None:
    if not os.environ.get(DATA_VARIABLE):
        pytest.skip(f"{DATA_VARIABLE} is not set: no folder with {name} to read")
    check(name, *FOLDER[name])


def test_label_noise_is_drawn_from_the_seed() -> None:
    noisy = build("dataset", "digits", label_noise=0.3)
    first, again, other = noisy.load(1), noisy.load(1), noisy.load(2)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.labels != other.labels).any()
    assert 0.25 < (first.labels != first.clean_labels).mean() < 0.35
    assert first.labels.max() == 9


def test_a_missing_folder_and_a_missing_file_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(HwsimError, match="--data DIR"):
        build("dataset", "location30").load(0)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(HwsimError, match=r"looked for .*location30\.npz"):
        build("dataset", "location30").load(0)


def small(monkeypatch: pytest.MonkeyPatch, folder: Path, **arrays: np.ndarray) -> dict[str, np.ndarray]:
    """What read_npz says to a file with these arrays, where x must be 2 x 3 zeros."""
    (folder / "some").mkdir()
    np.savez(folder / "some" / "some.npz", **arrays)  # type: ignore[arg-type]
    monkeypatch.setenv(DATA_VARIABLE, str(folder))
    wanted = {"x": Stored((2, 3), "uint8", hashlib.sha256(bytes(6)).hexdigest())}
    return read_npz("some", wanted, "somewhere")  # type: ignore[return-value]


def test_the_right_arrays_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert small(monkeypatch, tmp_path, x=np.zeros((2, 3), np.uint8))["x"].shape == (2, 3)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.ones((2, 3), np.uint8)}, "x is .*not b0f66adc83641586"),
        ({"x": np.zeros((3, 2), np.uint8)}, r"x is \(3, 2\)"),
        ({"x": np.zeros(10_000, np.uint8)}, "x is larger than"),
        ({"y": np.zeros((2, 3), np.uint8)}, "x.npy"),
        ({"x": np.array([{}], dtype=object)}, "pickle"),
    ],
)
def test_other_arrays_are_refused(
    arrays: dict[str, np.ndarray], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(HwsimError, match=said):
        small(monkeypatch, tmp_path, **arrays)


def test_another_file_under_the_name_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "location30").mkdir()
    (tmp_path / "location30" / "location30.npz").write_bytes(b"not this")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(HwsimError, match=r"damaged or another file .*docs/datasets\.md"):
        build("dataset", "location30").load(0)
