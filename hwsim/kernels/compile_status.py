"""One line on standard error when kernels are really compiled, and not loaded from the disk cache."""

from __future__ import annotations

import time
from threading import Lock, Timer
from typing import Any

from numba.core import event

from hwsim.status import status

QUIET_SECONDS = 2.0
"""Seconds of compilation in a process before the line is printed."""

LINE = "compiling kernels: about 20 s, once per machine"


class _Listener(event.Listener):  # type: ignore[misc]
    """Receiver of numba's events; the compilation of a kernel contains that of the kernels which it calls."""

    def __init__(self) -> None:
        self._lock, self._depth = Lock(), 0
        self._left, self._began = QUIET_SECONDS, 0.0
        self._said = False
        self._timer: Timer | None = None

    def on_start(self, what: event.Event) -> None:
        if not _is_ours(what):
            return
        with self._lock:
            self._depth += 1
            if self._depth == 1 and self._left > 0:
                self._began = time.monotonic()
                self._timer = Timer(self._left, self._say)
                self._timer.daemon = True
                self._timer.start()

    def on_end(self, what: event.Event) -> None:
        if not _is_ours(what):
            return
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._timer is not None:
                self._timer.cancel()
                self._timer = None
                self._left -= time.monotonic() - self._began
                if self._left <= 0:
                    self._say()

    def _say(self) -> None:
        if not self._said:
            self._said = True
            self._left = 0.0
            status(LINE)


def _is_ours(what: Any) -> bool:
    return str(what.data["dispatcher"].py_func.__module__).startswith("hwsim.")


def announce_compilation() -> None:
    """Print the line from now on, once in this process."""
    event.register("numba:compile", _Listener())
