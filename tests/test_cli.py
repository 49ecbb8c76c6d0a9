from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import fake_stages
import pytest
from fakes import BASE

import hwsim
from hwsim import cli

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _fakes(fake_choices, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "hwsim.study.stages", fake_stages)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HWSIM_DATA", raising=False)


def call(capfd, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return ended.value.code, out, err


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def write_toml(path, mapping):
    path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in mapping.items()))
    return path


@pytest.fixture
def study(tmp_path):
    return write_toml(tmp_path / "study.toml", fake_stages.STUDY)


@pytest.fixture
def design(tmp_path):
    return write_toml(tmp_path / "design.toml", BASE)


def test_help_answers_without_the_heavy_libraries():
    heavy = ("torch", "numba", "pandas", "matplotlib", "scipy", "sklearn")
    code = (
        "import sys; from hwsim import cli\n"
        "try: cli.main(['--help'])\n"
        f"except SystemExit as end: print([m for m in {heavy} if m in sys.modules], end.code)"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_every_command_has_an_example(capfd):
    _, out, _ = call(capfd, "--help")
    for command in ("demo", "run", "sweep", "pareto", "report", "table", "list", "show"):
        assert re.search(rf"\b{command}\b", out)
        code, text, _ = call(capfd, command, "--help")
        assert code == 0
        assert f"Example: hwsim {command}" in text


def test_version(capfd):
    assert call(capfd, "--version") == (0, f"hwsim {hwsim.__version__} (model version {hwsim.MODEL_VERSION})\n", "")


def test_sweep_then_table_pareto_report(capfd, study, tmp_path):
    code, out, err = call(capfd, "sweep", study, "-o", "results", "-j", "2")
    assert (code, out) == (0, "")
    assert err.splitlines()[-1] == "table: results/points.csv; next: hwsim pareto results, hwsim report results"
    code, out, err = call(capfd, "table", "results")
    assert (code, err) == (0, "")
    assert out == (tmp_path / "results" / "points.csv").read_text()
    code, out, _ = call(capfd, "table", "results", "--format", "jsonl")
    assert len([json.loads(line) for line in out.splitlines()]) == 18
    code, out, err = call(capfd, "pareto", "results")
    assert code == 0
    assert out.splitlines()[0].split() == [*fake_stages.STUDY["axes"], *fake_stages.STUDY["objectives"]]
    assert "of 18 points are on the front of accuracy (max), energy_pj (min), fake_loss_auc (min)" in err
    assert call(capfd, "report", "results") == (0, "results/report.html\n", "")


def test_run_prints_json_and_looks_up_what_is_there(capfd, design):
    code, out, err = call(capfd, "run", design, "--set", "quantizer.w_bits=4", "--json")
    assert code == 0
    assert "point 1 of 1" in err
    answer = json.loads(out)
    assert answer["settings"]["quantizer"]["w_bits"] == 4
    assert answer["result"]["macs"] == 110_000
    again = call(capfd, "run", design, "--set", "quantizer={name='fake_quantizer', w_bits=4}", "--json")
    assert again == (0, out, "")


def test_run_prints_a_summary(capfd, design):
    code, out, _ = call(capfd, "run", design, "-o", "here")
    assert code == 0
    assert re.search(r"^accelerator +fake_array$", out, re.MULTILINE)
    assert re.search(r"^macs +110,000$", out, re.MULTILINE)
    assert re.search(r"^fake_loss +0\.63 +\[0\.618, 0\.643\]", out, re.MULTILINE)
    assert "samples: 16 targets, each with at least 450 members and 449 non-members" in out
    assert Path("here/study.db").exists()


def test_an_infeasible_design_exits_with_1(capfd, design):
    code, out, _ = call(capfd, "run", design, "--set", "accelerator.rows=3")
    assert code == 1
    assert re.search(r"^reason +layer conv1: 3 rows are too few$", out, re.MULTILINE)


def test_a_bug_exits_with_1_and_leaves_its_traceback_in_a_file(capfd, design):
    code, out, err = call(capfd, "run", design, "--set", "accelerator.rows=4")
    assert (code, out) == (1, "")
    assert "Traceback" not in err
    assert "ZeroDivisionError: a bug. Finished points are kept; details: .hwsim/failure.txt" in err
    assert "fake_stages.py" in Path(".hwsim/failure.txt").read_text()


def test_data_reaches_the_environment_but_not_the_key(capfd, design, tmp_path, monkeypatch):
    _, out, _ = call(capfd, "run", design, "--json")
    monkeypatch.setenv("HWSIM_DATA", "")
    _, with_data, err = call(capfd, "run", design, "--json", "--data", tmp_path)
    assert (with_data, err) == (out, "")
    assert os.environ["HWSIM_DATA"] == str(tmp_path)


def test_list_and_show_tell_what_can_be_chosen(capfd):
    code, out, _ = call(capfd, "list", "quantizer")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["quantizer", "fake_quantizer"],
        ["quantizer", "no_quantizer"],
        ["quantizer", "other_quantizer"],
    ]
    code, out, _ = call(capfd, "show", "fake_quantizer")
    assert code == 0
    assert "w_bits = 8" in out
    assert "cite: nobody, 2026" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "nothere.toml"], "hwsim: nothere.toml: cannot be read: No such file or directory\n"),
        (["run", "broken.toml"], "hwsim: broken.toml: not valid TOML: Invalid value (at line 2, column 5)\n"),
        (["run", "design.toml", "--set", "quantizer.w_bit=4"], "hwsim: design.toml: quantizer.w_bit: got w_bit; "
         "allowed: a_bits, w_bits. Did you mean 'w_bits'?\n"),
        (["run", "design.toml", "--set", "quantizer.w_bits"], "hwsim: --set: got quantizer.w_bits; allowed: "
         "path=value, such as quantizer.w_bits=4\n"),
        (["run", "design.toml", "-j", "0"], "hwsim: jobs: got 0; allowed: 1 or more\n"),
        (["sweep", "study.toml", "-o", "study.toml"], "hwsim: study.toml: File exists\n"),
        (["sweep", "design.toml", "-o", "x"], "hwsim: design.toml: study file: got dataset; allowed: axes, base, "
         "objectives, study. Did you mean 'base'?\n"),
        (["table", "."], "hwsim: .: no study here (study.db is missing); `hwsim sweep STUDY.toml -o .` makes one\n"),
        (["list", "quantiser"], "hwsim: registry family: got quantiser; allowed: accelerator, attack, channel, "
         "dataset, model, pe, quantizer, technology. Did you mean 'quantizer'?\n"),
        (["show", "fake_quantiser"], "hwsim: show: got fake_quantiser; allowed: fake_array, fake_data, fake_latency, "
         "fake_loss, fake_model, fake_node, fake_quantizer, latency_cycles, logits, no_quantizer, other_quantizer, "
         "wide_array. Did you mean 'fake_quantizer'?\n"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exits_with_2(capfd, study, design, arguments, line):
    Path("broken.toml").write_text("a = 1\nb = = 2\n")
    assert call(capfd, *arguments) == (2, "", line)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--jsn", "design.toml"], ["--jsn", "--json"]),
        (["swep"], ["swep", "sweep"]),
        (["sweep", "study.toml"], ["--output"]),
        (["table", "x", "--format", "cvs"], ["--format", "cvs", "csv"]),
        (["run", "design.toml", "--data", "nowhere"], ["--data", "nowhere", "does not exist"]),
    ],
)
def test_misspelt_options_are_one_line_with_the_nearest(capfd, arguments, words):
    code, out, err = call(capfd, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert all(word in err for word in words)


def test_another_model_version_exits_with_2_and_names_both(capfd, study, monkeypatch):
    call(capfd, "sweep", study, "-o", "results")
    monkeypatch.setattr(hwsim, "MODEL_VERSION", hwsim.MODEL_VERSION + 1)
    for arguments in (
        ["sweep", study, "-o", "results"],
        ["pareto", "results"],
        ["report", "results"],
        ["table", "results"],
    ):
        code, out, err = call(capfd, *arguments)
        assert (code, out) == (2, "")
        assert re.fullmatch(r"hwsim: results/study\.db: written by .*model version 1, .*model version 2, .*\n", err)


def test_an_interrupt_exits_with_130_and_says_how_to_go_on(capfd, design, monkeypatch):
    from hwsim.study import engine

    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(engine, "run_jobs", interrupted)
    code, out, err = call(capfd, "run", design)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "hwsim: stopped. What was finished is kept: run the same command again to go on."


def test_the_demo_study_is_sound():
    done = subprocess.run(
        [sys.executable, "-c", "from hwsim.study.study import load_study; from pathlib import Path; "
         "print(len(load_study(Path('hwsim/study/demo.toml')).points()))"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) == 37
