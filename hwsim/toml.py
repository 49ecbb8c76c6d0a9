"""TOML files and texts: every error is one line that names the file."""

from __future__ import annotations

import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from hwsim.errors import HwsimError
from hwsim.files.reading import text_of


def read_toml(path: Path | Traversable, where: str | None = None) -> dict[str, Any]:
    """Read a TOML file; raises HwsimError with the file, and with the line of a syntax error.

    A byte order mark at the start is skipped. `where` is the name of the file in messages, its path by default.
    """
    return parse_toml(text_of(path).removeprefix("\ufeff"), where or str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Return the content of a TOML text; raises HwsimError with the place `where`.

    >>> parse_toml("rows = 8", "text")
    {'rows': 8}
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HwsimError(f"{where}: not valid TOML: {error}") from None
    except RecursionError:
        raise HwsimError(f"{where}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # a number with too many digits, an impossible date
        raise HwsimError(f"{where}: not valid TOML: {str(error).partition(';')[0]}") from None
