"""Numbers with a unit, as written in files and options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hwsim.errors import BadInput

HERTZ = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}
UM2 = {"um2": 1.0, "mm2": 1e6}

MAX_HERTZ = 1e12
"""Highest clock that is accepted."""

_NUMBER = re.compile(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z]+2?)\s*")


def hertz(given: Any, where: str) -> float:
    """Return the frequency of a text such as "700 MHz" in Hz; raises BadInput for anything else.

    >>> hertz("1.5 GHz", "clock")
    1500000000.0
    """
    found = _with_unit(given, HERTZ, where, "700 MHz")
    if not 1 <= found <= MAX_HERTZ:
        raise BadInput(where, given, "1 Hz to 1000 GHz")
    return found


def square_micrometers(given: Any, where: str) -> float:
    """Return the area of a text such as "1.5 mm2" in um2; raises BadInput for anything else.

    >>> square_micrometers("1.5 mm2", "area")
    1500000.0
    """
    return _with_unit(given, UM2, where, "1.5 mm2")


def _with_unit(given: Any, units: Mapping[str, float], where: str, example: str) -> float:
    found = _NUMBER.fullmatch(given) if isinstance(given, str) else None
    if found is None or found[2] not in units or float(found[1]) <= 0:
        raise BadInput(where, given, f'a positive number with a unit ({", ".join(units)}), such as "{example}"')
    return float(found[1]) * units[found[2]]
