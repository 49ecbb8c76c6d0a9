"""Named splits always have the same samples."""

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


def pool_of(samples: int, dropped: list[int] | None = None) -> Data:
    """A pool of one feature without the rows `dropped`, which were repeated samples."""
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
def test_the_permutation_depends_on_the_size_alone(name: str) -> None:
    check(pool_of(GOLDEN[name]["samples"]), None, GOLDEN[name])
    check(pool_of(60000), 50000, GOLDEN["cifar10_jpeg"]["training"])


@pytest.mark.parametrize(("dataset", "name"), [(d, n) for d, splits in SPLITS.items() for n in splits])
def test_parts_are_disjoint_and_have_their_sizes(dataset: str, name: str) -> None:
    chosen = SPLITS[dataset][name]
    samples = chosen.samples or 70000
    parts = split(dataset, name, pool_of(samples))
    assert list(parts) == list(chosen.sizes)
    together = np.concatenate(list(parts.values()))
    assert together.dtype == np.int64
    assert len(np.unique(together)) == len(together)
    assert together.max() < (chosen.first_rows or samples)
    assert all(len(parts[part]) == size for part, size in chosen.sizes.items() if size is not None)
    left = (chosen.first_rows or samples) - len(together)
    assert left == {"ml_leaks": 50000 - 4 * 10520, "quarter": samples % 4}.get(name, 0) if chosen.samples else left == 0


def test_every_split_has_a_source_and_every_data_set_a_split() -> None:
    assert set(SPLITS) == set(family("dataset"))
    assert all(chosen.source for splits in SPLITS.values() for chosen in splits.values())


def test_the_training_part_is_defined_by_published_rows() -> None:
    data = pool_of(10, dropped=[2, 7])  # rows 0 1 3 4 5 6 8 9 10 11
    np.testing.assert_array_equal(np.sort(data.rows[permutation(data, 6)]), [0, 1, 3, 4, 5])


def test_splits_do_not_depend_on_labels() -> None:
    first, second = pool_of(1797), pool_of(1797)
    second.labels[:] = 1
    np.testing.assert_array_equal(split("digits", "halves", first)["pool"], split("digits", "halves", second)["pool"])


def test_unknown_names_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match=r"split of adult: got ten_K; allowed: ten_k\. Did you mean 'ten_k'"):
        split("adult", "ten_K", pool_of(48785))
    with pytest.raises(UnknownName, match="Did you mean 'adult'"):
        split("adults", "ten_k", pool_of(48785))


def test_other_pools_are_refused() -> None:
    with pytest.raises(HwsimError, match="is for 48,785 unrepeated samples, not for 48,842"):
        split("adult", "ten_k", pool_of(48842))
    with pytest.raises(HwsimError, match="needs more than 30,000 samples; shadow_nonmember has none left"):
        split("texas100", "ten_k", pool_of(30000))
