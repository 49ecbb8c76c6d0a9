"""Figures of a study; each function draws rows of its table on matplotlib Axes and returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from hwsim.report.figures.base import label, legend_right, log_axis
from hwsim.report.figures.numbers import place_numbers
from hwsim.report.palette import CAUSE_STYLES, COMPONENT_STYLES, BarStyle
from hwsim.study.results.columns import CYCLES, ENERGY
from hwsim.study.results.table import Row

MAX_BARS = 40
"""Number of rows that `cycles` and `energy` draw, and of networks that `leakage` draws."""

MAX_NUMBERS = 10
"""Size of the Pareto front up to which `pareto` numbers its members and names them in the legend."""

MAX_ATTACKS = 8
"""Number of attacks that `leakage` draws."""

MARKERS = "osD^vPX*<>phHd8"
"""Markers of accelerators and attacks; more accelerators than markers have one marker together."""

RING_DISTANCE = 14.0
"""Distance in points from a member of the front to its number."""


def chosen_rows(table: Sequence[Row], front: NDArray[np.bool_]) -> list[int]:
    """Return the rows that bars show, in their order: all that have cycles, or only the Pareto front of many.

    Of a front with more than MAX_BARS members, MAX_BARS are shown, evenly spaced in the order of their latency.
    `front` is bool [row].
    """
    running = [i for i, row in enumerate(table) if row["latency_cycles"] is not None]
    if len(running) <= MAX_BARS:
        return running
    members = sorted((i for i in running if front[i]), key=lambda i: (table[i]["latency_cycles"], i))
    if len(members) > MAX_BARS:
        members = [members[i] for i in np.linspace(0, len(members) - 1, MAX_BARS).round().astype(int)]
    return sorted(members)


def chosen_attacks(table: Sequence[Row], attacks: Sequence[str], objectives: Sequence[str]) -> list[str]:
    """Return the attacks that `leakage` shows, in their order: at most MAX_ATTACKS.

    Of more attacks, those with an AUC among the objectives come first, then those with the largest mean AUC.
    """

    def rank(attack: str) -> tuple[bool, float]:
        values = [row[f"{attack}_auc"] for row in table if row.get(f"{attack}_auc") is not None]
        return f"{attack}_auc" not in objectives, -float(np.mean(values)) if values else 0.0

    shown = sorted(attacks, key=rank)[:MAX_ATTACKS]
    return [attack for attack in attacks if attack in shown]


def chosen_networks(table: Sequence[Row], names: Sequence[str], front: NDArray[np.bool_]) -> list[str]:
    """Return the networks that `leakage` shows, in their order: all with results, or those on the front of many.

    `names` is the name of the network of each row, `front` bool [row].
    """
    done = [i for i, row in enumerate(table) if row["status"] == "done"]
    networks = list(dict.fromkeys(names[i] for i in done))
    if len(networks) > MAX_BARS:
        networks = list(dict.fromkeys(names[i] for i in done if front[i]))[:MAX_BARS]
    return networks


def pareto(
    axes: Axes,
    table: Sequence[Row],
    front: NDArray[np.bool_],
    leakage: str | None,
    names: Sequence[str],
    accelerators: Sequence[str],
) -> Axes:
    """Draw accuracy against energy per inference, with rings on the Pareto front.

    Markers show the accelerator. Rows without energy, such as full precision, are horizontal lines. The rings of a
    front with at most MAX_NUMBERS members have numbers, which the legend explains. In an SVG file a browser shows
    number and name of a ring; the numbers count the members of the front in the order of the table.

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
    if len(groups) > len(MARKERS):
        groups = {f"designs on {len(groups)} accelerators": [table[i] for i in with_energy]}
    _scatter(axes, {name: rows for name, rows in groups.items() if rows}, column, color)
    numbers = np.cumsum(front)
    members = [(int(numbers[i]), table[i][column], table[i]["accuracy"], names[i]) for i in with_energy if front[i]]
    hidden = _rings(axes, members)
    without_energy = [row["accuracy"] for row in table if row["energy_pj"] is None and row["accuracy"] is not None]
    for accuracy in sorted(set(without_energy)):
        axes.axhline(accuracy, color="#AA3377", linestyle="--", linewidth=1, zorder=0)
        axes.annotate("full precision", (1, accuracy), xycoords=("axes fraction", "data"), xytext=(-3, 4),
                      textcoords="offset points", ha="right", color="#AA3377", fontsize=8)  # fmt: skip
    energies = [table[i][column] for i in with_energy]
    if energies and max(energies) > 20 * min(energies) > 0:
        axes.set_xscale("log")
        log_axis(axes.xaxis)
    unit = "8-bit network on tpu_like = 1" if column == "energy_relative" else "pJ"
    axes.set(xlabel=f"energy per inference ({unit})", ylabel="accuracy", title="Accuracy against energy")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    axes.margins(0.08)
    shown = {label(name) for name in groups}
    handles = [handle for handle in axes.get_legend_handles_labels()[0] if handle not in hidden]
    labels = [str(handle.get_label()) for handle in handles]
    legend = axes.figure.legend(handles, labels, loc="outside lower left", ncols=2)
    for handle, text in zip(legend.legend_handles, labels, strict=True):
        if color and text in shown and handle is not None:
            handle.set(array=None, facecolor="#777777")  # gray, since the color of a marker shows the leakage
    if not hidden and members:
        x, y = np.array([member[1:3] for member in members], dtype=np.float64).T
        place_numbers(axes, x, y, [str(member[0]) for member in members], RING_DISTANCE)
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
        dots = axes.scatter(x, y, 46, marker=marker, linewidths=0.5, edgecolors="white", label=label(name), zorder=3,
                            **options)  # fmt: skip
    if values:
        bar = axes.figure.colorbar(dots, ax=axes, pad=0.02, aspect=28)
        bar.set_label(f"leakage: {_spaced(str(color))} (0.5 = none)")
        bar.outline.set_visible(False)


def _rings(axes: Axes, members: Sequence[tuple[int, float, float, str]]) -> list[PathCollection]:
    """Draw a ring around each member of the front: number, energy, accuracy, name. Return those without legend entry.

    A large front has one entry for all its rings.
    """
    few = len(members) <= MAX_NUMBERS
    style: dict[str, Any] = {"s": 140 if few else 90, "linewidths": 1.0 if few else 0.6, "edgecolors": "#222222"}
    rings = []
    for number, x, y, name in members:
        # a transparent face, so that the pointer finds the whole ring
        rings.append(axes.scatter([x], [y], facecolors=[(1, 1, 1, 0)], label=f"{number}  {label(name)}", zorder=4,
                                  gid=f"front-{number}", **style))  # fmt: skip
    if few:
        return []
    axes.scatter([], [], facecolors="none", label=f"Pareto front, {len(members)} designs: see the table", **style)
    return rings


def leakage(
    axes: Axes, table: Sequence[Row], names: Sequence[str], attacks: Sequence[str], networks: Sequence[str]
) -> Axes:
    """Draw the AUC of each attack on each network, with its interval.

    Accelerators change no logits, so rows with the same network and the same AUC are drawn once.

    Parameters
    ----------
    axes : the Axes to draw on
    table : rows of the study
    names : name of the network of each row
    attacks : labels of the attacks to draw, as `chosen_attacks` returns them
    networks : networks to draw, from top to bottom, as `chosen_networks` returns them
    """
    place = {network: number for number, network in enumerate(networks)}
    for number, attack in enumerate(attacks):
        distinct: dict[tuple[int, float], Row] = {}
        for name, row in zip(names, table, strict=True):
            if name in place and row.get(f"{attack}_auc") is not None:
                distinct.setdefault((place[name], row[f"{attack}_auc"]), row)
        shift = min(0.16, 0.75 / len(attacks)) * (number - (len(attacks) - 1) / 2)
        auc = np.array([value for _, value in distinct], dtype=np.float64)
        y = np.array([network for network, _ in distinct], dtype=np.float64) + shift
        marker = MARKERS[number % len(MARKERS)]
        axes.errorbar(auc, y, xerr=_error_bars(auc, attack, list(distinct.values())), fmt=marker, markersize=4.5,
                      capsize=2.5, elinewidth=1.1, label=label(_spaced(attack)))  # fmt: skip
    axes.axvline(0.5, color="#888888", linestyle="--", linewidth=1, label="guessing")
    axes.set_yticks(range(len(networks)), [label(name) for name in networks])
    axes.set_ylim(max(len(networks), 1) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="membership AUC", title="Leakage of each network, with 95 % intervals")
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
    """Draw cycles per inference by cause, one stacked bar per row; `names` [row] label the bars.

    The rows of a study to draw are those of `chosen_rows`.
    """
    _stacked_bars(axes, table, names, {column.name: CAUSE_STYLES[column.part] for column in CYCLES}, 1.0)
    axes.set(xlabel="cycles per inference", title="Where the cycles go")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return axes


def energy(axes: Axes, table: Sequence[Row], names: Sequence[str]) -> Axes:
    """Draw energy per inference by component, one stacked bar per row; `names` [row] label the bars."""
    _stacked_bars(axes, table, names, {column.name: COMPONENT_STYLES[column.part] for column in ENERGY}, 1e-3)
    axes.set(xlabel="energy per inference (nJ)", title="Where the energy goes")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    return axes


def _stacked_bars(
    axes: Axes, table: Sequence[Row], names: Sequence[str], styles: Mapping[str, BarStyle], factor: float
) -> None:
    """Draw one bar per row, stacked from the columns that are not all zero, with values times `factor`."""
    left = np.zeros(len(table))
    for column, (text, color, hatch) in styles.items():
        width = np.array([row.get(column) or 0.0 for row in table], dtype=np.float64) * factor
        if width.any():
            axes.barh(range(len(table)), width, left=left, height=0.72, label=text, color=color, hatch=hatch,
                      edgecolor="white", linewidth=0)  # fmt: skip
            left += width
    axes.set_yticks(range(len(table)), [label(name) for name in names])
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    legend_right(axes)


def _spaced(name: str) -> str:
    """Return the name of an attack or column with spaces."""
    return name.replace("_auc", " AUC").replace("_", " ")
