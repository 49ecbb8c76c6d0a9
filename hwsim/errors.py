"""Errors that tell a user where, what was given, what is allowed, and the nearest valid word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HwsimError(Exception):
    """Something a user can mend; the command line prints it as one line and exits with its code.

    >>> str(HwsimError("clock: 0 is not a clock"))
    'clock: 0 is not a clock'
    """

    exit_code = 2


class BadInput(HwsimError):
    """A value that is not allowed at a named place.

    >>> print(BadInput("quantizer.w_bits", 9, "1 to 8"))
    quantizer.w_bits: got 9; allowed: 1 to 8
    """

    def __init__(self, where: str, given: object, allowed: str, hint: str = "") -> None:
        self.where, self.given, self.allowed, self.hint = where, given, allowed, hint
        shown = given if isinstance(given, str) else repr(given)
        text = f"{where}: got {shown}; allowed: {allowed}"
        super().__init__(f"{text}. {hint}" if hint else text)


class UnknownName(BadInput):
    """A word that nothing answers to, with the nearest word that something does.

    >>> print(UnknownName("quantizer.name", "lqs", ["drq", "lsq", "minmax"]))
    quantizer.name: got lqs; allowed: drq, lsq, minmax. Did you mean 'lsq'?
    """

    def __init__(self, where: str, given: object, allowed: Iterable[str]) -> None:
        words = sorted(allowed)
        near = difflib.get_close_matches(str(given), words, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]!r}?" if near else ""
        super().__init__(where, str(given), ", ".join(words) or "nothing here", hint)


class Infeasible(HwsimError):
    """A network that cannot run on an accelerator; says which layer and why."""
