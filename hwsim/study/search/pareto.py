"""Pareto front: the rows that no other row dominates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput


def front(values: NDArray[np.float64], directions: Sequence[str]) -> NDArray[np.bool_]:
    """Return True for each row of `values` that no other row dominates; bool [point].

    A row dominates another when it is no worse in every column and better in one, so equal rows are all
    on the front. A row with a NaN is not on the front and dominates no row. The result is exact: values are
    compared, never ranked or rounded.

    Parameters
    ----------
    values : float64 [point, objective]
    directions : "max" or "min" for each objective

    >>> front(np.array([[0.9, 5.0], [0.8, 3.0], [0.7, 4.0]]), ["max", "min"]).tolist()
    [True, True, False]
    """
    if values.ndim != 2 or values.shape[1] != len(directions) or not set(directions) <= {"max", "min"}:
        raise BadInput("directions", list(directions), f'"max" or "min" for each column of values {values.shape}')
    cost = np.where([direction == "max" for direction in directions], -values, values)
    valid: NDArray[np.bool_] = np.logical_not(np.isnan(cost).any(axis=1))
    mask = valid.copy()
    for i in np.flatnonzero(valid):
        no_worse = (cost <= cost[i]).all(axis=1)
        better = (cost < cost[i]).any(axis=1)
        mask[i] = not (no_worse & better).any()
    return mask


def front_of(table: Sequence[Mapping[str, Any]], objectives: Mapping[str, str]) -> NDArray[np.bool_]:
    """Return True for each row of a table that is on the Pareto front; bool [row].

    `objectives` maps a column to "max" or "min". A row without a value for an objective is not on the front.
    """
    values = [[np.nan if row.get(name) is None else float(row[name]) for name in objectives] for row in table]
    return front(np.array(values, dtype=np.float64).reshape(len(table), len(objectives)), list(objectives.values()))
