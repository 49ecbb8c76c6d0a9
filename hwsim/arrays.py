"""Arrays that a user gives: lists, numpy arrays and torch tensors become numpy arrays, and anything else is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput


def array(values: object, place: str, kinds: str, words: str) -> NDArray[Any]:
    """Return `values` as an array whose dtype is one of the `kinds` of numpy, which `words` name in the error.

    A list of numbers and a torch tensor, also one that requires a gradient, are converted. None, text, objects, ragged
    lists and masked arrays, whose masked entries have no value, raise BadInput that names `place`.

    >>> array([[1, 2]], "inputs", "iu", "integers").shape
    (1, 2)
    """
    given = f"a {type(values).__name__}"
    if values is None or isinstance(values, (str, bytes, dict, set)):
        raise BadInput(place, "None" if values is None else given, f"an array of {words}")
    if isinstance(values, np.ma.MaskedArray):
        raise BadInput(place, "a masked array", f"an array of {words} without a mask", "Fill it with values first.")
    if hasattr(values, "detach"):  # a torch tensor, without an import of torch
        values = values.detach().cpu()
    try:
        found = np.asarray(values)
    except Exception:  # ragged lists, and whatever a foreign __array__ raises
        raise BadInput(place, f"{given} that is no array", f"an array of {words}") from None
    if found.dtype.kind not in kinds:
        raise BadInput(place, f"dtype {found.dtype}", f"an array of {words}")
    return found


def real_array(values: object, place: str) -> NDArray[Any]:
    """Return `values` as an array of real numbers, integers and truth values (0 and 1) included.

    >>> real_array([0.5, 1], "inputs").tolist()
    [0.5, 1.0]
    """
    return array(values, place, "fiub", "real numbers")


def integer_array(values: object, place: str) -> NDArray[Any]:
    """Return `values` as an array of integers; an empty list has no other numbers.

    >>> integer_array([1, 2], "labels").tolist()
    [1, 2]
    """
    return array(values, place, "iu", "integers")


def truth_array(values: object, place: str) -> NDArray[np.bool_]:
    """Return `values` as an array of truth values.

    >>> truth_array([True, False], "keep").dtype.name
    'bool'
    """
    return array(values, place, "b", "truth values (bool)")


def require_numbers(values: NDArray[Any], place: str) -> None:
    """Raise BadInput, with the first index, for a NaN."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        index = tuple(int(i) for i in np.argwhere(np.isnan(values))[0])
        raise BadInput(f"{place}[{', '.join(map(str, index))}]", "NaN", "numbers")


def require_finite(values: NDArray[Any], place: str) -> None:
    """Raise BadInput, with the first index, for a value that is NaN or infinite."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise BadInput(f"{place}[{', '.join(map(str, index))}]", str(values[index]), "finite numbers")
