"""`hwsim check`, and accelerators by file on the command line."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from hwsim import cli
from hwsim.network.file import save
from tests.support.small_network import small_network

TINY = (files("accel_models") / "accelerators" / "tiny.toml").read_text(encoding="utf-8")
PRICES = "item,pJ_per_bit,source\ndram,4,assumed\n"
TEXTS = {
    "empty.toml": "",
    "design.toml": 'accelerator = "mine.toml"\nattacks = ["loss"]\n',
    "study.toml": '[axes]\n"quantizer.w_bits" = [4, 8]\naccelerator = ["mine.toml", "tiny"]\n',
    "mine.toml": TINY,
    "mixed.toml": TINY.replace("help =", "seed = 3\nhelp =", 1),
    "layers.csv": "Layer,M,N,K\nfc,1,10,20\n",
    "prices.csv": PRICES,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    out, err = capfd.readouterr()
    return ended.value.code, out, err


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("empty.toml", "design, digits, small_cnn, minmax, tpu_like, 16 models, 2 attacks"),
        ("design.toml", "design, digits, small_cnn, minmax, mine, 16 models, 1 attack"),
        ("study.toml", "study, 4 points, axes quantizer.w_bits, accelerator, objectives accuracy, energy_pj"),
        ("mine.toml", "accelerator, 4x4 fixed PEs, ws, 100 MHz"),
        ("layers.csv", "topology, 1 layer, 200 MACs per sample"),
        ("prices.csv", "prices of a technology, 1 item"),
    ],
)
def test_a_valid_file_is_one_line(capfd: pytest.CaptureFixture[str], folder: Path, name: str, line: str) -> None:
    assert call(capfd, "check", name)[:2] == (0, f"{name}: {line}\n")


def test_a_topology_may_be_in_utf_16(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "wide.csv").write_text(TEXTS["layers.csv"], encoding="utf-16")
    assert call(capfd, "check", "wide.csv")[:2] == (0, "wide.csv: topology, 1 layer, 200 MACs per sample\n")


def test_networks_and_audit_files(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    network = small_network()
    save(network, folder / "net.npz")
    keep = np.arange(4)[:, None] % 2 == np.arange(10) % 2
    logits = np.random.default_rng(0).normal(size=(4, 10, 3))
    np.savez(folder / "audit.npz", logits=logits, keep=keep, labels=np.arange(10) % 3, extra=keep)
    code, out, err = call(capfd, "check", "net.npz", "audit.npz")
    shape = "x".join(map(str, network.input_shape))
    assert code == 0
    assert out.splitlines() == [
        f"net.npz: network, input {shape}, {len(network.layers)} layers",
        "audit.npz: audit file, 4 models, 10 samples, channels logits",
    ]
    assert "arrays not used: extra" in err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.toml", "arrays = 3", "hwsim: x.toml: arrays: unknown setting; allowed: accelerator, "),
        ("x.toml", TINY.replace("[array]", "[arrays]"), "hwsim: x.toml: arrays: unknown setting; allowed: array, "),
        ("x.toml", 'quantizer = "lqs"', "hwsim: x.toml: quantizer.name: got lqs; allowed: "),
        ("x.toml", '[study]\nname = "x"\n[axs]', "hwsim: x.toml: study file: got axs; allowed: "),
        ("x.toml", "a = = 3", "hwsim: x.toml: not valid TOML: "),
        (
            "x.toml",
            TINY.replace("rows = 4", "rows = 0"),
            "hwsim: x.toml: accelerator.array.rows: got 0; allowed: 1",
        ),
        ("x.toml", TINY.replace("help =", "seed = 3\nhelp =", 1), "hwsim: x.toml: seed: unknown setting; allowed: "),
        ("x.csv", "Layer,M,N\nfc,1,10\n", "hwsim: x.csv"),
        ("x.csv", PRICES.replace("dram", "drams"), "hwsim: x.csv, line 2: item: got drams; allowed: "),
        ("x.npz", "text", "hwsim: x.npz: "),
        ("x.onnx", "", "hwsim: x.onnx: got a file that ends in '.onnx'; allowed: .toml, .csv, .npz"),
    ],
)
def test_the_first_error_is_one_line(
    capfd: pytest.CaptureFixture[str], folder: Path, name: str, text: str, message: str
) -> None:
    (folder / name).write_text(text)
    code, out, err = call(capfd, "check", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(message)


def test_what_is_no_file(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    os.mkfifo(folder / "fifo.toml")
    np.savez(folder / "other.npz", logit=np.zeros(3))
    for name, message in (
        ("none.toml", "none.toml: cannot be read: No such file or directory"),
        (".", ".: cannot be read: Is a directory"),
        ("fifo.toml", "fifo.toml: got a FIFO; allowed: a regular file"),
        ("other.npz", "other.npz: entries (a network has network.json, an audit file the others): got logit; allowed: "
         "keep, labels, logits, network.json. Did you mean 'logits'?"),
    ):  # fmt: skip
        assert call(capfd, "check", name) == (2, "", f"hwsim: {message}\n")


def test_one_wrong_file_hides_no_other(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    code, out, err = call(capfd, "check", "none.toml", "mine.toml")
    assert (code, out.count("\n"), err.count("\n")) == (2, 1, 1)


def test_points_that_will_be_infeasible_are_told(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "study.toml").write_text('[axes]\n"quantizer.w_bits" = [4, 99]\n')
    code, out, err = call(capfd, "check", "study.toml")
    assert (code, out.count("2 points")) == (0, 1)
    assert err == (
        "hwsim: study.toml: 1 of 2 points make no valid design and will be infeasible; the first: "
        "quantizer.w_bits=99: quantizer.w_bits: got 99; allowed: 1 to 8\n"
    )


def test_show_and_cycles_take_a_file(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "chips").mkdir()
    (folder / "mine.toml").rename(folder / "chips" / "mine.toml")
    code, out, _ = call(capfd, "show", "chips/mine.toml")
    assert (code, out.splitlines()[0]) == (0, "accelerator mine")
    assert "\nsources:\n  " in out
    code, _, err = call(capfd, "cycles", "layers.csv", "--accelerator", "chips/mine.toml")
    assert code == 0
    assert "\nmine: 4x4 fixed PEs" in f"\n{err}"


def test_set_takes_a_file(capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    code, _, err = call(capfd, "run", "empty.toml", "--set", "accelerator=none.toml")
    assert (code, err) == (2, "hwsim: none.toml: cannot be read: No such file or directory\n")
    code, _, err = call(
        capfd, "run", "empty.toml", "--set", "accelerator=mine.toml", "--set", "accelerator.array.rows=0"
    )
    assert (code, err) == (2, "hwsim: empty.toml: accelerator.array.rows: got 0; allowed: 1 to 4096\n")
