"""How kernels are compiled: ahead, cached on disk, and recompiled when any file of this folder or its subfolders changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.registry import cpu_target

JIT = not config.DISABLE_JIT  # type: ignore[attr-defined]
"""False under NUMBA_DISABLE_JIT=1: intrinsics cannot run then, and execution falls back to the definition."""


def _sources() -> str:
    """SHA-256 of all kernels: Numba alone would notice a change in a function's own file only."""
    state = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        state.update(path.read_bytes())
    return state.hexdigest()


SOURCES = _sources()


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: `numba.njit` with a cache that belongs to the present state of this folder."""

    def compile_ahead(function: Callable[..., Any]) -> Any:
        dispatcher = njit(cache=True, **options)(function)
        if JIT:
            dispatcher._cache._cache_file._source_stamp = SOURCES
        return dispatcher

    return compile_ahead


def compiles_for(feature: str) -> bool:
    """True when the code generator (not merely this machine) may use a feature of the CPU, as "avx512vnni"."""
    return JIT and f"+{feature}" in cpu_target.target_context.codegen().magic_tuple()[2].split(",")
