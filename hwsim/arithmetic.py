"""Small integer arithmetic and array alignment that several packages need."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


@overload
def ceil_div(a: int, b: int) -> int: ...
@overload
def ceil_div(a: NDArray[np.int64], b: int | NDArray[np.int64]) -> NDArray[np.int64]: ...
@overload
def ceil_div(a: int, b: NDArray[np.int64]) -> NDArray[np.int64]: ...
def ceil_div(a: Any, b: Any) -> Any:
    """The smallest integer that is not below a / b, for integers or integer arrays; `b` from 1.

    >>> ceil_div(7, 2), ceil_div(8, 2), ceil_div(-7, 2)
    (4, 4, -3)
    """
    return -(-a // b)
