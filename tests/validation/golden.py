"""Numbers of others, as they lie in tests/golden."""

from __future__ import annotations

import csv
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden"


def read(name: str) -> list[dict[str, str]]:
    """The rows of a table; lines that begin with # say where it is from."""
    lines = (FOLDER / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))
