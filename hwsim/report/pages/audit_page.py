"""Results of `hwsim audit`: rows for JSON, a text table, and a folder with a page and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.files import writing
from hwsim.privacy.audit.leakage import (
    MAX_FPRS,
    AttackResult,
    Leakage,
    Significance,
    significance_columns,
    statistic_columns,
)
from hwsim.privacy.audit.null_test import NullTest
from hwsim.report.pages.parts import document, facts_of, figure_of, list_of, table_of
from hwsim.report.text import short
from hwsim.study.results.table import to_csv

Row = dict[str, Any]

_FILES = {"results.json": writing.AUDIT_ROWS, "results.csv": writing.AUDIT_TABLE, "report.html": writing.HTML}
"""Files of a report and their marks."""


def audit_rows(
    leakage: Leakage, null_test: NullTest | None = None, epsilon: Mapping[str, float | None] | None = None
) -> list[Row]:
    """Return one row per attack: means over the targets, their 95 % intervals, smallest counts over the targets.

    `null_test` and `epsilon` (lower bound by label, as `AttackResult.epsilon_at_least`) add their columns.

    Accuracy, precision, recall and F1 are measured at each target's best balanced accuracy, in hindsight.
    """
    significance = leakage.significance()
    rows = [_row(leakage, result, significance[result.label]) for result in leakage.results]
    if null_test is not None:
        found, spread = null_test.significance(), null_test.spread()
        for row in rows:
            pair = found.get(row["attack"], (None, None))
            row |= {"auc_p_permutation": pair[0], "auc_p_permutation_holm": pair[1]}
            row |= {"null_auc_sd": spread.get(row["attack"])}
    if epsilon is not None:
        for row in rows:
            row |= {"epsilon_low": epsilon.get(row["attack"])}
    return rows


def _row(leakage: Leakage, result: AttackResult, significance: Significance) -> Row:
    samples = leakage.game.samples
    columns: Row = statistic_columns("auc", result.auc)
    columns |= statistic_columns("balanced_accuracy", result.balanced_accuracy)
    for rate in MAX_FPRS:
        columns |= statistic_columns(f"tpr_at_fpr_{rate}", result.tpr_at_fpr[rate])
    first: Row = {
        "attack": result.label,
        **{name: columns[name] for name in ("auc", "auc_ci_low", "auc_ci_high", "balanced_accuracy")},
        **{f"tpr_at_fpr_{rate}": result.tpr_at_fpr[rate].mean for rate in MAX_FPRS},
        "n_members": int(leakage.n_members.min()),
        "n_nonmembers": int(leakage.n_nonmembers.min()),
        "warnings": list(leakage.warnings),
        "n_targets": len(leakage.targets),
        "n_samples": samples,
    }
    row = first | significance_columns("", result, significance, samples) | columns
    for rate in MAX_FPRS:
        row |= statistic_columns(f"tnr_at_fnr_{rate}", result.tnr_at_fnr[rate])
    row["advantage"] = result.advantage
    for name, statistic in result.at_best.items():
        row |= statistic_columns(name, statistic)
    row["choices"] = {name: [float(v) for v in values] for name, values in result.choices.items()}
    return row | {"blind_auc": leakage.blind_baseline.auc.mean if leakage.blind_baseline else None}


def audit_text(leakage: Leakage) -> str:
    """Return the table of an audit for a person, what the attacks chose on the shadow models, and the warnings."""
    rows = audit_rows(leakage)
    chosen = [f"{row['attack']} chose on the shadow models: {_choices(row)}" for row in rows if row["choices"]]
    return "\n".join([str(leakage), *chosen])


def write_audit(leakage: Leakage, folder: Path, name: str, force: bool = False, rows: list[Row] | None = None) -> Path:
    """Write report.html, results.json, results.csv and figures/ into `folder`, and return the path of the page.

    `name` is the title of the page, `rows` are those of `audit_rows` with further columns. The same audit gives the
    same bytes. Raises HwsimError, before anything is written, when the folder is not writable or when, without `force`,
    a file of these names is not by hwsim.
    """
    from hwsim.report.figures import base

    rows = audit_rows(leakage) if rows is None else rows
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
            lambda axes, result=result: score_histogram(  # type: ignore[misc]
                result.scores, result.member, axes, f"Scores of {result.label}"
            ),
            (7.2, 3.0),
        )
        drawn[f"scores_{result.label}"] = (made, f"Scores of {result.label}, all targets together.")
    return drawn


def _page(leakage: Leakage, rows: Sequence[Row], name: str, drawn: dict[str, tuple[str, str]]) -> str:
    members = leakage.n_members
    counts = f"{short(int(members.min()))} to {short(int(members.max()))} of them members of a target"
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
        "Columns with ci low and ci high are 95 % intervals of the mean, for other samples and models. Columns with se "
        "are its standard error, with se models the part that is due to the models.",
        "auc p is the probability of an AUC as far from 0.5 without a leak; auc p holm is corrected for the number of "
        "attacks. needed models and needed samples would resolve 0.01 of AUC with a power of 80 %.",
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
