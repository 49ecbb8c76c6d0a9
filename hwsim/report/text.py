"""Tables for people: short numbers in aligned columns of plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwsim.study.table import Row


def short(value: Any) -> str:
    """A value in at most about eight characters.

    >>> short(0.97263), short(1234567.8), short(12), short(None), short(3.2e-7)
    ('0.9726', '1,234,568', '12', '-', '3.2e-07')
    """
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    return str(value)


def aligned(table: Sequence[Row], columns: Sequence[str]) -> str:
    """The chosen columns of the rows as text; numbers stand flush right.

    >>> print(aligned([{"a": "x", "b": 1.5}, {"a": "longer", "b": 10.25}], ["a", "b"]))
    a           b
    x         1.5
    longer  10.25
    """
    cells = [list(columns), *([short(row[name]) for name in columns] for row in table)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    right = [any(isinstance(row[name], int | float) for row in table) for name in columns]
    lines = (
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)
