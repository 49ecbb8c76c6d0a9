"""On-chip memories: CACTI 7's table, and what lies between its sizes."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Literal

from hwsim.cache import cached
from hwsim.errors import BadInput
from hwsim.machine.technology.provenance import built_in
from hwsim.machine.technology.tables import KIB

SramColumn = Literal["read_pJ", "write_pJ", "leakage_mW", "area_mm2"]
CellType = Literal["lstp", "lop", "hp"]

TABLE_NODES = (45, 32, 22)
"""nm; the table has no other."""

SMALLEST_BYTES, NARROWEST_WORD = KIB, 8
"""The smallest memory of the table, whose price per bit stands for the memories inside PEs."""

OCTAVES = 4
"""Doublings of the size whose mean growth holds beyond the table; sizes in the table double."""


@cached(256)
def series(column: SramColumn, word_bytes: int, node_nm: int = 45, cell: CellType = "lstp") -> dict[int, float]:
    """One column of the table by size in bytes, smallest first; empty when there is no such word or node.

    >>> list(series("read_pJ", 64))[:2]
    [2048, 4096]
    """
    found = [
        row
        for row in built_in("sram_cacti7")
        if (int(row["tech_nm"]), row["cell_type"], int(row["word_bytes"])) == (node_nm, cell, word_bytes)
    ]
    return {int(row["size_bytes"]): float(row[column]) for row in sorted(found, key=lambda row: int(row["size_bytes"]))}


def sram(
    column: SramColumn,
    size_bytes: float,
    word_bytes: int,
    where: str = "sram",
    *,
    node_nm: int = 45,
    cell: CellType = "lstp",
    extrapolate: bool = False,
) -> float:
    """Energy per access of one word, leakage or area of one memory (CACTI 7, 350 K, one port).

    Between two sizes of the table the logarithm is interpolated over the logarithm of the size; a
    size of the table gives its value exactly. With `extrapolate` a size outside goes on from the
    nearest end by the mean power of the outer four octaves (fewer would let some write energies
    fall, which jump from size to size); without it, raises BadInput naming `where`.

    >>> sram("read_pJ", 8192, 8)
    3.37664
    >>> round(sram("read_pJ", 4 << 20, 8, extrapolate=True) / sram("read_pJ", 2 << 20, 8), 2)
    1.63
    """
    table = series(column, word_bytes, node_nm, cell)
    sizes = list(table)
    if not inside(size_bytes, word_bytes):
        if not extrapolate:
            allowed = f"{sizes[0] // KIB} to {sizes[-1] // KIB} KiB"
            hint = "technology.extrapolate = true prices it all the same"
            raise BadInput(where, f"{size_bytes / KIB:g} KiB", allowed, hint)
        end, inner = (sizes[0], sizes[OCTAVES]) if size_bytes < sizes[0] else (sizes[-1], sizes[-1 - OCTAVES])
        return _on_line(size_bytes / end, table[end], table[inner], inner / end)
    above = bisect_left(sizes, size_bytes)
    high = sizes[above]
    if size_bytes == high:
        return table[high]
    low = sizes[above - 1]
    return _on_line(size_bytes / low, table[low], table[high], high / low)


def inside(size_bytes: float, word_bytes: int) -> bool:
    """Whether the table covers this size: 1 KiB to 2 MiB, with 64-byte words from 2 KiB.

    >>> inside(1024, 8), inside(1024, 64), inside(1 << 22, 8)
    (True, False, False)
    """
    sizes = list(series("read_pJ", word_bytes))
    return sizes[0] <= size_bytes <= sizes[-1]


def _on_line(x: float, start: float, other: float, x_other: float) -> float:
    """The value at x, where logarithms lie on a line: `start` at 1, `other` at x_other."""
    return start * math.exp(math.log(other / start) * math.log(x) / math.log(x_other))
