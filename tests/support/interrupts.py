"""Child processes that hear Ctrl-C, even where the tests run in a background shell, which ignores SIGINT."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

COMMAND = "from hwsim.cli import main; print('started', flush=True); main()"
"""Program of the command line that says when it starts: before, Python itself answers Ctrl-C."""


def hear_sigint() -> None:
    """Restore the default action of SIGINT in this process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(arguments: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Start Python with `arguments` in a process group of its own, with hwsim on its path."""
    env = os.environ | {"PYTHONPATH": str(ROOT)} | options.pop("env", {})
    return subprocess.Popen(
        [sys.executable, *arguments], env=env, text=True, start_new_session=True, preexec_fn=hear_sigint,
        stdout=options.pop("stdout", subprocess.PIPE), stderr=options.pop("stderr", subprocess.PIPE), **options,
    )  # fmt: skip


def interrupted_command(arguments: Sequence[str], delay: float, **options: Any) -> tuple[int, str, str]:
    """Run a command of hwsim, interrupt its process group after `delay` seconds, and return (exit code, out, err).

    Raises TimeoutExpired for a command that hangs, whose processes are killed.
    """
    process = start(["-c", COMMAND, *arguments], **options)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(delay)
    interrupt(process)
    return ended(process)


def interrupt(process: subprocess.Popen[str]) -> None:
    """Send SIGINT to all processes of the group, as a terminal does."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)


def ended(process: subprocess.Popen[str], seconds: float = 60) -> tuple[int, str, str]:
    """Wait for the end of a process and return (exit code, out, err)."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, out or "", err or ""
