"""Splits with a name give everybody the same samples."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets import DATA_VARIABLE, Data
from hwsim.datasets.splits import SPLITS, permutation, split
from hwsim.errors import HwsimError, UnknownName
from hwsim.registry import build, family

GOLDEN = tomllib.loads((Path(__file__).parents[1] / "golden" / "splits.toml").read_text(encoding="utf-8"))


def made(samples: int, dropped: list[int] | None = None) -> Data:
    """A pool of one feature, of which the rows `dropped` were repeats."""
    rows = np.setdiff1d(np.arange(samples + len(dropped or [])), dropped or [])
    labels = np.zeros(len(rows), dtype=np.int64)
    return Data(rows[:, None].astype(np.float32), labels, labels, 1, "", rows)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_permutation_is_the_published_one(name: str) -> None:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder or not (Path(folder) / name).is_dir():
        pytest.skip(f"no folder {name} in the data folder, which {DATA_VARIABLE} names")
    golden = GOLDEN[name]
    data = build("dataset", name).load(0)
    assert len(data.x) == golden["samples"]
    check(data, None, golden)
    if "training" in golden:
        check(data, golden["training"]["rows"], golden["training"])
    for one in SPLITS[name]:
        split(name, one, data)


def check(data: Data, first_rows: int | None, golden: dict) -> None:
    rows = data.rows[permutation(data, first_rows)]
    assert rows[:5].tolist() == golden["first"]
    assert rows[-1] == golden["last"]


@pytest.mark.parametrize("name", [name for name in GOLDEN if not GOLDEN[name]["dropped"]])
def test_where_nothing_repeats_no_file_is_needed_to_tell_it(name: str) -> None:
    check(made(GOLDEN[name]["samples"]), None, GOLDEN[name])
    check(made(60000), 50000, GOLDEN["cifar10_jpeg"]["training"])


@pytest.mark.parametrize(("dataset", "name"), [(d, n) for d, splits in SPLITS.items() for n in splits])
def test_parts_are_disjoint_and_as_large_as_they_say(dataset: str, name: str) -> None:
    how = SPLITS[dataset][name]
    samples = how.samples or 70000
    parts = split(dataset, name, made(samples))
    assert list(parts) == list(how.sizes)
    together = np.concatenate(list(parts.values()))
    assert together.dtype == np.int64
    assert len(np.unique(together)) == len(together)
    assert together.max() < (how.first_rows or samples)
    assert all(len(parts[part]) == size for part, size in how.sizes.items() if size is not None)
    left = (how.first_rows or samples) - len(together)
    assert left == {"ml_leaks": 50000 - 4 * 10520, "quarter": samples % 4}.get(name, 0) if how.samples else left == 0


def test_every_split_says_whose_it_is_and_every_data_set_has_one() -> None:
    assert set(SPLITS) == set(family("dataset"))
    assert all(how.after for splits in SPLITS.values() for how in splits.values())


def test_the_training_part_ends_where_it_did_before_repeats_were_dropped() -> None:
    data = made(10, dropped=[2, 7])  # rows 0 1 3 4 5 6 8 9 10 11
    np.testing.assert_array_equal(np.sort(data.rows[permutation(data, 6)]), [0, 1, 3, 4, 5])


def test_members_of_a_split_follow_the_data_not_its_labels() -> None:
    first, second = made(1797), made(1797)
    second.labels[:] = 1
    np.testing.assert_array_equal(split("digits", "halves", first)["pool"], split("digits", "halves", second)["pool"])


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"split of adult: got ten_K; allowed: ten_k\. Did you mean 'ten_k'"):
        split("adult", "ten_K", made(48785))
    with pytest.raises(UnknownName, match="Did you mean 'adult'"):
        split("adults", "ten_k", made(48785))


def test_other_pools_are_refused() -> None:
    with pytest.raises(HwsimError, match="is for 48,785 samples without repeats, not for 48,842"):
        split("adult", "ten_k", made(48842))
    with pytest.raises(HwsimError, match="needs more than 30,000 samples; shadow_nonmember has none left"):
        split("texas100", "ten_k", made(30000))
