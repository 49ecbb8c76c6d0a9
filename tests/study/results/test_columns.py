"""Columns: complete, unique and in agreement with the code that fills them."""

from __future__ import annotations

import csv
import re
from dataclasses import fields
from pathlib import Path

import pytest

from hwsim.datasets.inventory import InventoryEntry
from hwsim.machine import CAUSES, COMPONENTS
from hwsim.renamed import RENAMED
from hwsim.report.palette import CAUSE_STYLES, COMPONENT_STYLES
from hwsim.study.results.columns import ATTACK, AUDIT_TABLE, CHOICES, COLUMNS, CYCLES, ENERGY, RESULT, find_column

STUDIES = Path(__file__).parents[3] / "experiments" / "studies"


def test_names_are_unique_and_every_column_has_a_meaning() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    assert len({column.meaning for column in COLUMNS}) == len(COLUMNS)
    for column in (*COLUMNS, *AUDIT_TABLE):
        assert column.name and column.meaning
        assert not column.meaning.endswith(".")


def test_numbers_have_a_unit_and_texts_have_none() -> None:
    assert {column.name for column in COLUMNS if not column.unit} == {
        "status",
        "data_note",
        "warnings",
        "reason",
        "key",
    }


def test_units_in_names_are_the_units() -> None:
    units = {"_pj": "pJ", "_cycles": "cycles", "_us": "microseconds", "_mm2": "mm2"}
    for column in set(COLUMNS) - set(CHOICES):  # a weight is named after its channel
        for ending, unit in units.items():
            if column.name.endswith(ending):
                assert column.unit == unit, column


def test_there_is_a_column_for_every_cause_and_component() -> None:
    assert [column.part for column in CYCLES] == list(CAUSES) == list(CAUSE_STYLES)
    assert [column.part for column in ENERGY] == list(COMPONENTS) == list(COMPONENT_STYLES)


def test_attack_columns_need_a_known_label() -> None:
    found = find_column("my_attack_auc_ci_low", ["my_attack"])
    assert found is not None
    assert found.meaning == "lower end of the 95 % interval of the AUC, for other samples and models"
    assert find_column("my_attack_auc", ["attack"]) is None
    assert find_column("auc", ["my_attack"]) is None


def test_former_names_lead_to_present_columns() -> None:
    of_data = {field.name for field in fields(InventoryEntry)}  # columns of `hwsim data`
    present = {column.name for column in (*RESULT, *ATTACK, *COLUMNS)} | of_data
    former = RENAMED["column"]
    assert set(former.values()) <= present
    assert not set(former) & present


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.csv")), ids=lambda path: path.stem)
def test_stored_tables_have_known_columns(path: Path) -> None:
    with path.open(encoding="utf-8") as file:
        header = next(csv.reader(file))
    labels = [name.removesuffix("_auc") for name in header if name.endswith("_auc")]
    axes = header[: header.index("status")]
    unknown = [name for name in header if name not in axes and find_column(name, labels) is None]
    assert not unknown
    assert all(re.fullmatch(r"[a-z0-9_.]+", name) for name in header)
