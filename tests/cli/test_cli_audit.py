"""`hwsim audit`: an .npz with logits in, a table or JSON out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import cli
from hwsim.privacy import audit
from hwsim.registry import build
from tests.support.planted import planted

ROOT = Path(__file__).parents[2]
KEYS = [
    "attack", "auc", "auc_ci_low", "auc_ci_high", "balanced_accuracy", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001",
    "n_members", "n_nonmembers", "warnings",
]  # fmt: skip


def call(capfd: Any, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return ended.value.code, out, err  # type: ignore[return-value]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from hwsim.cli import audit as command

    monkeypatch.setattr(command, "QUIET_SECONDS", 1000.0)  # however busy the machine is
    monkeypatch.chdir(tmp_path)
    return save(Path("models.npz"))


def save(path: Path, models: int = 6, samples: int = 300, **changes: Any) -> Path:
    game, observations = planted(models, samples, seed=0, leak=1.5)
    arrays = {
        "logits": np.stack([o.channels["logits"] for o in observations]),
        "keep": game.keep,
        "labels": game.labels,
        "latency_cycles": np.stack([o.channels["latency_cycles"] for o in observations]),
    }
    np.savez(path, **{name: values for name, values in (arrays | changes).items() if values is not None})
    return path


def test_the_help_describes_the_file(capfd: Any) -> None:
    _, out, _ = call(capfd, "audit", "--help")
    words = " ".join(out.split())
    assert "logits (models x samples x classes), real or integer; keep (models x samples)" in words
    assert "loss,lira,rmia" in words


def test_json_is_a_list_with_the_documented_keys_first(capfd: Any, file: Path) -> None:
    code, out, err = call(capfd, "audit", file, "--attacks", "loss,lira", "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert [row["attack"] for row in rows] == ["loss", "lira"]
    assert all(list(row)[: len(KEYS)] == KEYS for row in rows)
    game, observations = planted(6, 300, seed=0, leak=1.5)
    same = audit(observations, game, [build("attack", "loss"), build("attack", "lira")], seed=0)
    for row in rows:
        expected = same[row["attack"]]
        assert row["auc"] == expected.auc.mean > 0.6
        assert (row["auc_ci_low"], row["auc_ci_high"]) == expected.auc.ci
        assert row["balanced_accuracy"] == expected.balanced_accuracy.mean
        assert row["tpr_at_fpr_0.01"] == expected.tpr.mean
        assert (row["n_members"], row["n_nonmembers"]) == (same.n_members.min(), same.n_nonmembers.min())
        assert [text.split()[0] for text in row["warnings"]] == ["tpr_at_fpr_0.01", "tpr_at_fpr_0.001"]
        assert row["advantage"] == pytest.approx(2 * row["balanced_accuracy"] - 1)
        assert 0.5 < row["accuracy"] < 1
        assert row["recall"] + row["recall_nonmembers"] - 1 == pytest.approx(row["advantage"])


def test_the_table_as_text(capfd: Any, file: Path) -> None:
    code, out, _ = call(capfd, "audit", file, "--attacks", "loss,latency")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "Leakage of 6 of 6 models: one query per sample"
    assert re.fullmatch(r"300 samples; per target \d+ to \d+ of them members", lines[1])
    assert re.split(r" {2,}", lines[3].strip()) == [
        "attack", "AUC", "s.e.", "p", "balanced accuracy", "TPR@1%", "TPR@0.1%", "for .01",
    ]  # fmt: skip
    assert re.match(r"loss +0\.\d{4} \[0\.\d{4}, 0\.\d{4}\] +0\.\d{4} ", lines[4])
    assert [line.split()[0] for line in lines[4:7]] == ["loss", "latency", "blind"]
    assert "corrected for 2 attacks (Holm)" in out
    assert re.search(r"^warning: tpr_at_fpr_0\.01 rests on 1\.\d+ false positives per target", out, re.MULTILINE)


def test_the_default_attacks_are_loss_lira_and_rmia(capfd: Any, file: Path) -> None:
    code, out, _ = call(capfd, "audit", file, "--json")
    assert code == 0
    assert [row["attack"] for row in json.loads(out)] == ["loss", "lira", "rmia"]


def test_the_seed_changes_the_intervals_only(capfd: Any, file: Path) -> None:
    first, again, other = (
        json.loads(call(capfd, "audit", file, "--attacks", "loss", "--json", "--seed", seed)[1])[0]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first["auc"] == other["auc"]
    assert first["auc_ci_low"] == other["auc_ci_low"]  # without resamples
    assert first["tpr_at_fpr_0.01_ci_low"] != other["tpr_at_fpr_0.01_ci_low"]


def test_integer_logits_have_the_result_of_the_same_real_ones(capfd: Any, file: Path) -> None:
    with np.load(file) as arrays:
        codes = (64 * arrays["logits"]).astype(np.int32)
    save(Path("codes.npz"), logits=codes)
    save(Path("reals.npz"), logits=codes.astype(np.float64))
    one, two = (call(capfd, "audit", name, "--attacks", "loss,lira", "--json") for name in ("codes.npz", "reals.npz"))
    assert one == two


def test_the_report_is_whole_and_the_same_bytes_each_time(capfd: Any, file: Path) -> None:
    for folder in ("a", "b"):
        code, out, err = call(capfd, "audit", file, "--attacks", "loss,lira", "--json", "--report", folder)
        assert (code, err) == (0, f"report: {folder}/report.html\n")
        assert json.loads(Path(folder, "results.json").read_text()) == json.loads(out)
    names = sorted(str(path.relative_to("a")) for path in Path("a").rglob("*") if path.is_file())
    figures = [f"figures/{name}.{end}" for name in ("roc", "scores_lira", "scores_loss") for end in ("png", "svg")]
    assert names == [*figures, "report.html", "results.csv", "results.json"]
    for name in names:
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes(), name
    page = Path("a", "report.html").read_text()
    assert "models.npz" in page
    assert "tpr_at_fpr_0.001 rests on" in page
    assert not re.search(r"<script|<link|<iframe|@import", page)
    assert str(Path.cwd()) not in page


def test_unread_arrays_are_named(capfd: Any, file: Path) -> None:
    save(Path("more.npz"), latency_cycle=np.zeros((6, 300)))
    code, _, err = call(capfd, "audit", "more.npz", "--attacks", "loss")
    assert (code, err) == (0, "arrays not used: latency_cycle (did you mean latency_cycles?)\n")


def test_members_with_other_inputs_are_a_distribution_shift(capfd: Any, file: Path) -> None:
    game, _ = planted(6, 300, seed=0, leak=1.5)
    save(Path("shifted.npz"), inputs=np.random.default_rng(0).normal(size=(300, 6)) + 1.5 * game.keep.T)
    _, out, _ = call(capfd, "audit", "shifted.npz", "--attacks", "loss", "--json")
    assert any(text.startswith("distribution shift") for text in json.loads(out)[0]["warnings"])


def test_progress_is_printed_after_two_seconds(capfd: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsim.cli import audit as command

    monkeypatch.setattr(command, "QUIET_SECONDS", 0.0)
    _, _, err = call(capfd, "audit", file, "--attacks", "loss,lira")
    assert "[ 67%] lira" in err.splitlines()
    assert all(re.fullmatch(r"\[ *\d+%\] \w+", line) for line in err.splitlines())


BAD_CALLS = {
    "no file": (["none.npz"], {}, "none.npz: cannot be read: No such file or directory"),
    "attack": (["--attacks", "loss,lria"], {}, "--attacks: got lria; allowed: "),
    "nearest": (["--attacks", "lira,los"], {}, "Did you mean 'loss'?"),
    "twice": (["--attacks", "loss,loss"], {}, "--attacks: got loss twice; allowed: each attack once"),
    "channel": (["--attacks", "energy"], {}, "bad.npz: got no array energy_pj, which the attack energy needs; allowed: "
                "add an array energy_pj [models, samples]"),
    "nan": ([], {"logits": np.full((6, 300, 5), np.nan)}, "bad.npz logits: got nan at model 0, sample 0, place 0; all"),
    "shapes": ([], {"labels": np.arange(299) % 5}, "bad.npz labels: got shape (299,); allowed: shape (300,)"),
    "all members": ([], {"keep": np.ones((6, 300), bool)}, "bad.npz samples: got a target with 0 non-members; a"),
    "target": (["--targets", "0,6"], {}, "--targets: got 0,6; allowed: models 0 to 5, such as 0,2-5, each once"),
    "targets twice": (["--targets", "1-3,2"], {}, "--targets: got 1-3,2; allowed: models 0 to 5"),
    "no targets": (["--targets", ""], {}, "--targets: got nothing; allowed: a value that is not empty"),
    "delta": (["--epsilon", "--delta", "1"], {}, "--delta: got 1.0; allowed: 0 to 1, less than 1"),
    "confidence": (["--epsilon", "--confidence", "95"], {}, "--confidence: got 95.0; allowed: between 0 and 1"),
    "one class": ([], {"labels": np.zeros(300, int)}, "bad.npz labels: got one class only, 0; allowed: two classes or"),
    "sums": ([], {"probabilities": np.ones((6, 300, 5))}, "bad.npz probabilities: got a sum of 5 at model 0, sample 0"),
    "missing": ([], {"keep": None}, "bad.npz keep: got arrays labels, latency_cycles, logits; allowed: an array keep"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_input_is_one_line_and_exits_with_2(capfd: Any, file: Path, name: str) -> None:
    arguments, changes, words = BAD_CALLS[name]
    path = [] if arguments[:1] == ["none.npz"] else [save(Path("bad.npz"), **changes)]
    code, out, err = call(capfd, "audit", *path, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize(
    ("models", "samples", "words"),
    [
        (2, 300, "bad.npz models: got 2; allowed: 3 or more for the attack lira"),
        (4, 12, "bad.npz samples: got a target with"),
    ],
)
def test_games_that_are_too_small(capfd: Any, file: Path, models: int, samples: int, words: str) -> None:
    with np.load(save(Path("all.npz"), models=4)) as arrays:
        few = {name: arrays[name][:models, :samples] for name in ("logits", "keep", "latency_cycles")}
        np.savez("bad.npz", labels=arrays["labels"][:samples], **few)
    code, out, err = call(capfd, "audit", "bad.npz", "--attacks", "lira")
    assert (code, out) == (2, "")
    assert words in err


@pytest.mark.parametrize("models", [1, 2])
def test_attacks_without_shadow_models_need_one_model(capfd: Any, file: Path, models: int) -> None:
    with np.load(save(Path("all.npz"), models=4)) as arrays:
        np.savez("few.npz", labels=arrays["labels"], logits=arrays["logits"][:models], keep=arrays["keep"][:models])
    code, out, _ = call(capfd, "audit", "few.npz", "--attacks", "loss", "--json")
    assert code == 0
    assert json.loads(out)[0]["n_targets"] == models


def test_some_models_as_targets(capfd: Any, file: Path) -> None:
    code, out, _ = call(capfd, "audit", file, "--attacks", "loss,lira", "--targets", "4,0-1", "--json")
    game, observations = planted(6, 300, seed=0, leak=1.5)
    attacks = [build("attack", "loss"), build("attack", "lira")]
    same = audit(observations, game, attacks, seed=0, targets=[4, 0, 1])
    assert code == 0
    assert [row["auc"] for row in json.loads(out)] == [same["loss"].auc.mean, same["lira"].auc.mean]
    assert json.loads(out)[0]["n_targets"] == 3


def test_side_channels_have_a_permutation_test(capfd: Any, file: Path) -> None:
    _, out, _ = call(capfd, "audit", file, "--attacks", "loss,latency", "--json")
    loss, latency = json.loads(out)
    assert (loss["auc_p_permutation"], loss["null_auc_sd"]) == (None, None)
    assert latency["auc_p_permutation"] == 1 / 50
    assert 0 < latency["null_auc_sd"] < 0.1
    _, out, _ = call(capfd, "audit", file, "--attacks", "loss,latency", "--permutations", 4)
    assert "memberships drawn anew 4 times; p cannot be below 0.2" in out
    assert re.search(r"^loss +0\.\d{4}  0\.\d{4} +0\.2000  0\.4000$", out, re.MULTILINE)
    _, out, _ = call(capfd, "audit", file, "--attacks", "latency", "--permutations", 0)
    assert "permutation" not in out


def test_the_bound_on_epsilon(capfd: Any, file: Path) -> None:
    _, out, _ = call(capfd, "audit", file, "--attacks", "loss", "--epsilon", "--json")
    game, observations = planted(6, 300, seed=0, leak=1.5)
    same = audit(observations, game, [build("attack", "loss")], seed=0)["loss"]
    assert json.loads(out)[0]["epsilon_low"] == same.epsilon_at_least(0)
    _, out, _ = call(capfd, "audit", file, "--attacks", "loss", "--epsilon", "--delta", 0.01, "--confidence", 0.5)
    assert "delta 0.01, confidence 50 %" in out
    assert f"  loss: {same.epsilon_at_least(0, 0.01, 0.5):.3f}" in out


def test_each_histogram_is_titled_by_its_attack(capfd: Any, file: Path) -> None:
    call(capfd, "audit", file, "--attacks", "loss,lira", "--report", "r")
    for label in ("loss", "lira"):
        assert f"Scores of {label}" in Path("r", "figures", f"scores_{label}.svg").read_text()


def test_a_folder_that_cannot_be_written_is_named(capfd: Any, file: Path) -> None:
    code, _, err = call(capfd, "audit", file, "--attacks", "loss", "--report", file)
    assert (code, err) == (2, "hwsim: models.npz: got a file; allowed: a folder, or the name of a new one\n")


def test_an_audit_needs_no_torch(file: Path) -> None:
    code = (
        "import sys; from hwsim import cli\n"
        f"try: cli.main(['audit', {str(file)!r}, '--attacks', 'loss,lira'])\n"
        "except SystemExit as end: print('torch' in sys.modules, end.code)"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False 0"
