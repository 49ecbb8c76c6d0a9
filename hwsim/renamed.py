"""Earlier names of what users write, and their present names, for error messages."""

from __future__ import annotations

from collections.abc import Mapping

RENAMED: Mapping[str, Mapping[str, str]] = {
    "option": {},
    "setting": {},
    "name": {},
    "column": {},
    "python": {},
}
"""Kind of name -> earlier name -> present name.

Attributes
----------
option : options of the command line, such as "--causes"
setting : keys of TOML files and fields of designs
name : members of the registry
column : columns of result tables
python : attributes of the package `hwsim`
"""


def renamed(kind: str, word: str) -> str | None:
    """Return the present name of an earlier name, None where it never had another one."""
    return RENAMED[kind].get(word)
