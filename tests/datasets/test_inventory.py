"""Inventory of present, missing and damaged data sets, with instructions."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.datasets import DATA_VARIABLE
from hwsim.datasets.cifar_binary import Cifar10
from hwsim.datasets.inventory import InventoryEntry, inventory, inventory_table
from hwsim.registry import family


def entry(name: str, verify: bool = False) -> InventoryEntry:
    return next(one for one in inventory(verify) if one.name == name)


def test_every_data_set_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    entries = inventory()
    assert [one.name for one in entries] == sorted(family("dataset"))
    assert {one.name for one in entries if one.state == "bundled"} == {"digits", "breast_cancer", "synthetic_purchase"}
    assert {one.state for one in entries} == {"bundled", "missing"}


def test_a_missing_data_set_has_a_place_and_instructions(folder: Path) -> None:
    one = entry("purchase100")
    assert one.state == "missing"
    assert "purchase100/dataset_purchase.tgz" in one.place
    assert "privacytrustlab/datasets" in one.how_to_get
    assert "3efa7476ad5ed7ac3e558d28585a186b38fc5f19" in one.how_to_get
    assert str(folder) not in inventory_table([one])


def test_a_damaged_file_is_present_until_it_is_read(folder: Path) -> None:
    (folder / "location30").mkdir()
    (folder / "location30" / "location30.npz").write_bytes(b"not this")
    assert entry("location30").state == "present"
    read = entry("location30", verify=True)
    assert read.state == "damaged"
    assert not read.verified
    assert "damaged or another file" in read.problem
    assert "location30: dataset 'location30'" in inventory_table([read])


def test_a_file_without_checksum_is_present_and_not_verified(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cifar10, "parts", {"data_batch_1.bin": 1})
    (folder / "cifar10").mkdir()
    (folder / "cifar10" / "data_batch_1.bin").write_bytes(bytes(3073))
    one = entry("cifar10", verify=True)
    assert (one.state, one.verified) == ("present", False)


def test_the_columns_of_the_table_are_aligned() -> None:
    lines = inventory_table([one for one in inventory() if one.state == "bundled"]).splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("breast_cancer")
    assert len({line.index(word) for line, word in zip(lines[1:], ("30", "1x8x8", "600"), strict=True)}) == 1
