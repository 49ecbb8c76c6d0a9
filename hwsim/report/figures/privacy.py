"""Figures of membership leakage: ROC curves on two logarithmic axes, and scores of members and non-members.

Each function draws on matplotlib Axes, inside `hwsim.report.figures.base.style()`, and returns them.

    with base.style():
        made = base.figure(lambda axes: loglog_roc({r.label: r.curves for r in leakage.results}, axes))
        base.save(made, folder, "roc")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.statistics.roc import Roc
from hwsim.report.figures.base import label, legend_right, log_axis

MIN_RATE = 1e-5
"""Lower end of both axes of `loglog_roc`."""

CURVE_POINTS = 600
"""Number of FPRs, evenly spaced in the logarithm, at which a curve is evaluated."""

BINS = 60
"""Bins of `score_histogram`."""


def loglog_roc(curves: Mapping[str, Sequence[Roc]], axes: Axes) -> Axes:
    """Draw TPR against FPR from 1e-5 to 1, one line per name: the mean over its curves, one curve per target.

    The value at an FPR is the largest TPR at an existing threshold within that FPR, so a line is a staircase;
    it ends on the left where no target has a true positive. The dashed diagonal is guessing. FPRs left of the dotted
    line are below the resolution of one non-member. Source: N. Carlini et al., Membership Inference Attacks From
    First Principles, 2022, section IV. Raises BadInput without a curve.
    """
    if not curves or not all(curves.values()):
        raise BadInput("curves", "no curve", "one or more for each name")
    fprs = np.geomspace(MIN_RATE, 1, CURVE_POINTS)
    axes.plot(fprs, fprs, color="#888888", linestyle="--", linewidth=1, label="guessing")
    for name, of_targets in curves.items():
        tprs = np.mean([_tprs(curve, fprs) for curve in of_targets], axis=0)
        axes.plot(fprs, np.where(tprs > 0, tprs, np.nan), drawstyle="steps-post", label=label(name))
    resolution = 1 / min(curve.nonmembers for of_targets in curves.values() for curve in of_targets)
    if resolution > MIN_RATE:
        axes.axvline(resolution, color="#888888", linestyle=":", linewidth=1)
        axes.annotate("one non-member", (resolution, 0), xycoords=("data", "axes fraction"), xytext=(3, 4),
                      textcoords="offset points", color="#777777", fontsize=8)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(MIN_RATE, 1), ylim=(MIN_RATE, 1.3))
    log_axis(axes.xaxis)
    log_axis(axes.yaxis)
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate", title="ROC of each attack")
    legend_right(axes)
    return axes


def score_histogram(
    scores: NDArray[np.floating[Any]], member: NDArray[np.bool_], axes: Axes, title: str = "Scores"
) -> Axes:
    """Draw the distribution of the scores of members and of non-members, as shares per bin of equal width.

    The outermost percent of all scores on either side is counted in the outermost bin. Raises BadInput when the
    shapes differ, or when members or non-members are missing.

    Parameters
    ----------
    scores : scores of any shape, such as [target, sample]
    member : True for members, bool of the same shape
    axes : the Axes to draw on
    title : title of the figure, such as the name of the attack
    """
    if scores.shape != member.shape or member.all() or not member.any():
        given = f"shapes {scores.shape} and {member.shape}, {int(member.sum())} members"
        raise BadInput("scores", given, "one score per membership bit, members and non-members")
    low, high = np.quantile(scores, [0.01, 0.99])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    for name, chosen, color in (("non-members", ~member, "#4477AA"), ("members", member, "#EE6677")):
        shares = np.histogram(np.clip(scores[chosen], low, high), edges)[0] / int(chosen.sum())
        axes.stairs(shares, edges, fill=True, color=color, alpha=0.35)
        axes.stairs(shares, edges, color=color, linewidth=1.2, label=name)
    axes.set(xlabel="score (larger = more member-like)", ylabel="share per bin", title=title)
    axes.set_ylim(bottom=0)
    legend_right(axes)
    return axes


def _tprs(curve: Roc, fprs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest TPR of a vertex of the curve within each FPR, float64 [fpr]."""
    vertex = np.searchsorted(curve.false_positives / curve.nonmembers, fprs, side="right") - 1
    tprs: NDArray[np.float64] = curve.true_positives[vertex] / curve.members
    return tprs
