"""Pictures of membership leakage: ROC curves on two logarithmic axes, and the scores of members and non-members.

Each function draws on matplotlib Axes, inside `hwsim.report.figures.study.style()`, and returns them.

    with figures.style():
        made = figures.figure(lambda axes: loglog_roc({r.label: r.curves for r in leakage.results}, axes))
        figures.save(made, folder, "roc")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.statistics.roc import Roc

LEAST_RATE = 1e-5
"""Where the axes of `loglog_roc` begin."""

PLACES = 600
"""So many FPRs, evenly spaced in the logarithm, at which a curve is read."""

BINS = 60
"""Bins of `score_histogram`."""


def loglog_roc(curves: Mapping[str, Sequence[Roc]], axes: Axes) -> Axes:
    """TPR against FPR from 1e-5 to 1, one line for each name: the mean over its curves, one per target.

    A line is read at thresholds that exist: at each FPR the largest TPR within it, so it is a staircase,
    and it ends on the left where no target has a true positive. Guessing is the dashed diagonal. Left of
    the dotted line lies less than one non-member, so nothing there is measured. Source: N. Carlini et
    al., Membership Inference Attacks From First Principles, 2022, section IV. Raises BadInput without a curve.
    """
    if not curves or not all(curves.values()):
        raise BadInput("curves", "no curve", "one or more for each name")
    fprs = np.geomspace(LEAST_RATE, 1, PLACES)
    axes.plot(fprs, fprs, color="#888888", linestyle="--", linewidth=1, label="guessing")
    for name, of_targets in curves.items():
        tprs = np.mean([_tprs(curve, fprs) for curve in of_targets], axis=0)
        axes.plot(fprs, np.where(tprs > 0, tprs, np.nan), drawstyle="steps-post", label=name)
    resolution = 1 / min(curve.nonmembers for of_targets in curves.values() for curve in of_targets)
    if resolution > LEAST_RATE:
        axes.axvline(resolution, color="#888888", linestyle=":", linewidth=1)
        axes.annotate("one non-member", (resolution, 0), xycoords=("data", "axes fraction"), xytext=(3, 4),
                      textcoords="offset points", color="#777777", fontsize=8)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(LEAST_RATE, 1), ylim=(LEAST_RATE, 1.3))
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate", title="Who is found, and at what price")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return axes


def score_histogram(scores: NDArray[np.floating[Any]], member: NDArray[np.bool_], axes: Axes) -> Axes:
    """How the scores of members and of non-members are spread: shares of each in equal bins.

    `scores` and `member` bool have one shape, such as [target, sample]. The outermost percent on either side
    is drawn in the last bins. Raises BadInput when the shapes differ or one side is empty.
    """
    if scores.shape != member.shape or member.all() or not member.any():
        given = f"shapes {scores.shape} and {member.shape}, {int(member.sum())} members"
        raise BadInput("scores", given, "one score per membership bit, members and non-members")
    low, high = np.quantile(scores, [0.01, 0.99])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    for name, chosen, colour in (("non-members", ~member, "#4477AA"), ("members", member, "#EE6677")):
        shares = np.histogram(np.clip(scores[chosen], low, high), edges)[0] / int(chosen.sum())
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.35)
        axes.stairs(shares, edges, color=colour, linewidth=1.2, label=name)
    axes.set(xlabel="score (larger = more member-like)", ylabel="share per bin", title="Scores")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return axes


def _tprs(curve: Roc, fprs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest TPR of a vertex within each FPR."""
    vertex = np.searchsorted(curve.false_positives / curve.nonmembers, fprs, side="right") - 1
    tprs: NDArray[np.float64] = curve.true_positives[vertex] / curve.members
    return tprs
