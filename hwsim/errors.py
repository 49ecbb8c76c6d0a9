"""Errors with the place, the given value, the allowed values, and the nearest valid word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from hwsim.renamed import renamed


class HwsimError(Exception):
    """Error that a user can correct; the command line prints it as one line and exits with its code.

    >>> str(HwsimError("clock: 0 is not a clock"))
    'clock: 0 is not a clock'
    """

    exit_code = 2


class BadInput(HwsimError):
    """Value that is not allowed, or is missing, at a named place.

    Attributes
    ----------
    where : place of the value, such as a dotted path or a file with a line
    given : the value; None where it is missing
    allowed : allowed values, as text
    hint : further sentence, may be empty

    >>> print(BadInput("quantizer.w_bits", 9, "1 to 8"))
    quantizer.w_bits: got 9; allowed: 1 to 8
    >>> print(BadInput("quantizer.name", None, "a name in quotes"))
    quantizer.name is missing; allowed: a name in quotes
    """

    def __init__(self, where: str, given: object, allowed: str, hint: str = "") -> None:
        self.where, self.given, self.allowed, self.hint = where, given, allowed, hint
        text = f"{self._problem()}; allowed: {allowed}"
        super().__init__(f"{text}. {hint}" if hint else text)

    def _problem(self) -> str:
        if self.given is None:
            return f"{self.where} is missing"
        return f"{self.where}: got {shown(self.given)}"


MAX_SHOWN = 1000
"""Characters of a given value that a message contains."""


def shown(given: object) -> str:
    """Return a value as a message shows it: a text as it is, anything else as Python writes it, cut where it is long.

    >>> shown("lqs"), shown([1, 2]), shown(16**9000)
    ('lqs', '[1, 2]', 'a value of type int, too large to print')
    """
    try:
        text = given if isinstance(given, str) else repr(given)
    except (ValueError, RecursionError):
        return f"a value of type {type(given).__name__}, too large to print"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text):,} characters)"


class UnknownName(BadInput):
    """Word that is not one of the allowed words, with its present name or the nearest allowed word.

    `kind` says what the word is: a kind of `hwsim.renamed.RENAMED`.

    >>> print(UnknownName("quantizer.name", "lqs", ["drq", "lsq", "minmax"]))
    quantizer.name: got lqs; allowed: drq, lsq, minmax. Did you mean 'lsq'?
    """

    def __init__(self, where: str, given: object, allowed: Iterable[str], kind: str = "name") -> None:
        words = sorted(allowed)
        super().__init__(where, shown(given), ", ".join(words) or "nothing here", suggestion(kind, shown(given), words))


class UnknownSetting(UnknownName):
    """Setting that does not exist; the last part of the place `where` is its name.

    >>> print(UnknownSetting("quantizer.wbits", ["a_bits", "w_bits"]))
    quantizer.wbits: unknown setting; allowed: a_bits, w_bits. Did you mean 'w_bits'?
    >>> print(UnknownSetting("quantizer.edge_bits", ["first_last_bits", "w_bits"]))
    quantizer.edge_bits: unknown setting; allowed: first_last_bits, w_bits. It is called 'first_last_bits' now.
    """

    def __init__(self, where: str, allowed: Iterable[str]) -> None:
        super().__init__(where, where.rpartition(".")[2], allowed, "setting")

    def _problem(self) -> str:
        return f"{self.where}: unknown setting"


def suggestion(kind: str, word: str, allowed: Iterable[str]) -> str:
    """Return a sentence with the word's present name if it was renamed, or with the nearest allowed word; may be empty.

    >>> suggestion("setting", "edge_bits", ["first_last_bits"]), suggestion("setting", "x", ["w_bits"])
    ("It is called 'first_last_bits' now.", '')
    """
    words = list(allowed)
    present = renamed(kind, word)
    if present in words:
        return f"It is called {present!r} now."
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.4)
    return f"Did you mean {near[0]!r}?" if near else ""


class Infeasible(HwsimError):
    """Network that cannot run on an accelerator, with the layer and the reason."""
