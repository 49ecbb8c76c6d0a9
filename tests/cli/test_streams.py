"""Standard streams that are closed, full, or whose reader has gone: at most one line, no traceback."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.interrupts import ROOT
from tests.support.small_network import small_network

HWSIM = f"{shlex.quote(sys.executable)} -m hwsim"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    import hwsim

    hwsim.save(small_network(), tmp_path / "net.npz")
    return tmp_path


def shell(command: str, folder: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=folder, capture_output=True, text=True, check=False,
        timeout=300, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


CLOSED = "hwsim: standard output is closed: it shows nothing\n"


@pytest.mark.parametrize(
    ("command", "code", "err"),
    [
        ("list >&-", 0, CLOSED),
        ("--version >&-", 0, CLOSED),
        ("explain net.npz 2>/dev/null >&-", 0, ""),
        ("list >&- 2>&- <&-", 0, ""),
        ("list >/dev/full", 2, "hwsim: input or output: No space left on device\n"),
        ("show nosuch 2>/dev/full", 2, ""),
        ("show nosuch >&-", 2, None),
        ("show nosuch 2>&-", 2, ""),
    ],
)
def test_closed_and_full_streams(command: str, code: int, err: str | None, network: Path) -> None:
    found = shell(f"{HWSIM} {command}", network)
    assert found[:2] == (code, "")
    assert "Traceback" not in found[2]
    if err is not None:
        assert found[2] == err


@pytest.mark.parametrize("command", ["list 2>&-", "list <&-"])
def test_a_closed_stream_that_is_not_used_changes_nothing(command: str, tmp_path: Path) -> None:
    code, out, err = shell(f"{HWSIM} {command}", tmp_path)
    assert (code, err) == (0, "")
    assert out.count("\n") > 50


@pytest.mark.parametrize("command", ["list", "--help", "explain net.npz"])
def test_a_reader_that_has_gone(command: str, network: Path) -> None:
    code, _, err = shell(f"{HWSIM} {command} 2>err | true; cat err >&2", network)
    assert code == 0
    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_messages_do_not_move_to_standard_output(network: Path) -> None:
    _, out, _ = shell(f"{HWSIM} explain net.npz 2>&-", network)
    assert "input: random codes" not in out
