"""Plain text for people: aligned tables, the summary of a design, and the entries of the registry."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import PydanticUndefined, to_jsonable_python

from hwsim.design import Design
from hwsim.registry import Record
from hwsim.study.point import describe
from hwsim.study.results.columns import INTERVAL_ENDINGS, RESULT
from hwsim.study.results.store import PointResult
from hwsim.study.results.table import Row


def short(value: Any) -> str:
    """Return a value as a text of about eight characters.

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
    """Return the chosen columns of the rows as text; columns of numbers are flush right.

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


def summary(design: Design, result: PointResult) -> str:
    """Return the settings of one design and its result: cost, then one line per attack, then warnings."""
    lines = [f"{group:<12} {describe(design.settings[group])}" for group in ("dataset", "model", "quantizer")]
    lines += [
        f"{g:<12} {'none' if g in design.unused_groups else design.names[g]}" for g in ("accelerator", "technology")
    ]
    lines.append(f"{'status':<12} {result.status}")
    values = result.columns
    if result.status != "done":
        return "\n".join([*lines, f"{'reason':<12} {values.get('reason', '')}"])
    shown = [c for c in RESULT if c.name in values and not c.name.endswith(INTERVAL_ENDINGS)]
    lines += [""]
    for column in shown:
        interval = _interval(values, f"{column.name}_ci") if f"{column.name}_ci_low" in values else ""
        lines.append(f"{column.name:<27} {short(values[column.name]):>12} {column.unit} {interval}".rstrip())
    if not design.attacks:
        return "\n".join(lines)
    attacks = [_attack_row(attack.label, values) for attack in design.attacks]
    lines += ["", aligned(attacks, list(attacks[0]))]
    members, nonmembers, targets = (short(values.get(f"n_{of}")) for of in ("members", "nonmembers", "targets"))
    lines += ["", f"samples: {targets} targets, each with at least {members} members and {nonmembers} non-members"]
    if values.get("warnings"):
        lines += ["", f"warnings: {values['warnings']}"]
    return "\n".join(lines)


def _attack_row(label: str, values: Row) -> Row:
    return {
        "attack": label,
        "AUC": values.get(f"{label}_auc"),
        "95 % interval": _interval(values, f"{label}_auc_ci"),
        "p (Holm)": values.get(f"{label}_auc_p_holm"),
        "TPR at FPR 0.01": values.get(f"{label}_tpr_at_fpr_0.01"),
    }


def explain(record: Record) -> str:
    """Return help, parameters with defaults, sources of numbers and citation of one entry of the registry."""
    lines = [f"{record.family} {record.name}", "", inspect.cleandoc(record.help), "", "parameters:"]
    fields = record.factory.model_fields
    for name, field in fields.items():
        default = record.defaults.get(name, field.get_default(call_default_factory=True))
        shown = "required" if default is PydanticUndefined else json.dumps(to_jsonable_python(default))
        lines.append(f"  {name} = {shown}" + (f"   {field.description}" if field.description else ""))
    if not fields:
        lines.append("  none")
    if record.sources:
        lines += ["", "sources:", *(f"  {path}: {text}" for path, text in record.sources.items())]
    return "\n".join([*lines, "", f"cite: {record.citation}"])


def _interval(values: Row, column: str) -> str:
    low, high = values.get(f"{column}_low"), values.get(f"{column}_high")
    return "-" if low is None or high is None else f"[{short(low)}, {short(high)}]"
