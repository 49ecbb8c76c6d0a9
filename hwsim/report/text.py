"""Tables for people: short numbers in aligned columns of plain text."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import PydanticUndefined, to_jsonable_python

from hwsim.design import Design
from hwsim.machine.description.toml_file import sources
from hwsim.registry import Record
from hwsim.study.results.store import Stored
from hwsim.study.results.table import Row
from hwsim.study.search.study import ATTACK_COLUMNS, RESULT_COLUMNS, describe


def short(value: Any) -> str:
    """A value in at most about eight characters.

    >>> short(0.97263), short(1234567.8), short(12), short(None), short(3.2e-7)
    ('0.9726', '1,234,568', '12', '-', '3.2e-07')
    """
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    return str(value)


def aligned(table: Sequence[Row], columns: Sequence[str]) -> str:
    """The chosen columns of the rows as text; numbers stand flush right.

    >>> print(aligned([{"a": "x", "b": 1.5}, {"a": "longer", "b": 10.25}], ["a", "b"]))
    a           b
    x         1.5
    longer  10.25
    """
    cells = [list(columns), *([short(row[name]) for name in columns] for row in table)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    right = [any(isinstance(row[name], int | float) for row in table) for name in columns]
    lines = (
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def summary(design: Design, stored: Stored) -> str:
    """The result of one design for a person: what it is, then its numbers by subject."""
    lines = [f"{group:<12} {describe(design.settings[group])}" for group in ("dataset", "model", "quantizer")]
    unused = design.unused_groups
    lines += [f"{g:<12} {'none' if g in unused else design.names[g]}" for g in ("accelerator", "technology")]
    lines.append(f"{'status':<12} {stored.status}")
    if stored.status != "done":
        return "\n".join([*lines, f"{'reason':<12} {stored.result.get('reason', '')}"])
    plain = [name for name in RESULT_COLUMNS if name in stored.result]
    lines += ["", *(f"{name:<22} {short(stored.result[name]):>12}" for name in plain)]
    if not design.attacks:
        return "\n".join(lines)
    lines += ["", "attack              AUC  over samples      over targets      TPR at FPR 0.01"]
    for attack in design.attacks:
        found = {name: stored.result.get(f"{attack.label}_{name}") for name in ATTACK_COLUMNS}
        spans = (
            _span(found["auc_ci_low"], found["auc_ci_high"]),
            _span(found["auc_ci_targets_low"], found["auc_ci_targets_high"]),
        )
        tpr = short(found["tpr_at_fpr_0.01"])
        lines.append(f"{attack.label:<16} {short(found['auc']):>6}  {spans[0]:<17} {spans[1]:<17} {tpr}")
    members, others, targets = (short(stored.result.get(f"n_{of}")) for of in ("members", "nonmembers", "targets"))
    lines += ["", f"samples: {targets} targets, each with at least {members} members and {others} non-members"]
    if stored.result.get("warnings"):
        lines += ["", f"warnings: {stored.result['warnings']}"]
    return "\n".join(lines)


def explain(record: Record) -> str:
    """Everything about one entry of the registry: help, parameters with defaults, sources of numbers, citation."""
    lines = [f"{record.family} {record.name}", "", inspect.cleandoc(record.help), "", "parameters:"]
    fields = record.factory.model_fields
    for name, field in fields.items():
        default = record.defaults.get(name, field.get_default(call_default_factory=True))
        shown = "required" if default is PydanticUndefined else json.dumps(to_jsonable_python(default))
        lines.append(f"  {name} = {shown}" + (f"   {field.description}" if field.description else ""))
    if not fields:
        lines.append("  none")
    if record.family == "accelerator":
        lines += ["", "sources:", *(f"  {path}: {text}" for path, text in sources(record.name).items())]
    return "\n".join([*lines, "", f"cite: {record.citation}"])


def _span(low: Any, high: Any) -> str:
    return "-" if low is None or high is None else f"[{short(low)}, {short(high)}]"
