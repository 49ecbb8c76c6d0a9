"""Messages of the program about itself, on standard error: what takes long, or had to be done in another way.

The environment variable HWSIM_QUIET=1 silences them, in Python and on the command line.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def status(text: str) -> None:
    """Print one line on standard error, unless HWSIM_QUIET is set."""
    if not os.environ.get("HWSIM_QUIET") and sys.stderr is not None:
        with suppress(OSError):
            print(f"hwsim: {text}", file=sys.stderr, flush=True)
