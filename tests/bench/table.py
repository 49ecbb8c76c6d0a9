"""Speed table as text and as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from tests.bench.row import COLUMNS, Row


def format_table(rows: Sequence[Row]) -> str:
    """Return an aligned table: one line per row, numbers right-aligned, `<` after a ratio below its goal."""
    lines = [COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_align(line, widths) for line in lines)


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write the rows with all digits; an unknown value is an empty cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            values = [getattr(row, column) for column in COLUMNS]
            writer.writerow(["" if _unknown(value) else value for value in values])


def _cells(row: Row) -> tuple[str, ...]:
    missed = "<" if row.ratio < row.goal else " "
    return (
        row.group, row.work, _number(row.ours), row.peer_name, _number(row.peer), row.unit,
        _number(row.ratio) + missed, _number(row.goal),
    )  # fmt: skip


def _number(value: float) -> str:
    if _unknown(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _unknown(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _align(cells: Sequence[str], widths: Sequence[int]) -> str:
    numbers = {COLUMNS.index(name) for name in ("ours", "peer", "ratio", "goal")}
    padded = [c.rjust(w) if i in numbers else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(padded).rstrip()
