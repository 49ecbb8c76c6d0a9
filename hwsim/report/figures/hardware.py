"""Pictures of the hardware at work: where cycles and energy go in each layer, and what bounds it.

Each function draws on matplotlib Axes, inside `hwsim.report.figures.study.style()`, and returns them. `about` is the line
under the title: the function of that name makes one of accelerator, dataflow and number of samples. Colours stay
the same for the same cause in all figures.

    with study.style():
        made = study.figure(lambda axes: stacked_cycles(axes, reports, about(accelerator)), size(len(reports)))
        study.save(made, folder, "cycles")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogFormatter, MaxNLocator
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.machine.cost.estimate import COMPONENTS, Cost
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES
from hwsim.machine.layer_report import LayerReport
from hwsim.machine.trace.pe_utilization import STATES, PEUtilization
from hwsim.report.figures import study
from hwsim.report.palette import CAUSE_LOOKS, COMPONENT_LOOKS, SPARE, STATE_LOOKS, BarStyle

UNITS = ((1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))
"""Units of energy, in pJ."""

ROOFLINE_SIZE = (7.2, 5.0)
"""Inches of a `roofline`."""

MOST_BESIDE = 20
"""So many places of `roofline` are explained beside it, more of them below it."""

NEAR = 9.5
"""Points from a place of `roofline` to its number; one that stands further away is joined to it by a line."""

MOST_NAMES_ABOVE = 24
"""So many layers are named above `array_activity`: those that take longest."""


def about(accelerator: Accelerator, samples: int = 1, name: str = "") -> str:
    """One line: which accelerator (`name` in front, if any), dataflow, and number of samples.

    >>> from hwsim.registry import build
    >>> about(build("accelerator", "tiny"), 3, "tiny")
    'tiny: 4x4 fixed PEs, dataflow ws, 3 samples'
    """
    array, pe = accelerator.array, getattr(accelerator.pe, "name", type(accelerator.pe).__name__)
    profile = "" if accelerator.timing == "rtl" else f", timing {accelerator.timing}"
    count = f"{samples:,} sample{'' if samples == 1 else 's'}"
    head = f"{name}: " if name else ""
    return f"{head}{array.rows}x{array.cols} {pe} PEs, dataflow {accelerator.dataflow}{profile}, {count}"


def size(layers: int) -> tuple[float, float]:
    """Inches of a figure with one bar for each of so many layers.

    >>> size(20)
    (7.2, 4.9)
    """
    return 7.2, round(1.5 + 0.17 * max(4, layers), 2)


def cycles_figure(
    accelerator: Accelerator, reports: Sequence[LayerReport], path: Path, samples: int = 1, name: str = ""
) -> None:
    """Write `stacked_cycles`, `utilisation` and `roofline` below each other to `path`, an .svg or .png file.

    The roof is that of 8-bit operands, or of the widest that a narrower PE multiplies. The same reports give the same
    bytes. Raises BadInput for another kind of file, and when no layer has multiplications.
    """
    if path.suffix not in (".svg", ".png"):
        raise BadInput("figure", path.name, "a file name that ends in .svg or .png")
    line, bits = about(accelerator, samples, name), min(8, accelerator.pe.max_operand_bits)
    panels: list[tuple[float, Callable[[Axes], Axes]]] = [
        (size(sum(bool(report.total_cycles) for report in reports))[1], lambda a: stacked_cycles(a, reports, line)),
        (size(sum(bool(report.macs) for report in reports))[1], lambda a: utilisation(a, reports, line)),
        (ROOFLINE_SIZE[1], lambda a: roofline(a, accelerator, reports, line, (bits, bits))),
    ]
    with study.style():
        made = Figure(figsize=(ROOFLINE_SIZE[0], sum(height for height, _ in panels)), layout="constrained")
        parts: Any = made.subfigures(len(panels), 1, height_ratios=[height for height, _ in panels], hspace=0.02)
        for part, (_, draw) in zip(parts, panels, strict=True):
            draw(part.add_subplot())
        if path.suffix == ".svg":
            path.write_text(study.to_svg(made), encoding="utf-8")
        else:
            made.savefig(path, metadata={"Software": None})


def stacked_cycles(axes: Axes, reports: Sequence[LayerReport], about: str) -> Axes:
    """Cycles of each layer, stacked by cause, first layer on top; layers that take no cycle are left out.

    Raises BadInput when no layer takes any.
    """
    shown = _some([report for report in reports if report.total_cycles], "reports", "layers that take cycles")
    parts = {cause: np.array([report.cycles[cause] for report in shown], dtype=np.int64) for cause in CAUSES}
    _stack(axes, [report.layer for report in shown], parts, CAUSE_LOOKS)
    _cycles_along(axes, "cycles")
    return _titled(axes, "Where the cycles go", about)


def stacked_energy(axes: Axes, cost: Cost, about: str) -> Axes:
    """Energy of each layer per inference, mean over samples, stacked by component; layers without any are left out.

    Raises BadInput when no layer takes any.
    """
    energy = cost.energy_pj.mean(axis=0)  # [layer, component]
    kept = np.flatnonzero(energy.sum(axis=1) > 0)
    _some(kept.tolist(), "cost", "layers that take energy")
    unit, word = next((u for u in UNITS if energy.sum(axis=1).max() >= u[0]), UNITS[-1])
    parts = {name: energy[kept, i] / unit for i, name in enumerate(COMPONENTS)}
    _stack(axes, [cost.layers[i] for i in kept], parts, COMPONENT_LOOKS)
    axes.set_xlabel(f"energy per inference ({word}), priced with {cost.technology.label}")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    return _titled(axes, "Where the energy goes", about)


def utilisation(axes: Axes, reports: Sequence[LayerReport], about: str) -> Axes:
    """Share of PE cycles with a product, of each layer that has multiplications, and the mean weighted by MACs.

    Raises BadInput when no layer has any.
    """
    shown = _some([report for report in reports if report.macs], "reports", "layers with multiplications")
    shares = np.array([report.utilization for report in shown])
    mean = float(np.average(shares, weights=[report.macs for report in shown]))
    axes.barh(range(len(shown)), shares, height=0.72, color=CAUSE_LOOKS["compute"][1], label="layer")
    axes.axvline(mean, color="#EE6677", linestyle="--", label=f"mean, weighted by MACs: {100 * mean:.1f} %")
    _layers_down(axes, [report.layer for report in shown])
    axes.set(xlim=(0, 1), xlabel="share of PE cycles in which a PE has a product")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    _legend(axes)
    return _titled(axes, "How busy the PEs are", about)


def roofline(
    axes: Axes, accelerator: Accelerator, reports: Sequence[LayerReport], about: str, bits: tuple[int, int] = (8, 8)
) -> Axes:
    """MACs per cycle of each layer against its MACs per byte over DRAM, below what array and DRAM allow.

    The roof is that of the PEs at `bits` (activations, weights). Layers at the same place share a number,
    which the legend explains. Raises BadInput when no layer has multiplications, and Infeasible when the PE
    cannot multiply `bits`.
    """
    shown = _some([r for r in reports if r.macs and r.dram_bytes], "reports", "layers with multiplications")
    rate = accelerator.pe.rate(*bits)
    peak, bandwidth = accelerator.pes * rate.products / rate.interval, accelerator.dram.bandwidth_bytes_per_cycle
    x = np.array([report.macs / report.dram_bytes for report in shown])
    y = np.array([report.macs / report.total_cycles for report in shown])
    axes.set(xscale="log", yscale="log")
    left, right, ridge = min(x.min(), peak / bandwidth) / 2, max(x.max(), peak / bandwidth) * 2, peak / bandwidth
    axes.plot([left, ridge], [left * bandwidth, peak], color="#EE6677", label=f"DRAM: {bandwidth:,} bytes per cycle")
    words = f"array: {peak:,g} MACs per cycle, {bits[0]}x{bits[1]} bits"
    axes.plot([ridge, right], [peak, peak], color="#228833", label=words)
    axes.scatter(x, y, 26, color=CAUSE_LOOKS["compute"][1], edgecolors="white", linewidths=0.5, zorder=3)
    axes.set(xlim=(left, right), ylim=(min(y.min(), left * bandwidth) / 1.6, max(peak, y.max()) * 1.6))
    axes.set(xlabel="MACs per byte over DRAM", ylabel="MACs per cycle")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
    _titled(axes, "What bounds each layer", about)
    places = _together(axes, x, y)
    for number, members in enumerate(places, start=1):
        axes.plot([], [], " ", label=f"{number:\u2007>2}  {_names([shown[i].layer for i in members])}")
    if len(places) <= MOST_BESIDE:
        _legend(axes, handlelength=1.2)
    else:
        axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=7)
    for number, (members, offset) in enumerate(zip(places, _offsets(axes, x, y, places), strict=True), start=1):
        far = np.hypot(*offset) > NEAR
        line = {"arrowstyle": "-", "color": "#AAAAAA", "linewidth": 0.5, "shrinkB": 3} if far else None
        axes.annotate(str(number), (x[members[0]], y[members[0]]), offset, textcoords="offset points", fontsize=7.5,
                      ha="center", va="center", color="#333333", zorder=2.5, arrowprops=line)  # fmt: skip
    return axes


def region_masks(
    axes: Axes, image: NDArray[np.generic], mask: NDArray[np.bool_], about: str, region: tuple[int, int] = (4, 4)
) -> Axes:
    """The sensitive regions of one sample over its image or input map.

    `image` is [row, column], or [channel, row, column]: three channels are shown as colours, else their mean;
    `mask` bool [region row, region column] with regions of `region` (rows, columns) pixels, cut off at
    the edges. Raises BadInput when the two do not fit each other.
    """
    picture = np.asarray(image, dtype=np.float64)
    if picture.ndim not in (2, 3) or picture.size == 0:
        raise BadInput("image", f"shape {picture.shape}", "[row, column] or [channel, row, column], not empty")
    height, width = picture.shape[-2:]
    fits = tuple(-(-pixels // side) for pixels, side in zip((height, width), region, strict=True))
    if mask.shape != fits:
        allowed = f"shape {fits}, one for each {region[0]}x{region[1]} region of {height}x{width} pixels"
        raise BadInput("mask", f"shape {mask.shape}", allowed)
    low, high = picture.min(), picture.max()
    picture = (picture - low) / (high - low if high > low else 1)
    colours = np.moveaxis(picture, 0, -1) if picture.ndim == 3 and len(picture) == 3 else picture
    gray = colours.mean(axis=0) if colours.ndim == 3 and colours.shape[-1] != 3 else colours
    axes.imshow(gray, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), interpolation="nearest")
    _outline(axes, mask, region, (height, width))
    share = f"{int(mask.sum())} of {mask.size} regions ({100 * mask.mean():.0f} %)"
    axes.legend(
        handles=[Patch(facecolor="#EE667755", edgecolor="#EE6677", label=f"sensitive, at full width:\n{share}")],
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )
    axes.grid(False)
    axes.set(xlabel="column (pixels)", ylabel="row (pixels)")
    return _titled(axes, "Sensitive regions", about)


def array_activity(axes: Axes, found: PEUtilization, about: str) -> Axes:
    """What all PEs do over time, stacked to 100 %, from `hwsim.machine.trace.pe_utilization`: exact means over each bin.

    Draw few cycles of one layer to see the array fill and drain; draw a network to see what its layers wait for.
    """
    shares = found.shares
    low = np.zeros(shares.shape[1])
    for state, (label, colour, hatch) in STATE_LOOKS.items():
        part = shares[STATES.index(state)]
        if part.any():
            high = low + part
            axes.fill_between(found.edges, _closed(low), _closed(high), step="post", label=label, color=colour,
                              hatch=hatch, linewidth=0)  # fmt: skip
            low = high
    first, last = int(found.edges[0]), int(found.edges[-1])
    axes.set(xlim=(first, last), ylim=(0, 1), ylabel="share of the PEs")
    _cycles_along(axes, "cycle")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.grid(False)
    _layers_above(axes, found, first, last)
    _legend(axes)
    return _titled(axes, "What the array does", about)


def _layers_above(axes: Axes, found: PEUtilization, first: int, last: int) -> None:
    """Borders between layers, and above them the names of those that are wide enough."""
    spans = [
        (name, max(start, first), min(end, last))
        for name, start, end in zip(found.layers, found.starts[:-1].tolist(), found.starts[1:].tolist(), strict=True)
        if start < last and end > first
    ]
    wide = [(b - a) >= 0.01 * (last - first) for _, a, b in spans]
    for (_, start, _), seen in zip(spans[1:], map(min, wide[1:], wide[:-1]), strict=True):
        if seen:
            axes.axvline(start, color="white", linewidth=0.8)
    longest = sorted(spans, key=lambda span: span[1] - span[2])[:MOST_NAMES_ABOVE]
    named = [(name, a, b) for name, a, b in spans if (name, a, b) in longest and b - a >= 0.021 * (last - first)]
    above = axes.secondary_xaxis("top")
    above.set_xticks([(a + b) / 2 for _, a, b in named], [name for name, _, _ in named])
    above.tick_params(axis="x", length=0, labelrotation=0 if len(named) < 4 else 90, labelsize=7.5)
    above.spines["top"].set_visible(False)


def _closed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """One more value at the end, where the last bin ends."""
    return np.append(values, values[-1:])


def _stack(axes: Axes, names: Sequence[str], parts: Mapping[str, NDArray[Any]], looks: Mapping[str, BarStyle]) -> None:
    """One bar per name, stacked of the parts that are not all zero."""
    left = np.zeros(len(names))
    spare = iter(SPARE)
    for part, widths in parts.items():
        label, colour, hatch = looks.get(part) or (part.replace("_", " "), next(spare), "....")
        if widths.any():
            axes.barh(range(len(names)), widths, left=left, height=0.72, label=label, color=colour, hatch=hatch,
                      edgecolor="white", linewidth=0)  # fmt: skip
            left = left + widths
    axes.set_xlim(0, left.max() * 1.02)
    _layers_down(axes, names)
    _legend(axes)


def _cycles_along(axes: Axes, word: str) -> None:
    """Numbers of cycles below the Axes, in millions where they are long."""
    low, high = axes.get_xlim()
    millions = high - low >= 2e6
    axes.set_xlabel(f"{word} (millions)" if millions else word)
    axes.xaxis.set_major_locator(MaxNLocator(6 if millions else 5, steps=[1, 2, 5, 10], integer=not millions))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:,g}" if millions else f"{value:,.0f}"))


def _layers_down(axes: Axes, names: Sequence[str]) -> None:
    """Names of layers from top to bottom."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, labelsize=8.5 if len(names) <= 24 else 7.5)


def _legend(axes: Axes, **options: Any) -> None:
    axes.legend(**{"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), **options})


def _titled(axes: Axes, title: str, about: str) -> Axes:
    """The title in bold, and below it what the picture is about."""
    below = axes.set_title(about, loc="left", fontsize=8.5, fontweight="normal", color="#555555", pad=6)
    axes.annotate(title, (0, 1), (0, 3), xycoords=below, textcoords="offset points", fontsize=10.5, weight="bold",
                  annotation_clip=False)  # fmt: skip
    return axes


def _some(found: list[Any], where: str, what: str) -> list[Any]:
    if not found:
        raise BadInput(where, f"no {what}", "one or more")
    return found


def _outline(axes: Axes, mask: NDArray[np.bool_], region: tuple[int, int], pixels: tuple[int, int]) -> None:
    """Tint the sensitive regions, and draw a line where one meets another or the edge of the map."""
    rows, cols = (
        np.minimum(np.arange(count + 1) * side, size)
        for count, side, size in zip(mask.shape, region, pixels, strict=True)
    )
    tint = np.zeros((*pixels, 4))
    tint[...] = (0xEE / 255, 0x66 / 255, 0x77 / 255, 0)
    tint[..., 3] = 0.33 * mask[np.arange(pixels[0])[:, None] // region[0], np.arange(pixels[1]) // region[1]]
    axes.imshow(tint, extent=(0, pixels[1], pixels[0], 0), interpolation="nearest")
    padded = np.pad(mask, 1)
    lines = []
    for i, j in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1]):
        lines.append([(cols[j], rows[i]), (cols[j + 1], rows[i])])
    for i, j in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1]):
        lines.append([(cols[j], rows[i]), (cols[j], rows[i + 1])])
    axes.add_collection(LineCollection(lines, colors="#EE6677", linewidths=1.4, capstyle="round", clip_on=False))


def _names(layers: Sequence[str]) -> str:
    """The layers at one place: all of up to two, else the first, the last, and how many."""
    return ", ".join(layers) if len(layers) <= 2 else f"{layers[0]} … {layers[-1]} ({len(layers)})"


def _points(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where (x, y) lie on the figure, in points (1/72 inch), as it is laid out by now."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
    return np.asarray(axes.transData.transform(np.stack([x, y], axis=1)) * 72 / figure.dpi)


def _together(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[list[int]]:
    """Indices of the layers that lie within 3 points of each other, in the order of the layers."""
    at = _points(axes, x, y)
    places: list[list[int]] = []
    for i in range(len(x)):
        near = [place for place in places if np.hypot(*(at[place[0]] - at[i])) < 3]
        if near:
            near[0].append(i)
        else:
            places.append([i])
    return places


def _offsets(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], places: Sequence[Sequence[int]]
) -> list[tuple[float, float]]:
    """For the number of each place, in points: the nearest spot that hides no place and no earlier number."""
    at = _points(axes, x, y)[[place[0] for place in places]]
    turns = np.arange(8) * np.pi / 4
    ways = np.array([(r * np.sin(turn), r * np.cos(turn)) for r in (NEAR, 15, 21, 27) for turn in turns])
    numbers = np.empty((0, 2))
    for here in at:
        spots = here + ways
        room = np.minimum(_room(spots, at, (7.5, 7.0)), _room(spots, numbers, (10.5, 9.0)))
        numbers = np.vstack([numbers, spots[np.argmax(np.minimum(room, 1))]])
    return [(round(across, 3), round(up, 3)) for across, up in (numbers - at).tolist()]


def _room(spots: NDArray[np.float64], others: NDArray[np.float64], box: tuple[float, float]) -> NDArray[np.float64]:
    """Distance of each spot to the nearest of the others; below 1 they lie within `box` (points) of each other."""
    if len(others) == 0:
        return np.full(len(spots), np.inf)
    apart = np.abs(spots[:, None] - others[None]) / box
    room: NDArray[np.float64] = apart.max(axis=2).min(axis=1)
    return room
