"""What `hwsim audit` tells: rows for JSON, a table for people, and a folder with a page and figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

import hwsim
from hwsim.errors import HwsimError
from hwsim.privacy.audit.leakage import AttackResult, Leakage
from hwsim.privacy.statistics.roc import Roc
from hwsim.report.text import aligned, short
from hwsim.study.results.table import to_csv

RATES = (0.01, 0.001)

Row = dict[str, Any]


def audit_rows(leakage: Leakage) -> list[Row]:
    """One row per attack: means over the targets, intervals over the samples, and the smallest counts of a target.

    Accuracy, precision, recall and F1 are those at each target's best balanced accuracy, in hindsight.
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
        **{f"tpr_at_fpr_{rate}": result.tpr_at_fpr[rate].mean for rate in RATES},
        "n_members": int(leakage.n_members.min()),
        "n_nonmembers": int(leakage.n_nonmembers.min()),
        "warnings": list(leakage.warnings),
        "n_targets": len(leakage.targets),
        "auc_ci_targets_low": result.auc.ci_targets.low,
        "auc_ci_targets_high": result.auc.ci_targets.high,
    }
    for rate in RATES:
        row[f"tpr_at_fpr_{rate}_ci_low"], row[f"tpr_at_fpr_{rate}_ci_high"] = result.tpr_at_fpr[rate].ci_samples
    row |= {f"tnr_at_fnr_{rate}": mean(lambda curve, rate=rate: curve.tnr_at_fnr(rate)) for rate in RATES}  # type: ignore[misc]
    row["advantage"] = result.advantage
    for name in ("accuracy", "precision", "recall", "f1", "precision_nonmembers", "recall_nonmembers", "f1_nonmembers"):
        row[name] = float(np.mean([getattr(one, name) for one in best]))
    return row | ({"blind_auc": leakage.blind_baseline.auc.mean} if leakage.blind_baseline else {})


def audit_text(leakage: Leakage) -> str:
    """The table of an audit for a person, and below it what its warnings mean."""
    numbers = " ".join(str(i) for i in range(1, len(leakage.warnings) + 1))
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
        for row in audit_rows(leakage)
    ]
    targets = f"means over {len(leakage.targets)} targets; intervals (95 %) over samples; 0.5 is guessing"
    warnings = [f"warning {number}: {text}" for number, text in enumerate(leakage.warnings, start=1)]
    return "\n".join([aligned(table, list(table[0])), "", targets, *warnings])


def write_audit(leakage: Leakage, folder: Path, name: str) -> Path:
    """Write report.html, results.json, results.csv and figures/ into `folder`; returns the page's path.

    `name` says what was audited. The same audit gives the same bytes. Raises HwsimError where nothing can
    be written.
    """
    from hwsim.report.figures import study

    rows = audit_rows(leakage)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with study.style():
            drawn = _figures(leakage)
            for file, (made, _) in drawn.items():
                study.save(made, folder / "figures", file)
            inline = {file: (study.to_svg(made), caption) for file, (made, caption) in drawn.items()}
        (folder / "results.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        flat = [row | {"warnings": "; ".join(row["warnings"])} for row in rows]
        (folder / "results.csv").write_text(to_csv(flat), encoding="utf-8")
        path = folder / "report.html"
        path.write_text(_page(leakage, rows, name, inline), encoding="utf-8")
    except OSError as error:
        raise HwsimError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from None
    return path


def _figures(leakage: Leakage) -> dict[str, tuple[Any, str]]:
    """Figure and caption by file name."""
    from hwsim.report.figures import study
    from hwsim.report.figures.privacy import loglog_roc, score_histogram

    curves = {result.label: result.curves for result in leakage.results}
    roc_caption = (
        "How many members each attack finds (up) while it accuses so many non-members (right); means over the targets."
    )
    drawn: dict[str, tuple[Any, str]] = {
        "roc": (study.figure(lambda axes: loglog_roc(curves, axes), (7.2, 4.6)), roc_caption)
    }
    for result in leakage.results:
        made = study.figure(
            lambda axes, result=result: score_histogram(result.scores, result.member, axes),  # type: ignore[misc]
            (7.2, 3.0),
        )
        drawn[f"scores_{result.label}"] = (made, f"Scores of {result.label}, all targets together.")
    return drawn


def _blind_auc(leakage: Leakage) -> str:
    return f"{leakage.blind_baseline.auc.mean:.3f}" if leakage.blind_baseline else "-"


def _page(leakage: Leakage, rows: Sequence[Row], name: str, drawn: dict[str, tuple[str, str]]) -> str:
    from hwsim.report.pages import study_page

    style = (files("hwsim.report") / "page.css").read_text(encoding="utf-8")
    facts = [
        ("Models", short(leakage.game.models), f"{len(leakage.targets)} of them attacked"),
        ("Samples", short(leakage.game.samples), f"at least {rows[0]['n_members']} members and "
         f"{rows[0]['n_nonmembers']} non-members of each target"),
        ("Blind baseline", _blind_auc(leakage), "AUC of a classifier that sees no model"),
    ]  # fmt: skip
    cells = "".join(f"<div><dt>{a}</dt><dd>{b}<small>{c}</small></dd></div>" for a, b, c in facts)
    shown = [{key: value for key, value in row.items() if key != "warnings"} for row in rows]
    warnings = "".join(f"<li>{escape(text)}</li>" for text in leakage.warnings) or "<li>none</li>"
    points = (
        "AUC is the chance that an attack ranks a random member above a random non-member: 0.5 is guessing.",
        "TPR at FPR 0.01 is the share of members that an attack finds while accusing at most 1 % of the non-members; "
        "it is read at a threshold that exists, never between two.",
        "Balanced accuracy, accuracy, precision, recall and F1 are those of the best threshold in hindsight.",
        "ci_low and ci_high bound a number over samples, ci_targets_low and ci_targets_high over target models (95 %).",
        "An attack that fails proves no privacy: a stronger one may succeed.",
    )
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(name)} · hwsim audit</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
            f'<header><p class="kicker">hwsim audit</p><h1>{escape(name)}</h1>',
            '<p class="question">Can members of the training sets be told from non-members?</p></header>',
            f'<dl class="facts">{cells}</dl>',
            *(study_page.figure_of(file, *content) for file, content in drawn.items() if file == "roc"),
            f"<h2>Every attack</h2>{study_page.table_of(shown, list(shown[0]))}",
            f'<h2>Warnings</h2><ul class="read">{warnings}</ul>',
            "<h2>Scores</h2>",
            *(study_page.figure_of(file, *content) for file, content in drawn.items() if file != "roc"),
            f'<h2>How to read this</h2><ul class="read">{"".join(f"<li>{escape(p)}</li>" for p in points)}</ul>',
            f"<footer>Made by hwsim {escape(hwsim.__version__)}, model version {hwsim.MODEL_VERSION}.</footer>",
            "</main>\n</body>\n</html>\n",
        ]
    )
