"""CSV tables of measured and published numbers: a table in which a row has no source is refused."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.cache import cached
from hwsim.errors import BadInput, UnknownName
from hwsim.files.reading import text_of

if TYPE_CHECKING:
    from _csv import Reader

TABLES = Path(str(files("accel_models") / "technology"))
"""Folder of the tables."""

SOURCE = "source"
_HINT = 'Say where the number was read or measured, or "assumed" and why'

Row = dict[str, str]


@cached(32)
def built_in_table(name: str) -> tuple[Row, ...]:
    """Return the rows of `accel_models/technology/<name>.csv`, as text by column.

    >>> built_in_table("dram")[0]["kind"]
    'lpddr4'
    """
    return read_table(TABLES / f"{name}.csv")


def read_table(file: Path | Traversable, columns: Sequence[str] = ()) -> tuple[Row, ...]:
    """Return the rows of a CSV file with one header line, as text by column; each row has a non-empty `source`.

    The header must contain `columns`. Raises BadInput naming the file and the line for a table or a row
    without a source, HwsimError when the file cannot be read.
    """
    return tuple(row for _, row in _located_rows(file, columns))


def read_prices(file: Path, items: Sequence[str]) -> tuple[dict[str, str | float], ...]:
    """Return a user's own prices: columns item (one of `items`, each at most once), pJ_per_bit and source.

    Raises BadInput or UnknownName, naming the file and the line.
    """
    found: dict[str, dict[str, str | float]] = {}
    for where, row in _located_rows(file, ("item", "pJ_per_bit")):
        item = row["item"]
        if item not in items:
            raise UnknownName(f"{where}: item", item, items, "setting")
        if item in found:
            raise BadInput(f"{where}: item", item, "each item once")
        found[item] = {"item": item, "pj_per_bit": _positive(row["pJ_per_bit"], where), "source": row[SOURCE]}
    return tuple(found.values())


def _located_rows(file: Path | Traversable, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Yield (file name and line, row) of every row."""
    try:
        yield from _rows(csv.reader(text_of(file).splitlines(), strict=True), file.name, columns)
    except csv.Error as error:  # such as a cell beyond csv.field_size_limit
        raise BadInput(file.name, str(error), "a table of comma-separated cells") from None


def _rows(reader: Reader, name: str, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    header = next(reader, [])
    for column in (SOURCE, *columns):
        if column not in header:
            hint = _HINT if column == SOURCE else ""
            raise BadInput(f"{name}, line 1", ",".join(header) or "no columns", f"a column {column!r}", hint)
    for cells in reader:
        if not cells:
            continue
        where = f"{name}, line {reader.line_num}"
        if len(cells) != len(header):
            raise BadInput(where, f"{len(cells)} cells", f"{len(header)}, as in the header")
        row = dict(zip(header, cells, strict=True))
        if not row[SOURCE].strip():
            raise BadInput(f"{where}: {SOURCE}", None, "a text", _HINT)
        yield where, row


def _positive(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise BadInput(f"{where}: pJ_per_bit", text, "a positive number")
    return value
