"""Small integer arithmetic and array alignment that several packages need."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


@overload
def ceil_div(a: int, b: int) -> int: ...
@overload
def ceil_div(a: NDArray[np.int64], b: int | NDArray[np.int64]) -> NDArray[np.int64]: ...
@overload
def ceil_div(a: int, b: NDArray[np.int64]) -> NDArray[np.int64]: ...
def ceil_div(a: Any, b: Any) -> Any:
    """Return the smallest integer that is at least a / b, for integers or integer arrays; `b` from 1.

    >>> ceil_div(7, 2), ceil_div(8, 2), ceil_div(-7, 2)
    (4, 4, -3)
    """
    return -(-a // b)


def aligned(array: NDArray[T], bytes: int) -> NDArray[T]:
    """Return the view of a flat array that begins at its first element whose address is a multiple of `bytes`.

    `bytes` is a multiple of the item size. At most `bytes / itemsize - 1` elements are left out.

    >>> aligned(np.zeros(100, np.int32), 64).ctypes.data % 64
    0
    """
    return array[-array.ctypes.data % bytes // array.itemsize :]
