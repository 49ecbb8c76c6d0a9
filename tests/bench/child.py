"""Measurements in a new process, independent of earlier measurements."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def run_child(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Any:
    """Run `python -m module arguments` and return the JSON value of its last output line."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | dict(environment or {}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def print_result(value: object) -> None:
    """Print the result of a child process for `run_child`."""
    print(json.dumps(value))
