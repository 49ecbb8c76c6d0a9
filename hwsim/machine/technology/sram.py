"""On-chip memories: CACTI 7's table, with interpolation between its sizes."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Literal

from hwsim.cache import cached
from hwsim.errors import BadInput
from hwsim.machine.technology.provenance import built_in_table
from hwsim.machine.technology.tables import KIB

SramColumn = Literal["read_pJ", "write_pJ", "leakage_mW", "area_mm2"]
CellType = Literal["lstp", "lop", "hp"]

TABLE_NODES = (45, 32, 22)
"""Nodes of the table, nm."""

SRAM_CELSIUS = 350 - 273.15
"""Temperature of the table's leakage."""

MIN_BYTES, MIN_WORD_BYTES = KIB, 8
"""Size and word of the smallest memory of the table, whose values per bit also price the memories inside PEs."""

OCTAVES = 4
"""Doublings of the size over which the growth beyond the table is averaged; sizes in the table double."""


@cached(256)
def series(column: SramColumn, word_bytes: int, node_nm: int = 45, cell: CellType = "lstp") -> dict[int, float]:
    """Return one column of the table by size in bytes, smallest first; empty for an unknown word size or node.

    Write energies never fall with the size. CACTI's fall in 13 of 27 series, where the organization that it chooses
    jumps. Design choice: the isotonic regression of their logarithms, the smallest change that keeps the order. It
    changes 38 of 315 rows, at most by a factor of 1.77.

    >>> list(series("read_pJ", 64))[:2]
    [2048, 4096]
    """
    found = [
        row
        for row in built_in_table("sram_cacti7")
        if (int(row["tech_nm"]), row["cell_type"], int(row["word_bytes"])) == (node_nm, cell, word_bytes)
    ]
    found.sort(key=lambda row: int(row["size_bytes"]))
    values = [float(row[column]) for row in found]
    return dict(
        zip(
            (int(row["size_bytes"]) for row in found),
            _isotonic(values) if column == "write_pJ" else values,
            strict=True,
        )
    )


def _isotonic(values: list[float]) -> list[float]:
    """Return the series without decrease whose logarithms are nearest to those of `values` (least squares).

    Neighbors that decrease are pooled into their geometric mean.

    >>> _isotonic([1.0, 8.0, 2.0, 16.0])
    [1.0, 4.0, 4.0, 16.0]
    """
    pools: list[list[float]] = []
    for value in values:
        pools.append([value])
        while len(pools) > 1 and _geometric_mean(pools[-2]) > _geometric_mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return [_geometric_mean(pool) for pool in pools for _ in pool]


def _geometric_mean(pool: list[float]) -> float:
    return pool[0] if len(pool) == 1 else math.exp(math.fsum(map(math.log, pool)) / len(pool))


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
    """Return energy per access of one word, leakage or area of one memory (CACTI 7, 350 K, one port).

    A size of the table gives the value of `series` exactly. Between two sizes the logarithm of the value is
    interpolated over the logarithm of the size. With `extrapolate`, sizes outside the table continue from the
    nearest end by the mean power of the outer four octaves (fewer octaves would let some write energies
    stay as they are, because pooled sizes are equal). Without it, raises BadInput naming `where`.

    Parameters
    ----------
    column : value to return; its unit is in the name
    size_bytes : size of the memory
    word_bytes : bytes per access: 8, 32 or 64
    where : place for error messages
    node_nm : one of TABLE_NODES
    cell : type of cells and periphery
    extrapolate : whether sizes outside the table are allowed

    >>> sram("read_pJ", 8192, 8)
    3.37664
    >>> round(sram("read_pJ", 4 << 20, 8, extrapolate=True) / sram("read_pJ", 2 << 20, 8), 2)
    1.63
    """
    table = series(column, word_bytes, node_nm, cell)
    sizes = list(table)
    if not in_table(size_bytes, word_bytes):
        if not extrapolate:
            allowed = f"{sizes[0] // KIB} to {sizes[-1] // KIB} KiB"
            hint = "technology.extrapolate = true extrapolates the table"
            raise BadInput(where, f"{size_bytes / KIB:g} KiB", allowed, hint)
        end, inner = (sizes[0], sizes[OCTAVES]) if size_bytes < sizes[0] else (sizes[-1], sizes[-1 - OCTAVES])
        return _power_law(size_bytes / end, table[end], table[inner], inner / end)
    above = bisect_left(sizes, size_bytes)
    high = sizes[above]
    if size_bytes == high:
        return table[high]
    low = sizes[above - 1]
    return _power_law(size_bytes / low, table[low], table[high], high / low)


def in_table(size_bytes: float, word_bytes: int) -> bool:
    """Return whether the table covers this size: 1 KiB to 2 MiB, with 64-byte words from 2 KiB.

    >>> in_table(1024, 8), in_table(1024, 64), in_table(1 << 22, 8)
    (True, False, False)
    """
    sizes = list(series("read_pJ", word_bytes))
    return sizes[0] <= size_bytes <= sizes[-1]


def _power_law(x: float, at_one: float, at_other: float, other: float) -> float:
    """Return the value at x of the power law with value `at_one` at 1 and `at_other` at `other`."""
    return at_one * math.exp(math.log(at_other / at_one) * math.log(x) / math.log(other))
