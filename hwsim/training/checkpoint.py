"""A checkpoint of a training: everything that the next epoch needs, in one file without pickle."""

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

_SPARE_BYTES = 1 << 20
"""Room for the headers of an archive, beyond the bytes of its arrays."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps its state between epochs, and the `key` of the setting that it belongs to.

    A file that belongs to another setting, or cannot be read, counts as none and is overwritten.
    """

    path: Path
    key: str

    def load(self, like: Mapping[str, NDArray[Any]]) -> tuple[int, Arrays] | None:
        """Finished epochs and arrays, named and shaped like `like`; None where there is nothing to go on from."""
        try:
            with self.path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
                stored = sum(entry.file_size for entry in archive.infolist())
            if stored > sum(array.nbytes for array in like.values()) + _SPARE_BYTES:
                return None
            with self.path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                if str(file["key"]) != self.key:
                    return None
                epochs = int(file["epochs"])
                arrays = {name: file[f"state {name}"] for name in like}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        fits = all(arrays[name].shape == a.shape and arrays[name].dtype == a.dtype for name, a in like.items())
        return (epochs, arrays) if fits else None

    def save(self, epochs: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace the file in one step: a kill leaves the old state or the new one."""
        named: Arrays = {f"state {name}": array for name, array in arrays.items()}
        write_arrays(self.path, named | {"key": np.array(self.key), "epochs": np.array(epochs)})

    def remove(self) -> None:
        """Delete the file, if there is one: the training has ended."""
        self.path.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz in one step: a kill leaves what was there before or a whole new file.

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
    """SHA-256 (hex) of plain settings and of arrays with their names, shapes, dtypes and bytes.

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
