"""Columns of plain text, of which those with numbers stand flush right."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.debug.explanation import Index

Cell = int | str | None


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]], indent: str = "  ") -> str:
    """Rows under their header; a column of integers is flush right, and None is a dash.

    >>> print(table(["rule", "code"], [["half_up", 12], ["floor", 1100]], indent=""))
    rule      code
    half_up     12
    floor    1,100
    """
    right = [any(isinstance(row[i], int) for row in rows) for i in range(len(header))]
    lines = [list(header), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        (
            indent + "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        ).rstrip()
        for line in lines
    )


def cell(value: Cell) -> str:
    """One value as text.

    >>> cell(-1234), cell(None), cell("floor")
    ('-1,234', '-', 'floor')
    """
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else value


def index(at: Index) -> str:
    """An index as it is typed after --at.

    >>> index((0, 3, 4))
    '0,3,4'
    """
    return ",".join(map(str, at))
