"""Results of `hwsim audit`: rows for JSON, a text table, and a folder with a page and figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.files import writing
from hwsim.privacy.audit.leakage import MAX_FPRS, AttackResult, Leakage
from hwsim.privacy.statistics.roc import Roc
from hwsim.report.pages.parts import document, facts_of, figure_of, list_of, table_of
from hwsim.report.text import aligned, short
from hwsim.study.results.table import to_csv

"""False-positive rates at which TPRs are reported, and false-negative rates at which TNRs are."""

Row = dict[str, Any]

_FILES = {"results.json": writing.AUDIT_ROWS, "results.csv": writing.AUDIT_TABLE, "report.html": writing.HTML}
"""Files of a report and their marks."""


def audit_rows(leakage: Leakage) -> list[Row]:
    """Return one row per attack: means over the targets, intervals over the samples, smallest counts over the targets.

    Accuracy, precision, recall and F1 are measured at each target's best balanced accuracy, in hindsight.
    """
    return [_row(leakage, result) for result in leakage.results]


def _row(leakage: Leakage, result: AttackResult) -> Row:
    curves = result.curves
    best = [curve.best for curve in curves]

    def mean(value: Callable[[Roc], float]) -> float:
        return float(np.mean([value(curve) for curve in curves]))

    row: Row = {
        "attack": result.label,
        "auc": result.auc.mean,
        "auc_ci_low": result.auc.ci_samples.low,
        "auc_ci_high": result.auc.ci_samples.high,
        "balanced_accuracy": result.balanced_accuracy.mean,
        **{f"tpr_at_fpr_{rate}": result.tpr_at_fpr[rate].mean for rate in MAX_FPRS},
        "n_members": int(leakage.n_members.min()),
        "n_nonmembers": int(leakage.n_nonmembers.min()),
        "warnings": list(leakage.warnings),
        "n_targets": len(leakage.targets),
        "auc_ci_targets_low": result.auc.ci_targets.low,
        "auc_ci_targets_high": result.auc.ci_targets.high,
    }
    for rate in MAX_FPRS:
        row[f"tpr_at_fpr_{rate}_ci_low"], row[f"tpr_at_fpr_{rate}_ci_high"] = result.tpr_at_fpr[rate].ci_samples
    row |= {f"tnr_at_fnr_{rate}": mean(lambda curve, rate=rate: curve.tnr_at_fnr(rate)) for rate in MAX_FPRS}  # type: ignore[misc]
    row["advantage"] = result.advantage
    for name in ("accuracy", "precision", "recall", "f1", "precision_nonmembers", "recall_nonmembers", "f1_nonmembers"):
        row[name] = float(np.mean([getattr(one, name) for one in best]))
    row["choices"] = {name: [float(v) for v in values] for name, values in result.choices.items()}
    return row | {"blind_auc": leakage.blind_baseline.auc.mean if leakage.blind_baseline else None}


def audit_text(leakage: Leakage) -> str:
    """Return the table of an audit for a person, followed by its warnings."""
    numbers = " ".join(str(i) for i in range(1, len(leakage.warnings) + 1))
    rows = audit_rows(leakage)
    table = [
        {
            "attack": row["attack"],
            "AUC": f"{row['auc']:.4f} [{row['auc_ci_low']:.4f}, {row['auc_ci_high']:.4f}]",
            "balanced accuracy": f"{row['balanced_accuracy']:.4f}",
            "TPR@1%": f"{row['tpr_at_fpr_0.01']:.4f}",
            "TPR@0.1%": f"{row['tpr_at_fpr_0.001']:.4f}",
            "members": row["n_members"],
            "non-members": row["n_nonmembers"],
            "warnings": numbers or "none",
        }
        for row in rows
    ]
    targets = f"means over {len(leakage.targets)} targets; intervals (95 %) over samples; 0.5 is guessing"
    warnings = [f"warning {number}: {text}" for number, text in enumerate(leakage.warnings, start=1)]
    chosen = [f"{row['attack']} chose on the shadow models: {_choices(row)}" for row in rows if row["choices"]]
    return "\n".join([aligned(table, list(table[0])), "", targets, *chosen, *warnings])


def write_audit(leakage: Leakage, folder: Path, name: str, force: bool = False) -> Path:
    """Write report.html, results.json, results.csv and figures/ into `folder`, and return the path of the page.

    `name` is the title of the page. The same audit gives the same bytes. Raises HwsimError, before anything is written,
    when the folder is not writable or when, without `force`, a file of these names is not by hwsim.
    """
    from hwsim.report.figures import base

    rows = audit_rows(leakage)
    check_audit_outputs(folder, force)
    with base.style():
        drawn = _figures(leakage)
        base.check_names(folder / "figures", drawn, force)
        for file, (made, _) in drawn.items():
            base.save(made, folder / "figures", file, force)
        inline = {file: (base.to_svg(made), caption) for file, (made, caption) in drawn.items()}
    flat = [row | {"warnings": "; ".join(row["warnings"]), "choices": _choices(row)} for row in rows]
    contents = (json.dumps(rows, indent=2) + "\n", to_csv(flat), _page(leakage, rows, name, inline))
    for (file, mark), content in zip(_FILES.items(), contents, strict=True):
        writing.write_file(folder / file, content, mark, force)
    return folder / "report.html"


def check_audit_outputs(folder: Path, force: bool = False) -> None:
    """Create the folder of a report, and raise HwsimError unless `write_audit` may write its files."""
    writing.make_folder(folder)
    writing.make_folder(folder / "figures")
    for file, mark in _FILES.items():
        writing.check_output(folder / file, mark, force)


def _choices(row: Row) -> str:
    """Return what an attack chose on the shadow models as a text, medians over the targets."""
    return ", ".join(f"{name} {float(np.median(values)):.4g}" for name, values in row["choices"].items())


def _figures(leakage: Leakage) -> dict[str, tuple[Any, str]]:
    """Return figure and caption by file name."""
    from hwsim.report.figures import base
    from hwsim.report.figures.privacy import loglog_roc, score_histogram

    curves = {result.label: result.curves for result in leakage.results}
    roc_caption = (
        "Share of members that each attack finds (true-positive rate) against the share of non-members that it "
        "takes for members (false-positive rate); means over the targets."
    )
    drawn: dict[str, tuple[Any, str]] = {
        "roc": (base.figure(lambda axes: loglog_roc(curves, axes), (7.2, 4.6)), roc_caption)
    }
    for result in leakage.results:
        made = base.figure(
            lambda axes, result=result: score_histogram(result.scores, result.member, axes),  # type: ignore[misc]
            (7.2, 3.0),
        )
        drawn[f"scores_{result.label}"] = (made, f"Scores of {result.label}, all targets together.")
    return drawn


def _page(leakage: Leakage, rows: Sequence[Row], name: str, drawn: dict[str, tuple[str, str]]) -> str:
    counts = f"at least {rows[0]['n_members']} members and {rows[0]['n_nonmembers']} non-members of each target"
    facts = [
        ("Models", short(leakage.game.models), f"{len(leakage.targets)} of them attacked"),
        ("Samples", short(leakage.game.samples), counts),
        ("Blind baseline", short(rows[0]["blind_auc"]), "AUC of a classifier that sees no model"),
    ]
    shown = [{key: value for key, value in row.items() if key != "warnings"} for row in rows]
    points = (
        "AUC is the probability that an attack ranks a random member above a random non-member: 0.5 is guessing.",
        "TPR at FPR 0.01 is the share of members that an attack finds while it takes at most 1 % of the non-members "
        "for members, at an existing threshold without interpolation.",
        "Balanced accuracy, accuracy, precision, recall and F1 are measured at the best threshold in hindsight.",
        "Columns with ci low and ci high are 95 % intervals over samples, with ci targets over target models.",
        "An attack that fails proves no privacy: a stronger attack may succeed.",
    )
    body = [
        facts_of(facts),
        *(figure_of(file, *content) for file, content in drawn.items() if file == "roc"),
        f"<h2>Every attack</h2>{table_of(shown, list(shown[0]))}",
        f"<h2>Warnings</h2>{list_of(leakage.warnings or ['none'])}",
        "<h2>Scores</h2>",
        *(figure_of(file, *content) for file, content in drawn.items() if file != "roc"),
        f"<h2>How to read this</h2>{list_of(points)}",
    ]
    return document("hwsim audit", name, "Can members of the training sets be told from non-members?", body)
