from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim import cli, version
from hwsim.study.results.columns import COLUMNS
from tests.support import fake_stages
from tests.support.fakes import BASE
from tests.support.small_network import small_network

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _fakes(fake_choices, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "hwsim.study.evaluate.stages", fake_stages)
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
    commands = ("demo", "run", "sweep", "pareto", "report", "table", "audit", "explain", "trace", "diff", "cycles")
    for command in (*commands, "timeline", "list", "show", "check"):
        assert re.search(rf"\b{command}\b", out)
        code, text, _ = call(capfd, command, "--help")
        assert code == 0
        assert f"Example: hwsim {command}" in text


def test_the_help_of_table_explains_every_column(capfd):
    code, out, _ = call(capfd, "table", "--help")
    words = " ".join(out.split())
    assert code == 0
    for column in COLUMNS:
        name = f"LABEL_{column.name}" if column.group == "attack" else column.name
        unit = f" ({column.unit})" if column.unit else ""
        assert f"{name}{unit}: {column.meaning}" in words


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
    assert "of 18 points are on the Pareto front of accuracy (max), energy_pj (min), fake_loss_auc (min)" in err
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
    assert re.search(r"^macs +110,000 MACs$", out, re.MULTILINE)
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
        (["run", "design.toml", "--set", "quantizer.w_bit=4"], "hwsim: design.toml: quantizer.w_bit: unknown setting; "
         "allowed: a_bits, w_bits. Did you mean 'w_bits'?\n"),
        (["run", "design.toml", "--set", "quantizer.w_bits"], "hwsim: --set: got quantizer.w_bits; allowed: "
         "path=value, such as quantizer.w_bits=4\n"),
        (["run", "design.toml", "-j", "0"], "hwsim: jobs: got 0; allowed: 1 or more\n"),
        (["sweep", "study.toml", "-o", "study.toml"], "hwsim: study.toml: got a file; allowed: a folder, or "
         "the name of a new one\n"),
        (["sweep", "design.toml", "-o", "x"], "hwsim: design.toml: study file: got dataset; allowed: accelerators, "
         "axes, base, objectives, study. Did you mean 'base'?\n"),
        (["table", "."], "hwsim: .: no study here (study.db is missing); `hwsim sweep STUDY.toml -o .` makes one\n"),
        (["list", "quantiser"], "hwsim: registry family: got quantiser; allowed: accelerator, attack, channel, "
         "dataflow, dataset, model, pe, quantizer, technology. Did you mean 'quantizer'?\n"),
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
    monkeypatch.setattr(version, "MODEL_VERSION", hwsim.MODEL_VERSION + 1)
    for arguments in (
        ["sweep", study, "-o", "results"],
        ["pareto", "results"],
        ["report", "results"],
        ["table", "results"],
    ):
        code, out, err = call(capfd, *arguments)
        assert (code, out) == (2, "")
        assert re.fullmatch(r"hwsim: results/study\.db: written by .*model version 5, .*model version 6, .*\n", err)


def test_an_interrupt_exits_with_130_and_says_how_to_continue(capfd, design, monkeypatch):
    from hwsim.study.run import runner

    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(runner, "run_jobs", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background shell
    try:
        code, out, err = call(capfd, "run", design)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "hwsim: stopped. Finished work is kept: run the same command again to continue."


@pytest.fixture
def network(tmp_path):
    """A network file, and one beside it whose convolution has another bias in filter 5."""
    net = small_network()
    hwsim.save(net, tmp_path / "net.npz")
    net["conv"].bias[5] = 100
    hwsim.save(net, tmp_path / "other.npz")
    np.save(tmp_path / "codes.npy", np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8))


def test_explain_works_on_any_network_with_its_name_alone(capfd, network):
    code, out, err = call(capfd, "explain", "net.npz")
    assert code == 0
    assert out.startswith("layer head (linear), sample 0, output 0 of shape 10: code ")
    assert err == (
        "layers: conv 8,8,8; pool 8,4,4; flat 128; head 10\n"
        "input: random codes, seed 0, sample 0; choose others with --input\n"
    )
    assert call(capfd, "explain", "net.npz") == (code, out, err)
    _, other, _ = call(capfd, "explain", "net.npz", "--sample", "1000000000")
    assert "sample 1000000000, output 0" in other


def test_explain_one_element(capfd, network):
    arguments = ["explain", "net.npz", "--layer", "conv", "--at", "5,3,4", "--input", "codes.npy", "--sample", "2"]
    code, out, err = call(capfd, *arguments)
    assert (code, err) == (0, "")
    found = hwsim.explain(small_network(), np.load("codes.npy"), "conv", (5, 3, 4), 2)
    assert out.startswith(f"layer conv (conv), sample 2, output 5,3,4 of shape 8,8,8: code {found.code} (uint8)\n")
    code, out, _ = call(capfd, *arguments, "--json")
    assert (code, json.loads(out)) == (0, json.loads(json.dumps(found.to_dict())))
    _, out, _ = call(capfd, "explain", "net.npz", "--layer", "head", "--all")
    assert "flat[60]" in out


def test_trace_then_diff(capfd, network):
    code, out, err = call(capfd, "trace", "net.npz", "--input", "codes.npy", "-o", "run.npz")
    assert (code, out) == (0, "")
    assert err == "run: run.npz, 3 samples; next: hwsim diff run.npz OTHER.npz\n"
    assert np.load("run.npz").files == ["input", "conv", "pool", "flat", "head"]
    code, out, err = call(capfd, "diff", "run.npz", "net.npz")
    assert (code, err) == (0, "input: run.npz\n")
    assert out.endswith("\nequal: no code differs\n")
    assert call(capfd, "trace", "net.npz", "-o", "random.npz")[0] == 0
    assert len(np.load("random.npz")["input"]) == 8
    code, out, _ = call(capfd, "diff", "random.npz", "random.npz")
    assert (code, "ties" in out) == (0, False)


def test_diff_says_how_to_look_into_the_first_difference(capfd, network):
    call(capfd, "trace", "net.npz", "--input", "codes.npy", "-o", "run.npz")
    code, out, err = call(capfd, "diff", "run.npz", "other.npz", "--input", "codes.npy")
    assert (code, err) == (1, "input: codes.npy\n")
    (values,) = re.findall(r"first difference: layer conv, sample 0 at (5,.,.): A (\d+), B (\d+)\n", out)
    command = f"hwsim explain other.npz --layer conv --at {values[0]} --sample 0 --input codes.npy"
    assert out.endswith(f"  explain it: {command}\n")
    code, out, _ = call(capfd, *command.split()[1:])
    assert code == 0
    assert f"code {values[2]} (uint8)" in out
    code, out, err = call(capfd, "diff", "net.npz", "other.npz", "--json")
    assert (code, err) == (1, "input: 8 samples of random codes, seed 0; choose others with --input\n")
    assert next(layer["layer"] for layer in json.loads(out)["layers"] if layer["mismatches"]) == "conv"


def test_diff_skips_what_only_one_side_has(capfd, network):
    codes = np.load("codes.npy")
    run = hwsim.trace(small_network(), codes)
    np.savez("dump.npz", head=run["head"])
    code, out, err = call(capfd, "diff", "dump.npz", "net.npz", "--input", "codes.npy")
    assert code == 0
    assert "skipped, only in B: input, conv, pool, flat" in out
    code, _, err = call(capfd, "diff", "dump.npz", "net.npz")
    assert code == 2
    assert err.startswith("hwsim: --input is missing; allowed: a .npy of the input codes of dump.npz")
    np.savez("dump.npz", head=run["head"], scale=np.ones(3))  # whatever else a tool dumps is not even read
    code, out, _ = call(capfd, "diff", "net.npz", "dump.npz", "--input", "codes.npy", "--common")
    assert code == 0
    assert "skipped, only in A: input, conv, pool, flat\nskipped, only in B: scale" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["explain", "nothere.npz"], "hwsim: nothere.npz: cannot be read: No such file or directory\n"),
        (["explain", "net.npz", "--layer", "cnov"], "hwsim: layer: got cnov; allowed: conv, flat, head, pool. "
         "Did you mean 'conv'?\n"),
        (["explain", "net.npz", "--layer", "conv", "--at", "0;1"], "hwsim: --at: got 0;1; allowed: whole numbers "
         "separated by commas, such as 0,3,4\n"),
        (["explain", "net.npz", "--layer", "pool", "--at", "0,4,0", "--input", "codes.npy"], "hwsim: at: got 0,4,0; "
         "allowed: 3 numbers for layer 'pool': 0 to 7, 0 to 3, 0 to 3\n"),
        (["explain", "net.npz", "--layer", "head", "--input", "codes.npy", "--sample", "3"],
         "hwsim: sample: got 3; allowed: 0 to 2\n"),
        (["explain", "net.npz", "--layer", "head", "--input", "real.npy"], "hwsim: real.npy: got float64 numbers; "
         "allowed: integer codes. Network.encode converts real inputs to codes.\n"),
        (["trace", "net.npz", "--input", "small.npy", "-o", "run.npz"], "hwsim: small.npy: got shape 3,8,8; allowed: "
         "samples,1,8,8, or 1,8,8 for one\n"),
        (["trace", "net.npz", "--input", "large.npy", "-o", "run.npz"], "hwsim: large.npy: got 300; allowed: codes 0 "
         "to 255 (uint8)\n"),
        (["trace", "net.npz", "-o", "nowhere/run.npz"], "hwsim: nowhere/run.npz: got a folder that does not exist; "
         "allowed: a file in an existing folder\n"),
        (["diff", "codes.npy", "net.npz"], "hwsim: codes.npy: got not a complete .npz file (File is not a zip "
         "file); allowed: an .npz, as numpy.savez writes it\n"),
        (["diff", "net.npz", "dump.npz", "--input", "codes.npy"], "hwsim: dump.npz layer 'conv': got no such layer; "
         "allowed: every layer of net.npz. Did you mean 'conv1'? With --common only the layers of both are "
         "compared.\n"),
        (["diff", "dump.npz", "dump.npz", "--input", "codes.npy"], "hwsim: --input: got codes.npy; allowed: only "
         "with a network file: both files are runs\n"),
    ],
)  # fmt: skip
def test_bad_codes_runs_and_places_are_one_line_and_exit_with_2(capfd, network, arguments, line):
    np.save("real.npy", np.zeros((3, 1, 8, 8)))
    np.save("small.npy", np.zeros((3, 8, 8), np.int8))
    np.save("large.npy", np.full((1, 8, 8), 300))
    np.savez("dump.npz", conv1=np.zeros((3, 8, 8, 8), np.int8))
    code, out, err = call(capfd, *arguments)
    assert (code, out) == (2, "")
    assert err.splitlines(keepends=True)[-1] == line


def test_the_demo_study_is_sound():
    done = subprocess.run(
        [sys.executable, "-c", "from hwsim.study.search.study import load_study; from pathlib import Path; "
         "print(len(load_study(Path('hwsim/study/demo.toml')).points()))"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) == 37
