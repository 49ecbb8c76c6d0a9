"""Compilation of kernels: ahead of time, cached on disk, and repeated when any kernel source changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numba import config, njit
from numba.core.registry import cpu_target
from numpy.typing import DTypeLike, NDArray

T = TypeVar("T", bound=np.generic)

JIT = not config.DISABLE_JIT  # type: ignore[attr-defined]
"""False under NUMBA_DISABLE_JIT=1: intrinsics cannot run then, and execution falls back to the definition."""


def source_stamp(folder: Path) -> str:
    """Return the SHA-256 of all Python files in a folder and its subfolders, of their paths and contents.

    Numba alone compares the file of a function only, and misses changes in the functions that it inlines.
    """
    state = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        state.update(f"{path.relative_to(folder).as_posix()}:{len(content)}\n".encode())
        state.update(content)
    return state.hexdigest()


SOURCES = source_stamp(Path(__file__).parent)
"""Stamp of the package `hwsim.kernels`."""


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: `numba.njit` with a disk cache that is valid for the present SOURCES only."""

    def compile_ahead(function: Callable[..., Any]) -> Any:
        dispatcher = njit(cache=True, **options)(function)
        if JIT:
            dispatcher._cache._cache_file._source_stamp = SOURCES
        return dispatcher

    return compile_ahead


def for_kernel(array: NDArray[T], dtype: DTypeLike | None = None) -> NDArray[T]:
    """Return an array of the one kind that kernels are compiled for: C-contiguous, native and writable.

    Numba compiles a kernel anew for an array that is read-only, such as a memory map, or that has another order.
    Only such an array is copied, or one of another dtype where `dtype` is given.

    >>> a = np.arange(3); a.setflags(write=False)
    >>> bool(for_kernel(a).flags["W"])
    True
    """
    if dtype is None and array.flags.carray and array.dtype.isnative:
        return array
    wanted = (array.dtype if dtype is None else np.dtype(dtype)).newbyteorder("=")
    return np.require(array, wanted, ["C", "A", "W"])


def compiles_for(feature: str) -> bool:
    """Return whether the code generator (not merely this CPU) may use a CPU feature, such as "avx512vnni"."""
    return JIT and f"+{feature}" in cpu_target.target_context.codegen().magic_tuple()[2].split(",")
