"""Sum of numbers >= 0 that does not depend on their order."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def total(values: NDArray[np.float64]) -> float:
    """Return the sum of finite numbers >= 0, float64 [n], the same bits in any order: integers are added, not floats.

    Each number is cut to multiples of about 2**-92 of the largest one, in two parts.

    >>> total(np.array([0.1, 0.2, 0.3])) == total(np.array([0.3, 0.2, 0.1]))
    True
    """
    bits = 62 - len(values).bit_length()
    unit = 2.0 ** (math.frexp(float(values.max(initial=0.0)))[1] - bits)
    if unit == 0:  # the unit underflows: the sum is zero
        return 0.0
    high = np.floor(values / unit)
    low = np.floor((values / unit - high) * 2.0**bits)
    parts = [int(part.astype(np.int64).sum()) for part in (high, low)]
    return ((parts[0] << bits) + parts[1]) / (1 << bits) * unit
