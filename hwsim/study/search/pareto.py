"""The Pareto front: the points that no other point beats in every objective."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput


def front(values: NDArray[np.float64], senses: Sequence[str]) -> NDArray[np.bool_]:
    """Which rows of `values` [point, objective] no other row dominates; bool [point].

    `senses` says "max" or "min" per objective. A row dominates another when it is no worse anywhere
    and better somewhere, so equal rows are all kept. A row with a nan is not on the front and
    dominates nothing. Exact: rows are compared, never ranked or rounded.

    >>> front(np.array([[0.9, 5.0], [0.8, 3.0], [0.7, 4.0]]), ["max", "min"]).tolist()
    [True, True, False]
    """
    if values.ndim != 2 or values.shape[1] != len(senses) or not set(senses) <= {"max", "min"}:
        raise BadInput("senses", list(senses), f'"max" or "min" for each column of values {values.shape}')
    cost = np.where([sense == "max" for sense in senses], -values, values)
    valid: NDArray[np.bool_] = np.logical_not(np.isnan(cost).any(axis=1))
    mask = valid.copy()
    for i in np.flatnonzero(valid):
        no_worse = (cost <= cost[i]).all(axis=1)
        better = (cost < cost[i]).any(axis=1)
        mask[i] = not (no_worse & better).any()
    return mask
