"""Table of conformance in docs/exactness.md: written by a live run, read by a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.oracles.group import MIN_OUTPUTS, Count, Group

DOCUMENT = Path(__file__).parents[2] / "docs/exactness.md"
START, END = "<!-- table: written by make test-oracles -->", "<!-- end of table -->"
TITLES = (
    "profile",
    "operator",
    "HQ1 policy",
    "outputs",
    "mismatches",
    "kernel outputs",
    "kernel mismatches",
    "verdict",
    "tool version",
)
EXACT = "exact"
UNEXPECTED = "NOT EXACT, UNEXPLAINED"


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    profile: str
    operator: str
    policy: str
    count: Count
    verdict: str
    tool: str

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row as text."""
        c = self.count
        numbers = (c.outputs, c.mismatches, c.kernel_outputs, c.kernel_mismatches)
        return (self.profile, self.operator, self.policy, *(f"{n:,}" for n in numbers), self.verdict, self.tool)


def row(group: Group, count: Count, tool: str) -> Row:
    """Return the row of a group, with the verdict of its counts."""
    return Row(group.profile, group.operator, group.policy, count, verdict(group.why_not, count), tool)


def verdict(why_not: str, count: Count) -> str:
    """Return the verdict: `exact` needs a claim, no mismatch and MIN_OUTPUTS outputs; `why_not` replaces the claim."""
    if why_not:
        return f"not exact: {why_not}"
    if count.mismatches or count.kernel_mismatches:
        return UNEXPECTED
    return EXACT if count.outputs >= MIN_OUTPUTS else f"no mismatch, but fewer than {MIN_OUTPUTS:,} outputs"


def markdown(rows: list[Row]) -> str:
    """Return the table as markdown."""
    lines = [TITLES, ("---",) * 3 + ("---:",) * 4 + ("---",) * 2, *(r.cells() for r in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def write(rows: list[Row]) -> None:
    """Write the table between the two markers of the document."""
    text = DOCUMENT.read_text()
    before, rest = text.split(START)
    DOCUMENT.write_text(f"{before}{START}\n{markdown(rows)}\n{END}{rest.split(END)[1]}")


def read() -> Iterator[Row]:
    """Yield the rows of the document."""
    table = DOCUMENT.read_text().split(START)[1].split(END)[0]
    for line in table.strip().splitlines()[2:]:
        profile, operator, policy, *numbers, verdict, tool = (cell.strip() for cell in line.strip("| ").split("|"))
        yield Row(profile, operator, policy, Count(*(int(n.replace(",", "")) for n in numbers)), verdict, tool)
