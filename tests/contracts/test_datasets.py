"""Contract of every data set in the registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets import Data, Dataset, DatasetCard, Pool
from hwsim.datasets.base import first_occurrences, forget_arrays
from hwsim.errors import HwsimError
from hwsim.registry import build, family

NAMES = sorted(family("dataset"))
WITHOUT_FILES = {"digits", "breast_cancer", "synthetic_purchase"}


def card_of(name: str) -> DatasetCard:
    make = family("dataset")[name].factory
    assert issubclass(make, Dataset)
    assert make.card is not None
    return make.card


@pytest.fixture(scope="module", params=NAMES)
def loaded(request: pytest.FixtureRequest) -> tuple[str, Data]:
    """Name and data, read once for all tests; skipped where the files are missing."""
    name = request.param
    try:
        return name, build("dataset", name).load(0)
    except HwsimError as error:
        assert name not in WITHOUT_FILES
        assert "\n" not in str(error)
        assert name in str(error)
        assert "docs/datasets.md" in str(error), "the message contains instructions"
        pytest.skip(str(error))


@pytest.mark.parametrize("name", NAMES)
def test_it_has_help_citation_and_card(name: str) -> None:
    record, card = family("dataset")[name], card_of(name)
    assert record.help
    assert record.citation
    assert card.license
    assert card.source
    assert bool(card.files) == (name not in WITHOUT_FILES)
    assert bool(card.checksum) == (name not in WITHOUT_FILES)
    assert all(file.startswith(f"{name}/") for file in card.files)


def test_inputs_and_labels_are_valid(loaded: tuple[str, Data]) -> None:
    _, data = loaded
    assert data.x.dtype == np.float32
    assert data.x.min() >= 0, "also False for NaN"
    assert data.x.max() <= 1
    for labels in (data.labels, data.clean_labels):
        assert labels.dtype == np.int64
        assert labels.shape == (len(data.x),)
        assert set(np.unique(labels)) == set(range(data.classes))


def test_it_matches_its_card(loaded: tuple[str, Data]) -> None:
    name, data = loaded
    card = card_of(name)
    assert data.shape == card.shape
    assert data.classes == card.classes
    assert data.rows.dtype == np.int64
    assert (np.diff(data.rows) > 0).all()
    assert data.rows[0] == 0
    assert data.rows[-1] < card.samples
    dropped = card.samples - len(data.x)
    assert (f"{dropped:,} repeated samples dropped" if dropped else "no repeated samples") in data.note


def test_no_sample_occurs_twice(loaded: tuple[str, Data]) -> None:
    _, data = loaded
    assert len(first_occurrences(data.x)) == len(data.x)


def test_the_same_seed_gives_the_same_bits(loaded: tuple[str, Data]) -> None:
    name, data = loaded
    again: Data = build("dataset", name).load(0)
    assert data.x.tobytes() == again.x.tobytes()
    assert data.labels.tobytes() == again.labels.tobytes()
    if len(data.x) < 10_000:  # noise is drawn by the base class, in the same way for all
        noisy = build("dataset", name, label_noise=0.3)
        assert noisy.load(1).labels.tobytes() == noisy.load(1).labels.tobytes()


FILES = [(name, file) for name in NAMES for file in card_of(name).files]


@pytest.mark.parametrize(("name", "file"), FILES)
def test_the_bytes_of_every_file_are_part_of_the_checksums(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWSIM_DATA", str(tmp_path))
    dataset = build("dataset", name)
    with pytest.raises(HwsimError, match=r"docs/datasets\.md"):
        dataset.checksums()
    parts = getattr(dataset, "parts", {}) if file.endswith(".bin") else {}
    places = [(tmp_path / file).parent / part for part in parts] or [tmp_path / file]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"before")
    before = dataset.checksums()
    assert dataset.checksums() == before
    for place in places:
        place.write_bytes(b"after!")
        assert dataset.checksums()[place.name] != before[place.name]


class TheirData(Dataset):
    """A data set from outside of hwsim that names no file."""

    file: str

    def arrays(self) -> Pool:
        x = np.fromfile(self.file, dtype=np.float32).reshape(-1, 2)
        return Pool(x, np.arange(len(x)) % 2)


def test_the_arrays_of_a_set_that_names_no_file_are_part_of_the_checksums(tmp_path: Path) -> None:
    np.zeros(8, dtype=np.float32).tofile(tmp_path / "x.bin")
    dataset = TheirData(file=str(tmp_path / "x.bin"))
    before = dataset.checksums()
    np.ones(8, dtype=np.float32).tofile(tmp_path / "x.bin")
    forget_arrays()
    assert dataset.checksums() != before
