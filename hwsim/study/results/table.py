"""Result table: one row per point in grid order, independent of the order of computation, as CSV, JSON or parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwsim.errors import HwsimError
from hwsim.study.point import Point, attack_labels, describe
from hwsim.study.results.columns import NOTES, STATUS, objective_columns
from hwsim.study.results.store import PointResult

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]


def header(points: Sequence[Point], results: Mapping[str, PointResult]) -> list[str]:
    """Return the column names of the table: axes, status, results, optional columns in alphabetical order, notes."""
    axes = list(dict.fromkeys(path for point in points for path in point.axes))
    always = [*axes, STATUS.name, *(column.name for column in objective_columns(attack_labels(points)))]
    last = [column.name for column in NOTES]
    found = (results.get(point.settings_key) for point in points)
    present = {name for result in found if result is not None for name in result.columns}
    return [*always, *sorted(present - set(always) - set(last)), *last]


def rows(points: Sequence[Point], results: Mapping[str, PointResult]) -> list[Row]:
    """Return one row per point with every column of `header`; None where a point has no value.

    `results` has the results by settings key. A point without a result has the status "pending".
    """
    names = header(points, results)
    table: list[Row] = []
    for point in points:
        result = results.get(point.settings_key, PointResult("pending", {}))
        axes = {
            path: value if value is None or isinstance(value, int | float) else describe(value)
            for path, value in point.axes.items()
        }
        row = {**axes, "status": result.status, **result.columns, "key": result.key}
        table.append({name: row.get(name) for name in names})
    return table


def unfinished(table: Sequence[Row]) -> str:
    """Return a sentence about the points that have no result yet; empty where all have one.

    >>> unfinished([{"status": "done"}, {"status": "pending"}])
    'The study is not finished: 1 of 2 points are pending.'
    """
    pending = sum(row["status"] == "pending" for row in table)
    return f"The study is not finished: {pending:,} of {len(table):,} points are pending." if pending else ""


def to_csv(table: Sequence[Row]) -> str:
    """Return comma-separated text with a header; floats have as many digits as reading them back exactly needs."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_text(name) for name in table[0]] if table else [])
    writer.writerows([[_cell(value) for value in row.values()] for row in table])
    return out.getvalue()


def to_jsonl(table: Sequence[Row]) -> str:
    """Return one JSON object per line; a missing value is null."""
    return "".join(json.dumps(dict(row)) + "\n" for row in table)


def to_parquet(table: Sequence[Row]) -> bytes:
    """Return a parquet file; raises HwsimError when pyarrow is not installed."""
    try:
        import pyarrow  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        raise HwsimError("parquet needs pyarrow: pip install 'hwsim[parquet]', or choose csv or jsonl") from None
    out = io.BytesIO()
    frame(table).to_parquet(out, index=False)
    return out.getvalue()


def frame(table: Sequence[Row]) -> pd.DataFrame:
    """Return the table as a pandas DataFrame with nullable column types."""
    import pandas as pd

    return pd.DataFrame([dict(row) for row in table]).convert_dtypes()


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters of a text that a spreadsheet takes for a formula."""


def csv_text(text: str) -> str:
    """Return a text for a cell of a CSV file: with an apostrophe before what a spreadsheet would run as a formula.

    >>> csv_text("lsq"), csv_text("=1+1")
    ('lsq', "'=1+1")
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    return str(value) if isinstance(value, int) else csv_text(str(value))
