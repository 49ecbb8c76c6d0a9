"""The page as markdown: a summary of all groups, then every section with its rows."""

from __future__ import annotations

from collections.abc import Sequence

from tests.validation.rows import Group, Number, Row, Section

Made = tuple[Section, tuple[Group, ...]]

HEAD = """\
# Validation: hwsim held against the numbers of others

`make validation` makes every comparison anew and writes this page; nothing is needed but this repository (the
circuit's row also needs Verilator and a C++ compiler). Numbers of others are copied into `tests/golden`, whose
README says from where. Nothing was fitted: accelerators are the files of `accel_models/accelerators`, prices the
tables of `accel_models/technology`.

*exact*: the same integers. *within x %*: the largest difference of any row. *trend*: the same idea under other
conditions, so only direction and order of size can be compared. *not reproduced*: they differ by more than a model
of this kind should; the last column says why. A band (low .. high around the nominal figure) spans all calibrations
of logic and scratchpads that hwsim has, or what the row names."""


def markdown(made: Sequence[Made]) -> str:
    """The whole page."""
    return "\n\n".join([HEAD, summary(made), *(section_text(section, groups) for section, groups in made)]) + "\n"


def summary(made: Sequence[Made]) -> str:
    """One line per group."""
    lines = ["| held against | what | numbers | result |", "|---|---|---:|---|"]
    for section, groups in made:
        lines += [f"| {section.title} | {group.what} | {group.count:,} | {group.verdict} |" for group in groups]
    return "\n".join(lines)


def section_text(section: Section, groups: Sequence[Group]) -> str:
    """Heading, what to know, and a table for each group."""
    return "\n\n".join([f"## {section.title}", section.text.strip(), *(group_text(group) for group in groups)])


def group_text(group: Group) -> str:
    """Its source, verdict and rows."""
    lines = [f"**{group.what}**: {group.verdict}. Theirs: {group.source}."]
    if group.note:
        lines.append(group.note.strip())
    if group.rows:
        lines.append(table(group.rows))
    return "\n\n".join(lines)


def table(rows: Sequence[Row]) -> str:
    """Rows with their differences; the column of reasons only where there are any."""
    reasons = any(row.reason for row in rows)
    head = ["", "theirs", "ours", "difference", *(["why"] if reasons else [])]
    lines = [head, ["---", "---:", "---:", "---:", *(["---"] if reasons else [])]]
    for row in rows:
        cells = [row.what, shown(row.theirs), shown(row.ours), difference(row)]
        lines.append([*cells, *([row.reason] if reasons else [])])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def shown(value: Number | tuple[Number, Number, Number]) -> str:
    """A number for people; a band with its nominal figure first.

    >>> shown(1234567), shown(0.12345), shown((1.0, 2.5, 40.0))
    ('1,234,567', '0.123', '2.5 (1 .. 40)')
    """
    if isinstance(value, tuple):
        low, nominal, high = (shown(part) for part in value)
        return nominal if low == high else f"{nominal} ({low} .. {high})"
    if isinstance(value, int):
        return f"{value:,}"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else None
    return f"{value:.3g}" if digits is None else f"{value:,.{digits}f}"


def difference(row: Row) -> str:
    """Of integers that are near the difference itself, else percent, or a factor beyond one half more or less."""
    if row.equal:
        return "0"
    if 0.67 <= row.ratio <= 1.5:
        return f"{100 * (row.ratio - 1):+.1f} %"
    return f"x {row.ratio:.2g}"
