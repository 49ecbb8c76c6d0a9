from __future__ import annotations

import csv
import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwsim.design import Design
from hwsim.errors import HwsimError
from hwsim.study.results.store import read_store
from hwsim.study.run.progress import Lines
from hwsim.study.run.runner import _run_group, run_study
from hwsim.study.run.workers import JobFailed
from hwsim.study.search.study import Study
from tests.support import fake_stages, fakes
from tests.support.interrupts import hear_sigint

ROOT = Path(__file__).parents[3]


def run(folder, jobs=1, axes=None, stream=None, retry=False):
    study = Study.from_mapping(fake_stages.STUDY | {"axes": fake_stages.STUDY["axes"] | (axes or {})})
    run_study(study, folder, jobs, Lines(stream) if stream else None, fake_stages, retry=retry)
    return (folder / "points.csv").read_bytes()


@pytest.mark.usefixtures("fake_choices")
def test_the_number_of_jobs_does_not_change_a_byte(tmp_path):
    assert run(tmp_path / "one", 1) == run(tmp_path / "two", 2)


@pytest.mark.usefixtures("fake_choices")
def test_a_second_run_computes_nothing_and_longer_axes_only_what_is_new(tmp_path):
    first = run(tmp_path)
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "models").glob("*.npz")}
    again = io.StringIO()
    assert run(tmp_path, stream=again) == first
    assert again.getvalue() == ""
    more = io.StringIO()
    longer = run(tmp_path, axes={"seed": [0, 1, 2]}, stream=more)
    assert more.getvalue().count(" seed 2\n") == 4
    assert more.getvalue().count("point ") == 9
    assert longer.count(b"\n") == 28
    assert made.items() <= {path.name: path.stat().st_mtime_ns for path in (tmp_path / "models").glob("*.npz")}.items()


@pytest.mark.usefixtures("fake_choices")
def test_a_changed_data_file_is_another_key_and_all_its_points_run_again(tmp_path, monkeypatch):
    file = tmp_path / "data.bin"
    monkeypatch.setenv("FAKE_DATA", str(file))
    file.write_bytes(b"one")
    axes = {"quantizer": ["fake_quantizer"], "accelerator": ["fake_array"], "seed": [0, 1]}
    first, again = io.StringIO(), io.StringIO()
    old = run(tmp_path / "s", axes=axes, stream=first)
    assert first.getvalue().count("point ") == 2
    file.write_bytes(b"two")
    new = run(tmp_path / "s", axes=axes, stream=again)
    assert again.getvalue().count("point ") == 2
    keys = [{row["key"] for row in csv.DictReader(text.decode().splitlines())} for text in (old, new)]
    assert not keys[0] & keys[1]
    file.write_bytes(b"one")
    assert run(tmp_path / "s", axes=axes) == old, "the results on the former data are still there"
    file.unlink()
    with read_store(tmp_path / "s") as store:
        assert [result.status for result in store.grid().values()] == ["done", "done"]
    with pytest.raises(HwsimError, match=r"data\.bin: cannot be read"):
        run(tmp_path / "s", axes=axes)


@pytest.mark.usefixtures("fake_choices")
def test_data_that_changes_while_the_study_runs_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "data.bin"
    monkeypatch.setenv("FAKE_DATA", str(file))
    file.write_bytes(b"one")
    design = Design.resolve(fakes.BASE)
    assert design.key
    file.write_bytes(b"two")
    with pytest.raises(HwsimError, match=r"dataset: data\.bin has changed while the study ran; run .* again"):
        design.require_unchanged()
    (tmp_path / "models").mkdir()
    for task in fake_stages.training_tasks([design]):
        task.run(tmp_path / "models", lambda share: None)
    results = []
    with pytest.raises(HwsimError, match="has changed"):
        _run_group(fake_stages.evaluate, [("x", design)], tmp_path / "models", lambda share: None, results.append)
    assert not results


@pytest.mark.usefixtures("fake_choices")
def test_an_infeasible_point_is_recorded_with_its_reason_and_its_neighbors_are_done(tmp_path):
    run(tmp_path)
    with read_store(tmp_path) as store:
        results = list(store.results().values())
    assert [r.status for r in results].count("infeasible") == 6
    assert {r.columns["reason"] for r in results if r.status == "infeasible"} == {"layer conv1: 3 rows are too few"}
    assert [r.status for r in results].count("done") == 12


@pytest.mark.usefixtures("fake_choices")
def test_an_invalid_combination_is_stored_and_computed_again_only_if_asked(tmp_path):
    axes = {"quantizer": ["fake_quantizer"], "accelerator": ["fake_array"], "seed": [0], "quantizer.w_bits": [8, 9]}
    first, again, retried = io.StringIO(), io.StringIO(), io.StringIO()
    text = run(tmp_path, axes=axes, stream=first)
    assert b"infeasible" in text
    assert b"got 9; allowed: 1 to 8" in text
    assert first.getvalue().count("point ") == 2
    assert run(tmp_path, axes=axes, stream=again) == text
    assert again.getvalue() == ""
    assert run(tmp_path, axes=axes, stream=retried, retry=True) == text
    assert retried.getvalue().count("point ") == 1


@pytest.mark.usefixtures("fake_choices")
def test_a_training_that_its_input_forbids_makes_its_points_infeasible_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_REFUSED_SEED", "1")
    axes = {"quantizer": ["fake_quantizer"], "accelerator": ["fake_array", "wide_array"], "seed": [0, 1]}
    run(tmp_path, axes=axes)
    with read_store(tmp_path) as store:
        found = [(result.status, result.columns.get("reason")) for result in store.grid().values()]
    assert (
        sorted(found, key=str) == [("done", None)] * 2 + [("infeasible", "game.samples: got 1; allowed: another")] * 2
    )


@pytest.mark.usefixtures("fake_choices")
def test_a_bug_stops_the_study_with_the_name_of_the_point_and_keeps_what_is_done(tmp_path):
    axes = {"quantizer": ["fake_quantizer"], "accelerator.rows": [8, 4, 9], "accelerator": ["fake_array"], "seed": [0]}
    with pytest.raises(JobFailed, match=r"point .*accelerator\.rows=4: ZeroDivisionError: a bug") as caught:
        run(tmp_path, axes=axes)
    assert "fake_stages.py" in caught.value.details
    with read_store(tmp_path) as store:
        assert len(store.results()) == 1
    assert b"pending" in (tmp_path / "points.csv").read_bytes()


@pytest.mark.usefixtures("fake_choices")
def test_the_error_of_a_worker_that_dies_has_its_exit_code(tmp_path):
    axes = {"quantizer": ["fake_quantizer"], "accelerator": [{"name": "fake_array", "rows": 5}], "seed": [0]}
    with pytest.raises(JobFailed, match=r"the worker process died \(exit code 9\)"):
        run(tmp_path, axes=axes)


@pytest.mark.usefixtures("fake_choices")
def test_jobs_must_be_positive(tmp_path):
    with pytest.raises(HwsimError, match="jobs: got 0; allowed: 1 or more"):
        run(tmp_path, jobs=0)


# State after a hard kill. Other stages need only another `command` fixture.


@pytest.fixture
def command():
    """A function of the folder: the command line that runs the study in it."""
    return lambda folder: [sys.executable, "-m", "tests.support.fake_stages", str(folder), "2"]


def start(command, folder, seconds="0.02"):
    env = os.environ | {"PYTHONPATH": str(ROOT), "FAKE_SECONDS": seconds}
    return subprocess.Popen(command(folder), env=env, stderr=subprocess.PIPE, text=True, preexec_fn=hear_sigint)


def test_ten_kills_at_random_moments_change_nothing(command, tmp_path):
    calm = start(command, tmp_path / "calm")
    assert calm.communicate()[1].count("point ") == 18
    moments = random.Random(0)
    for _ in range(10):
        process = start(command, tmp_path / "killed")
        for _ in range(moments.randrange(3)):
            next(process.stderr)  # one line per finished step
        time.sleep(moments.uniform(0, 0.05))
        assert process.poll() is None, "ended before it could be killed"
        process.kill()
        process.communicate()
    last = start(command, tmp_path / "killed")
    resumed = last.communicate()[1]
    assert last.returncode == 0
    assert 0 < resumed.count("point ") < 18
    assert (tmp_path / "killed" / "points.csv").read_bytes() == (tmp_path / "calm" / "points.csv").read_bytes()


def test_workers_end_with_their_parent_even_amid_a_long_step(command, tmp_path):
    process = start(command, tmp_path, seconds="60")
    pids = wait_for(lambda: [int(path.stem) for path in (tmp_path / "models").glob("*.pid")])
    process.kill()
    process.wait()
    process.stderr.close()  # workers keep it open, so it is not read to its end
    assert wait_for(lambda: not any(_alive(pid) for pid in pids))


def wait_for(condition):
    for _ in range(400):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("no result after 20 s")


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{pid}/status").read_text()


def test_an_interrupt_ends_all_processes(command, tmp_path):
    process = start(command, tmp_path, seconds="0.3")
    assert "point 1" in next(line for line in process.stderr if "point" in line)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=20)[1]
    assert b"done" in (tmp_path / "points.csv").read_bytes()
    pids = [int(path.stem) for path in (tmp_path / "models").glob("*.pid")]
    assert not any(_alive(pid) for pid in pids)
