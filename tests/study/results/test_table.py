from __future__ import annotations

import csv
import io
import json
import sys

import pytest

from hwsim.errors import HwsimError
from hwsim.study.results.store import PointResult
from hwsim.study.results.table import frame, rows, to_csv, to_jsonl, to_parquet
from hwsim.study.search.pareto import front_of
from hwsim.study.search.study import Study
from tests.support.fake_stages import STUDY, result

pytestmark = pytest.mark.usefixtures("fake_choices")


@pytest.fixture
def table():
    points = Study.from_mapping(STUDY).points()
    results = {p.design.settings_key: PointResult("done", result(p.design)) for p in points}
    results[points[1].design.settings_key] = PointResult("infeasible", {"reason": "too small, alas"})
    del results[points[2].design.settings_key]
    return rows(points, results)


def test_one_row_per_point_in_grid_order_with_the_same_columns(table):
    assert len(table) == 18
    assert len({tuple(row) for row in table}) == 1
    assert list(table[0])[:5] == ["quantizer", "accelerator", "seed", "status", "accuracy"]
    assert list(table[0])[-3:] == ["warnings", "reason", "key"]
    assert [row["status"] for row in table[:4]] == ["done", "infeasible", "pending", "done"]
    assert table[0]["quantizer"] == "fake_quantizer w_bits=8"


def test_the_columns_do_not_depend_on_which_point_ended_first():
    points = Study.from_mapping(STUDY).points()
    results = {p.design.settings_key: PointResult("done", result(p.design)) for p in points}
    assert to_csv(rows(points, results)) == to_csv(rows(points, dict(reversed(results.items()))))


def test_csv_reads_back_exactly(table):
    back = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert float(back[0]["energy_pj"]) == table[0]["energy_pj"]
    assert back[0]["macs"] == "110000"
    assert back[1]["reason"] == "too small, alas"
    assert back[1]["accuracy"] == back[2]["accuracy"] == ""


def test_jsonl_reads_back_exactly(table):
    assert [json.loads(line) for line in to_jsonl(table).splitlines()] == [dict(row) for row in table]


def test_the_frame_has_integer_columns(table):
    data = frame(table)
    assert data.shape == (18, len(table[0]))
    assert str(data["macs"].dtype) == "Int64"
    assert data["macs"].isna().sum() == 2


def test_unfinished_points_are_not_on_the_front(table):
    mask = front_of(table, STUDY["objectives"])
    assert mask.any()
    assert not mask[1]
    assert not mask[2]


def test_parquet_without_pyarrow_names_the_extra(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(HwsimError, match=r"pip install 'hwsim\[parquet\]'"):
        to_parquet(table)


def test_a_text_that_a_spreadsheet_would_run_is_quoted_and_numbers_are_not():
    row = {"a": "=1+1", "b": "+x", "c": "-x", "d": "@x", "e": "\tx", "f": -1, "g": -0.5, "h": "x=1", "=i": None}
    head, cells = csv.reader(io.StringIO(to_csv([row])))
    assert cells == ["'=1+1", "'+x", "'-x", "'@x", "'\tx", "-1", "-0.5", "x=1", ""]
    assert head[-1] == "'=i"
