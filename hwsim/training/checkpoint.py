"""Checkpoints: the state of a training between two epochs, in one .npz file without pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.files.archive import NPY, npy_bytes, open_archive, zip_writer
from hwsim.files.writing import ZIP, check_output, make_folder, replace_file

Arrays = dict[str, NDArray[Any]]
"""Arrays by name."""

SUFFIX = ".checkpoint"
"""Suffix of the names that hwsim gives to checkpoints."""

_HEADER_BYTES = 1 << 20
"""Bytes that an archive may take beyond its arrays, for headers."""


@dataclass(frozen=True)
class Checkpoint:
    """File of a training's state, and the `key` of the setting that it is valid for.

    A checkpoint of another setting, or one that cannot be read, is treated as missing and is overwritten. A file that
    hwsim did not write is refused, unless its suffix is `.checkpoint`.
    """

    path: Path
    key: str

    def load(self, like: Mapping[str, NDArray[Any]]) -> tuple[int, Arrays] | None:
        """Return the number of finished epochs and the arrays, None without a valid file.

        The arrays must have the names, shapes and dtypes of `like`. Raises HwsimError where `save` would be refused.
        """
        make_folder(self.path.parent)
        check_output(self.path, ZIP, force=self.path.suffix == SUFFIX)
        try:
            with open_archive(self.path) as archive:
                stored = sum(map(archive.entry_size, archive.names))
                if stored > sum(array.nbytes for array in like.values()) + _HEADER_BYTES:
                    return None
                key, epochs = archive.array("key", kinds="U"), archive.array("epochs", kinds="i")
                if str(key) != self.key or epochs.shape:
                    return None
                arrays = {
                    name: archive.array(f"state {name}", memory_limit=9 * a.nbytes + 64) for name, a in like.items()
                }
        except HwsimError:
            return None
        valid = all(arrays[name].shape == a.shape and arrays[name].dtype == a.dtype for name, a in like.items())
        return (int(epochs), arrays) if valid else None

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
    make_folder(path.parent)
    replace_file(path, zip_writer((name + NPY, npy_bytes(np.asarray(array))) for name, array in arrays.items()))


def read_arrays(path: Path) -> Arrays:
    """Read all arrays of an .npz file; raises HwsimError for a file that is damaged or no .npz."""
    with open_archive(path) as archive:
        return archive.arrays([name.removesuffix(NPY) for name in archive.names])


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
