"""Compilation of kernels: ahead of time, cached on disk, and repeated when any kernel source changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numba import config, njit
from numba.core.registry import cpu_target
from numpy.typing import DTypeLike, NDArray

from hwsim.cache import cached
from hwsim.cache_folder import temporary_cache
from hwsim.kernels.compile_status import announce_compilation
from hwsim.status import status

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
        dispatcher = _cached(function, options)
        if JIT and hasattr(dispatcher._cache, "_cache_file"):
            dispatcher._cache._cache_file._source_stamp = SOURCES
        return dispatcher

    return compile_ahead


def _cached(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Return the dispatcher of a function with the first disk cache that can be written.

    Numba tries the folder of the function and the user's cache folder. After these comes a temporary folder, also for
    the processes that this process starts.
    """
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no locator available
        folder = temporary_cache()
    if folder is None:
        _warn_once("no folder can be written to: each command compiles its kernels anew, in about 20 s")
        return njit(**options)(function)
    _warn_once(f"neither the package nor the home folder can be written to: compiled kernels are kept in {folder}")
    os.environ["NUMBA_CACHE_DIR"] = config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return njit(cache=True, **options)(function)


@cached(1)
def _warn_once(text: str) -> None:
    status(text)


announce_compilation()


def for_kernel(array: NDArray[T], dtype: DTypeLike | None = None) -> NDArray[T]:
    """Return an array of the one kind that kernels are compiled for: C-contiguous, native and writable.

    Numba compiles a kernel anew for an array that is read-only, such as a memory map, or that has another order.
    Only such an array is copied, or one of another dtype where `dtype` is given.

    >>> a = np.arange(3); a.setflags(write=False)
    >>> bool(for_kernel(a).flags["W"])
    True
    """
    array = np.asarray(array)  # a memory map is a subclass
    if array.flags.carray and array.dtype.isnative and (dtype is None or array.dtype == dtype):
        return array
    wanted = (array.dtype if dtype is None else np.dtype(dtype)).newbyteorder("=")
    return np.require(array, wanted, ["C", "A", "W"])


def compiles_for(feature: str) -> bool:
    """Return whether the code generator (not merely this CPU) may use a CPU feature, such as "avx512vnni"."""
    return JIT and f"+{feature}" in cpu_target.target_context.codegen().magic_tuple()[2].split(",")
