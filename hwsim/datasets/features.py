"""Conversion of published values to network inputs: float32 in 0..1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert images uint8 [sample, ...] to float32 in 0..1, in steps of 1/255.

    >>> float(pixels(np.array([[0, 51, 255]], dtype=np.uint8))[0, 1])
    0.20000000298023224
    """
    x: NDArray[np.float32] = images.astype(np.float32) / np.float32(255)
    return x


def joined(arrays: Mapping[str, NDArray[np.generic]], letter: str) -> NDArray[np.uint8]:
    """Concatenate `<letter>_train`, `<letter>_val` where it exists, and `<letter>_test`."""
    parts = (f"{letter}_{part}" for part in ("train", "val", "test"))
    return np.concatenate([arrays[key] for key in parts if key in arrays])  # type: ignore[arg-type]


def scaled(columns: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale each column of [sample, feature] to 0..1 by its smallest and largest value over all samples.

    The range is that of the whole pool, of members and non-members, so it does not depend on membership. A constant
    column becomes 0.

    >>> scaled(np.array([[1.0, 7.0], [3.0, 7.0]])).tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    values = columns.astype(np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    x: NDArray[np.float32] = ((values - low) / width).astype(np.float32)
    return x


def filled(columns: NDArray[np.floating]) -> NDArray[np.float64]:
    """Replace every missing value (NaN) of columns [sample, feature] by the median of its column.

    >>> filled(np.array([[1.0], [np.nan], [5.0], [9.0]])).ravel().tolist()
    [1.0, 5.0, 5.0, 9.0]
    """
    values = columns.astype(np.float64)
    return np.where(np.isnan(values), np.nanmedian(values, axis=0), values)


def one_hot(codes: NDArray[np.floating], categories: int) -> NDArray[np.float32]:
    """Convert codes [sample] from 0 to `categories - 1` to float32 [sample, categories] of 0 and 1.

    >>> one_hot(np.array([1.0, 0.0]), 2).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    x: NDArray[np.float32] = (codes.astype(np.int64)[:, None] == np.arange(categories)).astype(np.float32)
    return x
