"""Contract of every data set in the registry."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.datasets import Data, Dataset, DatasetCard
from hwsim.datasets.base import first_occurrences
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
