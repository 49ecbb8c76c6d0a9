"""The table of a study: one row per point in grid order, the same bytes whatever way the points were computed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.study.results.store import Stored
from hwsim.study.search.pareto import front
from hwsim.study.search.study import Point, describe, result_columns

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]


def columns(points: Sequence[Point], results: Mapping[str, Stored]) -> list[str]:
    """Axes, status, results, then what only some results have, warnings, reason and key."""
    axes = list(dict.fromkeys(path for point in points for path in point.axes))
    known = [*axes, "status", *result_columns(points)]
    last = ["data_note", "warnings", "reason", "key"]
    found = {name for p in points if p.design.key in results for name in results[p.design.key].result}
    return [*known, *sorted(found - set(known) - set(last)), *last]


def rows(points: Sequence[Point], results: Mapping[str, Stored]) -> list[Row]:
    """One row per point with every column of `columns`; None where a point has no such value.

    A point without a result has the status "pending".
    """
    names = columns(points, results)
    table: list[Row] = []
    for point in points:
        stored = results.get(point.design.key, Stored("pending", {}))
        axes = {
            path: value if value is None or isinstance(value, int | float) else describe(value)
            for path, value in point.axes.items()
        }
        row = {**axes, "status": stored.status, **stored.result, "key": point.design.key}
        table.append({name: row.get(name) for name in names})
    return table


def to_csv(table: Sequence[Row]) -> str:
    """Comma-separated text with a header; floats as `repr` writes them, so that they read back exactly."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table[0] if table else [])
    writer.writerows([[_cell(value) for value in row.values()] for row in table])
    return out.getvalue()


def to_jsonl(table: Sequence[Row]) -> str:
    """One JSON object per line; a missing value is null."""
    return "".join(json.dumps(dict(row)) + "\n" for row in table)


def to_parquet(table: Sequence[Row]) -> bytes:
    """A parquet file; raises HwsimError when pyarrow is not installed."""
    try:
        import pyarrow  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        raise HwsimError("parquet needs pyarrow: pip install 'hwsim[parquet]', or choose csv or jsonl") from None
    out = io.BytesIO()
    frame(table).to_parquet(out, index=False)
    return out.getvalue()


def frame(table: Sequence[Row]) -> pd.DataFrame:
    """The table as a pandas DataFrame with nullable column types."""
    import pandas as pd

    return pd.DataFrame([dict(row) for row in table]).convert_dtypes()


def front_of(table: Sequence[Row], objectives: Mapping[str, str]) -> NDArray[np.bool_]:
    """Which rows are on the Pareto front of the objectives; bool [row]."""
    values = [[np.nan if row.get(name) is None else float(row[name]) for name in objectives] for row in table]
    return front(np.array(values, dtype=np.float64).reshape(len(table), len(objectives)), list(objectives.values()))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)
