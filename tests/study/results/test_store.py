from __future__ import annotations

import os
import sqlite3

import pytest

from hwsim import MODEL_VERSION, version
from hwsim.errors import HwsimError
from hwsim.study.results.store import FORMAT, PointResult, read_store, write_store

STUDY = {"study": {"name": "s"}, "axes": {}}


def filled(folder):
    with write_store(folder, STUDY) as store:
        store.add("k1", {"a": 1}, {"accuracy": 0.1 + 0.2, "macs": 3, "energy_pj": float("nan")})
        store.add("k2", {"a": 2}, {"status": "infeasible", "reason": "too small"})
    return folder / "study.db"


def test_results_come_back_exactly_and_nan_is_left_out(tmp_path):
    filled(tmp_path)
    with read_store(tmp_path) as store:
        results = store.results()
        assert store.study == STUDY
    assert results["k1"].status == "done"
    assert results["k1"].columns == {"accuracy": 0.30000000000000004, "macs": 3}
    assert results["k2"].status == "infeasible"
    assert results["k2"].columns == {"reason": "too small"}


def test_the_grid_has_the_points_of_the_last_run_and_only_these(tmp_path):
    filled(tmp_path)
    with write_store(tmp_path, STUDY, {"s1": "k1", "s3": "k3"}) as store:
        assert set(store.results()) == {"k1", "k2"}
        assert store.grid() == {
            "s1": PointResult("done", {"accuracy": 0.30000000000000004, "macs": 3}, "k1"),
            "s3": PointResult("pending", {}, "k3"),
        }
    with write_store(tmp_path, STUDY, {"s1": "k2"}) as store:
        assert {name: result.key for name, result in store.grid().items()} == {"s1": "k2"}


def test_axes_may_be_extended_and_old_results_stay(tmp_path):
    filled(tmp_path)
    longer = STUDY | {"axes": {"seed": [0, 1]}}
    with write_store(tmp_path, longer) as store:
        assert len(store.results()) == 2
        assert store.study == longer


def test_another_study_is_refused(tmp_path):
    filled(tmp_path)
    with (
        pytest.raises(HwsimError, match="contains the study 's', not 't'; choose another folder with -o"),
        write_store(tmp_path, {"study": {"name": "t"}}),
    ):
        pass
    with read_store(tmp_path) as store:
        assert store.study == STUDY


@pytest.mark.parametrize("change", [{"MODEL_VERSION": MODEL_VERSION + 1}, {"MODEL_VERSION": 0}])
@pytest.mark.parametrize("opened", [lambda f: write_store(f, STUDY), read_store])
def test_another_model_version_is_refused_and_nothing_changes(tmp_path, monkeypatch, change, opened):
    path = filled(tmp_path)
    before = path.read_bytes()
    for name, value in change.items():
        monkeypatch.setattr(version, name, value)
    written = rf"study\.db: written by hwsim \S+ \(model version {MODEL_VERSION}, format {FORMAT}\); "
    text = rf"{written}this is hwsim \S+ \(model version {value}, "
    with pytest.raises(HwsimError, match=text), opened(tmp_path):
        pass
    assert path.read_bytes() == before


def test_damage_is_one_clear_line_and_nothing_changes(tmp_path):
    path = filled(tmp_path)
    whole = path.read_bytes()
    cases = [b"", b"x", whole[:50], whole[:5000], whole[: len(whole) // 2], b"not a database" * 1000, bytes(len(whole))]
    for damaged in cases:
        path.write_bytes(damaged)
        for opened in (read_store(tmp_path), write_store(tmp_path, STUDY)):
            with pytest.raises(HwsimError, match=r"damaged, or not a hwsim study \(.*\); nothing was changed"), opened:
                pass
        assert path.read_bytes() == damaged


def test_another_database_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "study.db")
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(HwsimError, match="not a hwsim study"), read_store(tmp_path):
        pass


def test_no_study_here(tmp_path):
    with pytest.raises(HwsimError, match=r"no study here \(study\.db is missing\)"), read_store(tmp_path):
        pass


def test_only_one_writer_but_readers_are_welcome(tmp_path):
    with write_store(tmp_path, STUDY) as store:
        store.add("k1", {}, {"accuracy": 0.5})
        with pytest.raises(HwsimError, match="another hwsim is writing here"), write_store(tmp_path, STUDY):
            pass
        with read_store(tmp_path) as reader:
            assert set(reader.results()) == {"k1"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE points SET result = '{' WHERE key = 'k1'",
        "UPDATE points SET result = '[1]' WHERE key = 'k1'",
        "UPDATE points SET result = x'00ff' WHERE key = 'k1'",
        "UPDATE points SET result = '{\"accuracy\": \"high\"}' WHERE key = 'k1'",
        "UPDATE points SET result = '{\"lira_auc\": [0.5]}' WHERE key = 'k1'",
        "UPDATE points SET result = '{\"accuracy\": NaN}' WHERE key = 'k1'",
        "UPDATE points SET status = 'great' WHERE key = 'k1'",
        f"UPDATE points SET result = '{'[' * 100_000}' WHERE key = 'k1'",
        f"UPDATE points SET result = '{{\"macs\": 1{'0' * 5000}}}' WHERE key = 'k1'",
        f"UPDATE points SET result = '{{\"macs\": 1{'0' * 30}}}' WHERE key = 'k1'",
        "UPDATE meta SET value = 'x' WHERE name = 'study'",
        "UPDATE meta SET value = '{}' WHERE name = 'study'",
        "UPDATE meta SET value = x'00' WHERE name = 'study'",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER t AFTER UPDATE ON meta BEGIN DELETE FROM points; END",
        "DROP TABLE points",
    ],
)
def test_rows_that_the_program_cannot_have_written_are_one_line(tmp_path, change):
    connection = sqlite3.connect(filled(tmp_path))
    with connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(HwsimError, match=r"study\.db: damaged, or not a hwsim study \(") as caught:  # noqa: SIM117
        with read_store(tmp_path) as store:
            store.results()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_only_files_of_the_program_are_touched(tmp_path):
    for name in ("study.db.new", "study.lock"):
        (tmp_path / name).write_text("mine")
    filled(tmp_path)
    assert (tmp_path / "study.db.new").read_text() == (tmp_path / "study.lock").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.db", "study.db.new", "study.lock"]


def test_a_fifo_in_the_place_of_the_store_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "study.db")
    with pytest.raises(HwsimError, match="got a FIFO; allowed: a regular file"), read_store(tmp_path):
        pass
    (tmp_path / "study.db").unlink()
    os.mkfifo(tmp_path / "study.lock")
    with pytest.raises(HwsimError, match="no regular file"), write_store(tmp_path, STUDY):
        pass
