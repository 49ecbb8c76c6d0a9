"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.debug.explanation import Index

Cell = int | str | None


def format_table(header: Sequence[str], rows: Sequence[Sequence[Cell]], indent: str = "  ") -> str:
    """Return rows under their header; a column with integers is right-aligned, and None is a dash.

    >>> print(format_table(["rule", "code"], [["half_up", 12], ["floor", 1100]], indent=""))
    rule      code
    half_up     12
    floor    1,100
    """
    right = [any(isinstance(row[i], int) for row in rows) for i in range(len(header))]
    lines = [list(header), *([format_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        (
            indent + "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        ).rstrip()
        for line in lines
    )


def format_cell(value: Cell) -> str:
    """Return one value as text.

    >>> format_cell(-1234), format_cell(None), format_cell("floor")
    ('-1,234', '-', 'floor')
    """
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else value


def format_index(at: Index) -> str:
    """Return an index in the form that the option --at takes.

    >>> format_index((0, 3, 4))
    '0,3,4'
    """
    return ",".join(map(str, at))
