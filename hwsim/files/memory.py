"""The limit of the memory that the arrays of one file may take, checked before it is taken."""

from __future__ import annotations

import os
import re

from hwsim.errors import BadInput

VARIABLE = "HWSIM_MEMORY"
"""Environment variable with the limit, such as 8GiB."""

DEFAULT = 2 << 30
"""Limit in bytes without the variable."""

_UNITS = {"MiB": 1 << 20, "GiB": 1 << 30}


def limit() -> int:
    """Return the largest number of bytes that the arrays of one file may take; raises BadInput for a wrong variable.

    >>> limit() == DEFAULT or VARIABLE in os.environ
    True
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return DEFAULT
    found = re.fullmatch(r"([1-9]\d{0,8}) ?(MiB|GiB)", text)
    if found is None:
        raise BadInput(VARIABLE, text, "a size in MiB or GiB, such as 8GiB")
    return int(found[1]) * _UNITS[found[2]]


def require(size: int, where: str) -> None:
    """Raise BadInput, with the place `where`, for more bytes than the limit.

    >>> require(1 << 60, "logits")
    Traceback (most recent call last):
    hwsim.errors.BadInput: logits: got arrays that need 1,099,511,627,776 MiB of memory; allowed: at most ...
    """
    allowed = limit()
    if size > allowed:
        given = f"arrays that need {-(-size // (1 << 20)):,} MiB of memory"
        hint = f"{VARIABLE} sets another limit, such as {VARIABLE}=8GiB"
        raise BadInput(where, given, f"at most {allowed >> 20:,} MiB", hint)
