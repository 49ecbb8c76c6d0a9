"""Figures of a study; each function draws rows of its table on matplotlib Axes and returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from hwsim.report.figures.base import legend_right
from hwsim.report.palette import CAUSE_STYLES, COMPONENT_STYLES, BarStyle
from hwsim.study.results.columns import CYCLES, ENERGY
from hwsim.study.results.table import Row

MAX_BARS = 40
"""Number of rows that `cycles` and `energy` draw."""

MAX_NAMES = 8
"""Number of points of the Pareto front that the legend names."""

MARKERS = "osD^vP"


def pareto(
    axes: Axes,
    table: Sequence[Row],
    front: NDArray[np.bool_],
    leakage: str | None,
    names: Sequence[str],
    accelerators: Sequence[str],
) -> Axes:
    """Draw accuracy against energy per inference, with numbered rings on the Pareto front.

    Markers show the accelerator. Rows without energy, such as full precision, are horizontal lines.

    Parameters
    ----------
    axes : the Axes to draw on; the legend is drawn on their figure
    table : rows of the study
    front : True for rows on the Pareto front, bool [row]
    leakage : column that the color shows; None for no color
    names : short name of each row, for the legend of the front
    accelerators : name of the accelerator of each row
    """
    with_energy = [i for i, row in enumerate(table) if row["energy_pj"] is not None and row["accuracy"] is not None]
    column = "energy_relative" if all(table[i].get("energy_relative") for i in with_energy) else "energy_pj"
    color = leakage if leakage and all(table[i].get(leakage) is not None for i in with_energy) else None
    groups = {name: [table[i] for i in with_energy if accelerators[i] == name] for name in accelerators}
    _scatter(axes, {name: rows for name, rows in groups.items() if rows}, column, color)
    for number, i in enumerate([i for i in with_energy if front[i]], start=1):
        _ring(axes, table[i][column], table[i]["accuracy"], number, names[i])
    without_energy = [row["accuracy"] for row in table if row["energy_pj"] is None and row["accuracy"] is not None]
    for accuracy in sorted(set(without_energy)):
        axes.axhline(accuracy, color="#AA3377", linestyle="--", linewidth=1, zorder=0)
        axes.annotate("full precision", (1, accuracy), xycoords=("axes fraction", "data"), xytext=(-3, 4),
                      textcoords="offset points", ha="right", color="#AA3377", fontsize=8)  # fmt: skip
    energies = [table[i][column] for i in with_energy]
    if energies and max(energies) > 20 * min(energies) > 0:
        axes.set_xscale("log")
    unit = "8-bit network on tpu_like = 1" if column == "energy_relative" else "pJ"
    axes.set(xlabel=f"energy per inference ({unit})", ylabel="accuracy", title="Accuracy against energy")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    axes.margins(0.08)
    handles, labels = axes.get_legend_handles_labels()
    legend = axes.figure.legend(handles, labels, loc="outside lower left", ncols=2)
    for handle, label in zip(legend.legend_handles, labels, strict=True):
        if color and label in groups and handle is not None:
            handle.set(array=None, facecolor="#777777")  # gray, since the color of a marker shows the leakage
    return axes


def _scatter(axes: Axes, groups: Mapping[str, Sequence[Row]], energy: str, color: str | None) -> None:
    """Draw one marker per row; `groups` maps an accelerator to its rows, `energy` and `color` are columns."""
    values = [row[color] for rows in groups.values() for row in rows] if color else []
    for number, (name, rows) in enumerate(groups.items()):
        options: dict[str, Any] = {"color": f"C{number}"}
        if color:
            options = {"c": [row[color] for row in rows], "vmin": min(values), "vmax": max(values)}
        x, y = [row[energy] for row in rows], [row["accuracy"] for row in rows]
        marker = MARKERS[number % len(MARKERS)]
        dots = axes.scatter(x, y, 46, marker=marker, linewidths=0.5, edgecolors="white", label=name, zorder=3,
                            **options)  # fmt: skip
    if values:
        bar = axes.figure.colorbar(dots, ax=axes, pad=0.02, aspect=28)
        bar.set_label(f"leakage: {_spaced(str(color))} (0.5 = none)")
        bar.outline.set_visible(False)


def _ring(axes: Axes, x: float, y: float, number: int, name: str) -> None:
    label = f"{number}  {name}" if number <= MAX_NAMES else "_"
    axes.scatter([x], [y], s=140, facecolors="none", edgecolors="#222222", label=label, zorder=2)
    axes.annotate(str(number), (x, y), xytext=(7, -12), textcoords="offset points", fontsize=8.5, weight="bold")


def leakage(axes: Axes, table: Sequence[Row], names: Sequence[str], attacks: Sequence[str]) -> Axes:
    """Draw the AUC of each attack on each network, with its interval over samples.

    Accelerators change no logits, so rows with the same network and the same AUC are drawn once.

    Parameters
    ----------
    axes : the Axes to draw on
    table : rows of the study
    names : name of the network of each row
    attacks : labels of the attacks
    """
    networks = list(dict.fromkeys(name for name, row in zip(names, table, strict=True) if row["status"] == "done"))
    for number, attack in enumerate(attacks):
        distinct: dict[tuple[int, float], Row] = {}
        for name, row in zip(names, table, strict=True):
            if row.get(f"{attack}_auc") is not None:
                distinct.setdefault((networks.index(name), row[f"{attack}_auc"]), row)
        shift = min(0.16, 0.75 / len(attacks)) * (number - (len(attacks) - 1) / 2)
        x = np.array([network for network, _ in distinct], dtype=np.float64) + shift
        y = np.array([auc for _, auc in distinct], dtype=np.float64)
        marker = MARKERS[number % len(MARKERS)]
        axes.errorbar(x, y, _error_bars(y, attack, list(distinct.values())), fmt=marker, markersize=4.5, capsize=2.5,
                      elinewidth=1.1, label=_spaced(attack))  # fmt: skip
    axes.axhline(0.5, color="#888888", linestyle="--", linewidth=1)
    axes.annotate("guessing", (0, 0.5), xycoords=("axes fraction", "data"), xytext=(3, 3), textcoords="offset points",
                  color="#777777", fontsize=8)  # fmt: skip
    axes.set_xticks(range(len(networks)), networks, rotation=30 if len(networks) > 5 else 0,
                    ha="right" if len(networks) > 5 else "center", rotation_mode="anchor")  # fmt: skip
    axes.set_xlim(-0.6, max(len(networks) - 0.4, 0.6))
    axes.grid(False, axis="x")
    axes.set(ylabel="membership AUC", title="Leakage of each network, with 95 % intervals over samples")
    if attacks:
        legend_right(axes)
    return axes


def _error_bars(auc: NDArray[np.float64], attack: str, rows: Sequence[Row]) -> NDArray[np.float64]:
    """Return lengths below and above each AUC, float64 [2, row]; 0 where a row has no interval."""
    ends = []
    for end in ("ci_low", "ci_high"):
        values = [row.get(f"{attack}_auc_{end}") for row in rows]
        ends.append([own if value is None else value for value, own in zip(values, auc, strict=True)])
    low, high = np.array(ends, dtype=np.float64).reshape(2, len(rows))
    return np.maximum(0.0, np.stack([auc - low, high - auc]))


def cycles(axes: Axes, table: Sequence[Row], names: Sequence[str]) -> Axes:
    """Draw cycles per inference by cause, one stacked bar per row with cycles; `names` [row] label the bars."""
    _stacked_bars(axes, table, names, {column.name: CAUSE_STYLES[column.part] for column in CYCLES}, 1.0)
    axes.set(xlabel="cycles per inference", title="Where the cycles go")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return axes


def energy(axes: Axes, table: Sequence[Row], names: Sequence[str]) -> Axes:
    """Draw energy per inference by component, one stacked bar per row with energy; `names` [row] label the bars."""
    _stacked_bars(axes, table, names, {column.name: COMPONENT_STYLES[column.part] for column in ENERGY}, 1e-3)
    axes.set(xlabel="energy per inference (nJ)", title="Where the energy goes")
    return axes


def bar_count(table: Sequence[Row]) -> int:
    """Return the number of bars that `cycles` and `energy` draw for this table."""
    return min(MAX_BARS, sum(row["latency_cycles"] is not None for row in table))


def _stacked_bars(
    axes: Axes, table: Sequence[Row], names: Sequence[str], styles: Mapping[str, BarStyle], factor: float
) -> None:
    """Draw one bar per row, stacked from the columns that are not all zero, with values times `factor`."""
    shown = [(name, row) for name, row in zip(names, table, strict=True) if row["latency_cycles"] is not None]
    shown = shown[:MAX_BARS]
    left = np.zeros(len(shown))
    for column, (label, color, hatch) in styles.items():
        width = np.array([row.get(column) or 0.0 for _, row in shown], dtype=np.float64) * factor
        if width.any():
            axes.barh(range(len(shown)), width, left=left, height=0.72, label=label, color=color, hatch=hatch,
                      edgecolor="white", linewidth=0)  # fmt: skip
            left += width
    axes.set_yticks(range(len(shown)), [name for name, _ in shown])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    legend_right(axes)


def _spaced(name: str) -> str:
    """Return the name of an attack or column with spaces."""
    return name.replace("_auc", " AUC").replace("_", " ")
