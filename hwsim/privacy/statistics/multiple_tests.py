"""Significance of many attacks at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number: below 0.05 all at once with an error of 5 % at most.

    Twenty attacks without any leak have a p-value below 0.05 among them more often than not.
    Source: S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 1979.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    corrected, largest = [0.0] * count, 0.0
    for rank, i in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (count - rank) * float(p_values[i])))
        corrected[i] = largest
    return corrected
