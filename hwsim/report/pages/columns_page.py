"""Page of all result columns, docs/columns.md, written by `python -m hwsim.report.pages.columns_page`."""

from __future__ import annotations

from collections.abc import Iterable

from hwsim.study.results.columns import (
    ATTACK,
    AUDIT,
    AUDIT_TABLE,
    CHOICES,
    CYCLES,
    ENERGY,
    GAIN,
    NOTES,
    SIGNIFICANCE,
    STATUS,
    TOTALS,
    Column,
)

INTRODUCTION = """# Result columns

Columns of `points.csv` and `hwsim table`, in their order, after the axes of the study. `hwsim table --help` prints the
same list. Better means better for the owner of the network; `hwsim pareto` takes the directions of the study.

Written by `python -m hwsim.report.pages.columns_page > docs/columns.md`.
"""


def columns_page() -> str:
    """Return the page as Markdown."""
    sections = {
        "Status": (STATUS,),
        "Accuracy and totals": TOTALS,
        "Cycles": CYCLES,
        "Energy": ENERGY,
        "Attacks": (*ATTACK, *SIGNIFICANCE, *GAIN, *CHOICES),
        "Audit": AUDIT,
        "Notes": NOTES,
        "Only in `hwsim audit`": AUDIT_TABLE,
    }
    notes = {
        "Cycles": "Every cycle has one cause, so these columns add up to `latency_cycles`.",
        "Energy": "These columns add up to `energy_pj`.",
        "Attacks": (
            "Once per attack. LABEL is the label of the attack, such as `lira`; with shadow models in full precision\n"
            "it ends in `_float_shadows`. Every value is a mean over the targets. The columns with `auc_gain` exist\n"
            "for attacks that join side channels to the outputs."
        ),
        "Only in `hwsim audit`": (
            "The table of `hwsim audit` has one row per attack, so its columns of an attack have no label."
        ),
    }
    parts = [INTRODUCTION]
    for title, columns in sections.items():
        note = f"{notes[title]}\n\n" if title in notes else ""
        parts.append(f"## {title}\n\n{note}{_table(columns)}\n")
    return "\n".join(parts)


def _table(columns: Iterable[Column]) -> str:
    lines = ["| column | unit | better | meaning |", "| --- | --- | --- | --- |"]
    for column in columns:
        name = f"LABEL_{column.name}" if column.group == "attack" else column.name
        better = {"max": "larger", "min": "smaller", "none": ""}[column.direction]
        lines.append(f"| `{name}` | {column.unit} | {better} | {column.meaning} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(columns_page(), end="")
