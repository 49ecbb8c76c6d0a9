"""The figures of a study: each function draws rows of its table on matplotlib Axes and returns them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from hwsim.report.palette import CAUSE_LOOKS, COMPONENT_LOOKS, BarStyle
from hwsim.study.results.table import Row
from hwsim.study.search.study import RESULT_COLUMNS

CYCLES = {name: name.removeprefix("cycles_") for name in RESULT_COLUMNS if name.startswith("cycles_")}
ENERGY = {name: name.removeprefix("energy_").removesuffix("_pj") for name in RESULT_COLUMNS if name[-3:] == "_pj"}
del ENERGY["energy_pj"]  # the total

MOST_BARS = 40
MOST_NAMES = 8
"""So many points of the front are named in the legend of the figure."""

MARKERS = "osD^vP"


@contextmanager
def style() -> Iterator[None]:
    """Figures that are drawn and saved inside look like the rest of the report."""
    with as_file(files("hwsim.report") / "hwsim.mplstyle") as path, matplotlib.style.context(["default", str(path)]):
        yield


def figure(draw: Callable[[Axes], Axes], size: tuple[float, float] = (7.2, 4.0)) -> Figure:
    """A new figure of `size` inches with one Axes, drawn on by `draw`; call inside `style()`."""
    made = Figure(figsize=size, layout="constrained")
    draw(made.add_subplot())
    return made


def to_svg(made: Figure) -> str:
    """The figure as SVG text, the same bytes for the same figure; call inside `style()`."""
    out = io.StringIO()
    made.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def save(made: Figure, folder: Path, name: str) -> None:
    """Write `name`.svg and `name`.png, byte-stable; call inside `style()`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.svg").write_text(to_svg(made), encoding="utf-8")
    made.savefig(folder / f"{name}.png", metadata={"Software": None})


def pareto(
    axes: Axes,
    table: Sequence[Row],
    front: NDArray[np.bool_],
    leakage: str | None,
    names: Sequence[str],
    accelerators: Sequence[str],
) -> Axes:
    """Accuracy against energy per inference; shape is the accelerator, colour the column `leakage`.

    Numbered rings mark the front. The legend, on the figure, tells the `names` [row] of the front and
    the `accelerators` [row]. Rows without an energy, such as full precision, appear as a level line.
    """
    priced = [i for i, row in enumerate(table) if row["energy_pj"] is not None and row["accuracy"] is not None]
    column = "energy_relative" if all(table[i].get("energy_relative") for i in priced) else "energy_pj"
    colour = leakage if leakage and all(table[i].get(leakage) is not None for i in priced) else None
    shapes = {name: [table[i] for i in priced if accelerators[i] == name] for name in accelerators}
    _dots(axes, {name: rows for name, rows in shapes.items() if rows}, column, colour)
    chosen = [i for i in priced if front[i]]
    for number, i in enumerate(chosen, start=1):
        _ring(axes, table[i][column], table[i]["accuracy"], number, names[i])
    for level in sorted({row["accuracy"] for row in table if row["energy_pj"] is None and row["accuracy"] is not None}):
        axes.axhline(level, color="#AA3377", linestyle="--", linewidth=1, zorder=0)
        axes.annotate("full precision", (1, level), xycoords=("axes fraction", "data"), xytext=(-3, 4),
                      textcoords="offset points", ha="right", color="#AA3377", fontsize=8)  # fmt: skip
    energies = [table[i][column] for i in priced]
    if energies and max(energies) > 20 * min(energies) > 0:
        axes.set_xscale("log")
    unit = "8-bit network on tpu_like = 1" if column == "energy_relative" else "pJ"
    axes.set(xlabel=f"energy per inference ({unit})", ylabel="accuracy", title="Accuracy against energy")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    axes.margins(0.08)
    handles, words = axes.get_legend_handles_labels()
    legend = axes.figure.legend(handles, words, loc="outside lower left", ncols=2)
    for handle, word in zip(legend.legend_handles, words, strict=True):
        if colour and word in shapes and handle is not None:
            handle.set(array=None, facecolor="#777777")  # shape tells the accelerator, colour the leakage
    return axes


def _dots(axes: Axes, shapes: Mapping[str, Sequence[Row]], energy: str, colour: str | None) -> None:
    values = [row[colour] for rows in shapes.values() for row in rows] if colour else []
    for number, (name, rows) in enumerate(shapes.items()):
        look: dict[str, Any] = {"color": f"C{number}"}
        if colour:
            look = {"c": [row[colour] for row in rows], "vmin": min(values), "vmax": max(values)}
        place = [row[energy] for row in rows], [row["accuracy"] for row in rows]
        marker = MARKERS[number % len(MARKERS)]
        dots = axes.scatter(*place, 46, marker=marker, linewidths=0.5, edgecolors="white", label=name, zorder=3, **look)
    if values:
        bar = axes.figure.colorbar(dots, ax=axes, pad=0.02, aspect=28)
        bar.set_label(f"leakage: {_words(str(colour))} (0.5 = none)")
        bar.outline.set_visible(False)


def _ring(axes: Axes, x: float, y: float, number: int, name: str) -> None:
    label = f"{number}  {name}" if number <= MOST_NAMES else "_"
    axes.scatter([x], [y], s=140, facecolors="none", edgecolors="#222222", label=label, zorder=2)
    axes.annotate(str(number), (x, y), xytext=(7, -12), textcoords="offset points", fontsize=8.5, weight="bold")


def leakage(axes: Axes, table: Sequence[Row], names: Sequence[str], attacks: Sequence[str]) -> Axes:
    """AUC of each attack per network, with its interval over samples; `names` [row] says which network a row runs.

    Rows of the same network and the same value are drawn once: accelerators change no logits.
    """
    networks = list(dict.fromkeys(name for name, row in zip(names, table, strict=True) if row["status"] == "done"))
    for number, attack in enumerate(attacks):
        seen: dict[tuple[int, float], Row] = {}
        for name, row in zip(names, table, strict=True):
            if row.get(f"{attack}_auc") is not None:
                seen.setdefault((networks.index(name), row[f"{attack}_auc"]), row)
        shift = min(0.16, 0.75 / len(attacks)) * (number - (len(attacks) - 1) / 2)
        x = np.array([place for place, _ in seen], dtype=np.float64) + shift
        y = np.array([auc for _, auc in seen], dtype=np.float64)
        reach = [[row.get(f"{attack}_auc_{side}") for row in seen.values()] for side in ("low", "high")]
        low, high = (np.array([auc if v is None else v for v, auc in zip(side, y, strict=True)]) for side in reach)
        bars = np.maximum(0.0, np.array([y - low, high - y], dtype=np.float64).reshape(2, len(y)))
        marker = MARKERS[number % len(MARKERS)]
        axes.errorbar(x, y, bars, fmt=marker, markersize=4.5, capsize=2.5, elinewidth=1.1, label=_words(attack))
    axes.axhline(0.5, color="#888888", linestyle="--", linewidth=1)
    axes.annotate("guessing", (0, 0.5), xycoords=("axes fraction", "data"), xytext=(3, 3), textcoords="offset points",
                  color="#777777", fontsize=8)  # fmt: skip
    axes.set_xticks(range(len(networks)), networks, rotation=30 if len(networks) > 5 else 0,
                    ha="right" if len(networks) > 5 else "center", rotation_mode="anchor")  # fmt: skip
    axes.set_xlim(-0.6, max(len(networks) - 0.4, 0.6))
    axes.grid(False, axis="x")
    axes.set(ylabel="membership AUC", title="Leakage of each network, with 95 % intervals over samples")
    if attacks:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return axes


def cycles(axes: Axes, table: Sequence[Row], names: Sequence[str]) -> Axes:
    """Cycles per inference by cause, one stacked bar per row that has them; `names` [row] label the bars."""
    _stack(axes, table, names, {column: CAUSE_LOOKS[cause] for column, cause in CYCLES.items()}, 1.0)
    axes.set(xlabel="cycles per inference", title="Where the cycles go")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return axes


def energy(axes: Axes, table: Sequence[Row], names: Sequence[str]) -> Axes:
    """Energy per inference by component, one stacked bar per row that has it; `names` [row] label the bars."""
    _stack(axes, table, names, {column: COMPONENT_LOOKS[part] for column, part in ENERGY.items()}, 1e-3)
    axes.set(xlabel="energy per inference (nJ)", title="Where the energy goes")
    return axes


def bars(table: Sequence[Row]) -> int:
    """How many bars `cycles` and `energy` draw for this table."""
    return min(MOST_BARS, sum(row["latency_cycles"] is not None for row in table))


def _stack(axes: Axes, table: Sequence[Row], names: Sequence[str], looks: Mapping[str, BarStyle], unit: float) -> None:
    """One bar per row, stacked of the columns that are not all zero."""
    shown = [(name, row) for name, row in zip(names, table, strict=True) if row["latency_cycles"] is not None]
    shown = shown[:MOST_BARS]
    left = np.zeros(len(shown))
    for column, (label, colour, hatch) in looks.items():
        width = np.array([row.get(column) or 0.0 for _, row in shown], dtype=np.float64) * unit
        if width.any():
            axes.barh(range(len(shown)), width, left=left, height=0.72, label=label, color=colour, hatch=hatch,
                      edgecolor="white", linewidth=0)  # fmt: skip
            left += width
    axes.set_yticks(range(len(shown)), [name for name, _ in shown])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _words(name: str) -> str:
    return name.replace("_auc", " AUC").replace("_", " ")
