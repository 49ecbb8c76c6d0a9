"""Ctrl-C on the command line: one line and exit code 130, at any moment of a command.

Python raises KeyboardInterrupt between two bytecodes, wherever they are. Amid an import of a compiled module the
exception may be dropped, or replaced by another one, and so it may be in any code that catches everything. A command
therefore has three ways to end, of which the later ones do not depend on the code that is running: KeyboardInterrupt;
after GRACE_SECONDS, or at a second Ctrl-C, the end of the process. Amid an import it ends at once. All files of hwsim
are written so that an end at any moment loses nothing that was finished.

Import this module first: it needs no other one, so that there is hardly a moment at which Ctrl-C is not heard.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

EXIT_CODE = 130
"""Exit code of an interrupted command: 128 and the number of SIGINT, as shells have it."""

GRACE_SECONDS = 5.0
"""Seconds between Ctrl-C and the end of a process that has not ended by itself."""

_LINE = "hwsim: interrupted"
_SHOW_CURSOR = "\x1b[?25h"


class _Command:
    """State of the running command; `heard` is True after Ctrl-C, `line` what the user reads then."""

    def __init__(self) -> None:
        self.heard = False
        self.line = _LINE

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.heard or _in_import(frame):
            self.end()
        self.heard = True
        _thread.start_new_thread(self._end_later, ())  # threading.Thread takes locks, which this thread may hold
        raise KeyboardInterrupt

    def _end_later(self) -> None:
        time.sleep(GRACE_SECONDS)
        self.end()

    def end(self) -> None:
        """End the process, after the line."""
        with suppress(OSError):
            os.write(2, f"{_SHOW_CURSOR if os.isatty(2) else ''}{self.line}\n".encode())
        os._exit(EXIT_CODE)


_command = _Command()


def listen() -> None:
    """Hear Ctrl-C from now to the end of this process, unless its caller has made it ignore the signal."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _command.on_signal)


def stop_listening() -> None:
    """Ignore Ctrl-C: the command has ended, and Python is about to end."""
    if signal.getsignal(signal.SIGINT) == _command.on_signal:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def heard() -> bool:
    """Return whether Ctrl-C was heard, even if the exception went astray."""
    return _command.heard


def line() -> str:
    """Return the line that the user reads after an interruption."""
    return _command.line


def say(text: str = _LINE) -> None:
    """Set the line that the user reads after an interruption."""
    _command.line = text


@contextmanager
def deferred() -> Iterator[None]:
    """Handle SIGINT at the end of the `with` block: for a few steps that must all be done or none.

    Only the main thread of a process handles signals; in another thread this does nothing.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or _thread.get_ident() != _MAIN_THREAD:
        yield
        return
    waiting: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda _, frame: waiting.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if waiting:
            handler(signal.SIGINT, waiting[0])


def _in_import(frame: FrameType | None) -> bool:
    """Return whether a module is being imported."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _main_thread() -> int:
    """Return the identifier of the main thread without an import of `threading`, if no module has needed it yet."""
    threading = sys.modules.get("threading")
    return threading.main_thread().ident if threading else _thread.get_ident()


_MAIN_THREAD = _main_thread()
