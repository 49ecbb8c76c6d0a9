"""Checkpoints: the state of a training between two epochs, in one .npz file without pickle."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
"""Arrays by name."""

_HEADER_BYTES = 1 << 20
"""Bytes that an archive may take beyond its arrays, for headers."""


@dataclass(frozen=True)
class Checkpoint:
    """File of a training's state, and the `key` of the setting that it is valid for.

    A file of another setting, or one that cannot be read, is treated as missing and is overwritten.
    """

    path: Path
    key: str

    def load(self, like: Mapping[str, NDArray[Any]]) -> tuple[int, Arrays] | None:
        """Return the number of finished epochs and the arrays, None without a valid file.

        The arrays must have the names, shapes and dtypes of `like`.
        """
        try:
            with self.path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
                stored = sum(entry.file_size for entry in archive.infolist())
            if stored > sum(array.nbytes for array in like.values()) + _HEADER_BYTES:
                return None
            with self.path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                if str(file["key"]) != self.key:
                    return None
                epochs = int(file["epochs"])
                arrays = {name: file[f"state {name}"] for name in like}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        valid = all(arrays[name].shape == a.shape and arrays[name].dtype == a.dtype for name, a in like.items())
        return (epochs, arrays) if valid else None

    def save(self, epochs: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace the file atomically: after a kill it contains the old state or the new one."""
        named: Arrays = {f"state {name}": array for name, array in arrays.items()}
        write_arrays(self.path, named | {"key": np.array(self.key), "epochs": np.array(epochs)})

    def remove(self) -> None:
        """Delete the file if it exists."""
        self.path.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file atomically: after a kill `path` is the former file or the complete new one.

    >>> write_arrays(Path("weights.npz"), {"fc1.weight": np.zeros((2, 3))})  # doctest: +SKIP
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def setting_key(settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Compute the SHA-256 (hex) of plain settings and of arrays with their names, shapes, dtypes and bytes.

    >>> x = np.zeros(3)
    >>> setting_key({"epochs": 2}, {"x": x}) == setting_key({"epochs": 2}, {"x": x.copy()})
    True
    >>> setting_key({"epochs": 2}, {"x": x}) == setting_key({"epochs": 3}, {"x": x})
    False
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.shape} {array.dtype}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
