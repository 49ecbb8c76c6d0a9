"""Standard streams that are closed, full, or whose reader has gone: no command fails because of them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO


def replace_closed() -> list[str]:
    """Open the null device in the place of each standard stream that is closed, and return the names of these.

    Otherwise the next file that is opened would get the number of the stream, and with it what others print.
    """
    closed = []
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115, PTH123
            closed.append(name)
    return closed


def flush() -> OSError | None:
    """Write what is left to standard output and standard error; return the error of standard output.

    A stream that fails, because its reader has gone or its disk is full, ends in the null device from then on, so that
    Python can end without a further message.
    """
    errors = [_flush(stream) for stream in (sys.stdout, sys.stderr)]
    return errors[0]


def _flush(stream: TextIO) -> OSError | None:
    try:
        stream.flush()
    except OSError as error:
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
            stream.flush()
        return error
    return None
