"""What a comparison is made of: rows of two numbers, groups of rows with a verdict, sections of groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Number = int | float
TREND, NOT_REPRODUCED = "trend", "not reproduced"


@dataclass(frozen=True)
class Row:
    """One quantity: their number, ours (lowest, nominal, highest where it is a band), and why they differ."""

    what: str
    theirs: Number
    ours: Number | tuple[Number, Number, Number]
    reason: str = ""

    @property
    def nominal(self) -> Number:
        """Our number, of a band the middle one."""
        return self.ours[1] if isinstance(self.ours, tuple) else self.ours

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return float(self.nominal) / float(self.theirs)

    @property
    def equal(self) -> bool:
        """Integers that are the same."""
        return isinstance(self.ours, int) and isinstance(self.theirs, int) and self.ours == self.theirs


@dataclass(frozen=True)
class Group:
    """Rows of one kind held against one source.

    `verdict` is found from the rows unless `kind` says trend or not reproduced, or `absent` says why
    nothing was compared. `checked` is how many numbers were compared where the rows are sums of them.
    """

    what: str
    source: str
    rows: tuple[Row, ...]
    kind: str = ""
    checked: int = 0
    wrong: int = 0
    absent: str = ""
    note: str = ""

    @property
    def count(self) -> int:
        """Numbers compared."""
        return self.checked or len(self.rows)

    @property
    def verdict(self) -> str:
        """exact, within so many percent, trend, not reproduced, or not run."""
        if self.absent:
            return f"not run: {self.absent}"
        if self.wrong:
            return f"{self.wrong} of {self.count} differ"
        if all(row.equal for row in self.rows):
            return "exact"
        return self.kind or f"within {100 * max(abs(row.ratio - 1) for row in self.rows):.0f} %"


@dataclass(frozen=True)
class Section:
    """One part of the page; `make` holds its groups against their sources when called.

    `quick` sections take seconds and are tests too.
    """

    title: str
    text: str
    make: Callable[[], tuple[Group, ...]] = field(repr=False)
    quick: bool = True
