"""Data sets have the expected samples, without repeated ones, and the expected labels."""

from __future__ import annotations

import functools
import hashlib
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets import DATA_VARIABLE, Data, Dataset, Pool
from hwsim.datasets.base import first_occurrences
from hwsim.registry import build

GOLDEN = tomllib.loads((Path(__file__).parents[1] / "golden" / "splits.toml").read_text(encoding="utf-8"))


class Twins(Dataset):
    """Rows 0 and 2 are equal with different labels; rows 1 and 4 are equal up to the sign of zero."""

    def arrays(self) -> Pool:
        x = np.array([[0.5, 1], [0.0, 1], [0.5, 1], [1, 1], [-0.0, 1]], dtype=np.float32)
        return Pool(x, np.array([0, 1, 2, 2, 1]), "toy")


def test_the_first_of_identical_samples_is_returned() -> None:
    data = Twins().load(0)
    assert data.rows.tolist() == [0, 1, 3]
    assert data.x.tolist() == [[0.5, 1], [0, 1], [1, 1]]
    assert data.labels.tolist() == data.clean_labels.tolist() == [0, 1, 2]
    assert data.note == "toy; labels as published; 2 repeated samples dropped"


def test_repeated_samples_equal_those_found_by_sorting() -> None:
    x = np.random.default_rng(0).integers(0, 2, (400, 2, 4)).astype(np.float32)
    _, first = np.unique(x.reshape(400, 8), axis=0, return_index=True)
    np.testing.assert_array_equal(first_occurrences(x), np.sort(first))


def test_data_without_repeated_samples_are_unchanged() -> None:
    """Digests of versions that did not drop repeated samples."""
    data = build("dataset", "digits", label_noise=0.15).load(3)
    assert digest(data.x) == "9f578524b6cec1fc800cc52dfc87ebe56264983d490aa72a4bd928ba2570ec77"
    assert digest(data.labels) == "bd8c4096059d696bf51a04db4f984cf07878bc3ee271d62f709500bb98355860"
    assert data.rows.tolist() == list(range(1797))
    assert data.note == "15% of the labels replaced by a wrong class; no repeated samples"
    data = build("dataset", "breast_cancer").load(3)
    assert digest(data.x) == "46a41b5fc4c4ad77871c6e8b01b93a9dda60c32f4fbc53a8ea694caba3a9e5d7"


def test_location30_is_unchanged() -> None:
    data = real("location30", label_noise=0.15)
    assert digest(data.x) == "e72331473b29f36bbabc284ca2758bb5e00ea1049f1b86cf88c0a80f7bf182f6"
    assert digest(data.labels) == "cded6372ebe8858b1991a691e174f97db0c685a691906a333e7f5639042b72f0"


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


@functools.lru_cache(maxsize=2)
def real(name: str, **parameters: float) -> Data:
    """A published data set from the data folder, with the seed of the digests above."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder or not (Path(folder) / name).is_dir():
        pytest.skip(f"no folder {name} in the data folder, which {DATA_VARIABLE} names")
    return build("dataset", name, **parameters).load(3)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", [*GOLDEN, "mammography", "pima_diabetes", "heart_cleveland", "cifar10_first4000"])
def test_number_of_repeated_samples(name: str) -> None:
    counted = {"mammography": 3335, "pima_diabetes": 0, "heart_cleveland": 0, "cifar10_first4000": 0}
    data = real(name)
    dropped = GOLDEN[name]["dropped"] if name in GOLDEN else counted[name]
    assert (f"{dropped:,} repeated samples dropped" if dropped else "no repeated samples") in data.note


def test_the_jpeg_copy_is_near_the_original_pixels_and_is_noted_as_lossy() -> None:
    copy, original = real("cifar10_jpeg"), real("cifar10_first4000")
    assert copy.note.startswith("CIFAR-10 (JPEG copy): lossy, not the original pixels; labels as published")
    np.testing.assert_array_equal(copy.labels[:4000], original.labels)
    error = np.abs(copy.x[:4000] - original.x).mean() * 255
    assert 5.6 < error < 6.0  # 5.8 gray levels, measured independently


def test_adult_has_one_feature_for_each_category() -> None:
    x = real("adult").x
    assert x.shape == (48785, 108)
    np.testing.assert_array_equal(x[:, 1:10].sum(axis=1), 1)  # workclass
    assert (x.sum(axis=1) >= 8).all()  # eight categories


def test_label_noise_is_drawn_from_the_seed() -> None:
    noisy = build("dataset", "digits", label_noise=0.3)
    first, again, other = noisy.load(1), noisy.load(1), noisy.load(2)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.labels != other.labels).any()
    assert 0.25 < (first.labels != first.clean_labels).mean() < 0.35
    assert first.labels.max() == 9
