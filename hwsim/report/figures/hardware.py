"""Figures of the hardware: cycles and energy of each layer, utilization, roofline, regions and array activity.

Each function draws on matplotlib Axes, inside `hwsim.report.figures.base.style()`, and returns them. `subtitle` is the
line under the title; `subtitle_of` makes it from accelerator and number of samples. A cause has the same color in
all figures.

    with base.style():
        draw = lambda axes: stacked_cycles(axes, reports, subtitle_of(accelerator))
        base.save(base.figure(draw, bar_chart_size(len(reports))), folder, "cycles")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogFormatter, MaxNLocator
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput, UnknownName
from hwsim.files import writing
from hwsim.machine.cost.estimate import COMPONENTS, Cost
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES
from hwsim.machine.layer_report import LayerReport, network_utilization
from hwsim.machine.trace.pe_utilization import STATES, PEUtilization
from hwsim.report.figures import base
from hwsim.report.figures.base import label, legend_right
from hwsim.report.figures.numbers import in_points, place_numbers
from hwsim.report.palette import CAUSE_STYLES, COMPONENT_STYLES, SPARE_COLORS, STATE_STYLES, BarStyle

UNITS = ((1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))
"""Units of energy: pJ per unit, and symbol."""

ROOFLINE_SIZE = (7.2, 5.0)
"""Width and height of a `roofline` in inches."""

MAX_MARKERS_RIGHT = 20
"""Number of markers up to which the legend of `roofline` is on its right; the legend of more markers is below."""

MAX_BARS = 24
"""Number of layers up to which `cycles_figure` shows each layer; repeated blocks of more layers are folded."""

MAX_NAMES_ABOVE = 24
"""Number of layers named above `array_activity`: the layers with most cycles."""


def subtitle_of(accelerator: Accelerator, samples: int = 1, name: str = "") -> str:
    """Return one line with the accelerator (after `name`, if given), its dataflow and the number of samples.

    >>> from hwsim.registry import build
    >>> subtitle_of(build("accelerator", "tiny"), 3, "tiny")
    'tiny: 4x4 fixed PEs, dataflow ws, 3 samples'
    """
    array, pe = accelerator.array, accelerator.pe.name
    timing = "" if accelerator.models_memory else f", timing {accelerator.timing}"
    count = f"{samples:,} sample{'' if samples == 1 else 's'}"
    prefix = f"{name}: " if name else ""
    return f"{prefix}{array.rows}x{array.cols} {pe} PEs, dataflow {accelerator.dataflow}{timing}, {count}"


def bar_chart_size(layers: int) -> tuple[float, float]:
    """Return width and height in inches of a figure with one bar per layer.

    >>> bar_chart_size(20)
    (7.2, 4.9)
    """
    return 7.2, round(1.5 + 0.17 * max(4, layers), 2)


PANELS = ("cycles", "utilization", "roofline")
"""Names of the panels of `cycles_figure`."""


def cycles_figure(
    accelerator: Accelerator,
    reports: Sequence[LayerReport],
    path: Path,
    samples: int = 1,
    name: str = "",
    panels: Sequence[str] = PANELS,
    force: bool = False,
) -> None:
    """Write the chosen panels, one below the other, to an .svg, .pdf or .png file.

    The panels are `stacked_cycles`, `utilization` and `roofline`. Repeated blocks of a long network are folded
    (`fold_repeats`). The roof is the peak at 8-bit operands, or at the widest operands of a narrower PE. The same
    reports give the same bytes. Raises BadInput for another kind of file or panel, for a file that hwsim did not write
    unless `force` is set, and when no layer has multiplications.
    """
    base.check_figure(path, force)
    subtitle, bits = subtitle_of(accelerator, samples, name), min(8, accelerator.pe.max_operand_bits)
    folded = fold_repeats(reports) if len(reports) > MAX_BARS else list(reports)
    bars = {"cycles": sum(bool(r.total_cycles) for r in folded), "utilization": sum(bool(r.macs) for r in folded)}
    draw: dict[str, Callable[[Axes], Axes]] = {
        "cycles": lambda axes: stacked_cycles(axes, folded, subtitle),
        "utilization": lambda axes: utilization(axes, folded, subtitle),
        "roofline": lambda axes: roofline(axes, accelerator, folded, subtitle, (bits, bits)),
    }
    for panel in panels:
        if panel not in draw:
            raise UnknownName("panel", panel, PANELS)
    with base.style():
        sizes = [
            base.figure(draw[panel], bar_chart_size(bars[panel]) if panel in bars else ROOFLINE_SIZE).get_size_inches()
            for panel in panels
        ]
        heights = [float(height) for _, height in sizes]
        made = Figure(figsize=(max(float(width) for width, _ in sizes), sum(heights)), layout="constrained")
        parts: Any = made.subfigures(len(panels), 1, height_ratios=heights, hspace=0.02, squeeze=False)[:, 0]
        for part, panel in zip(parts, panels, strict=True):
            draw[panel](part.add_subplot())
        writing.write_file(path, base.to_bytes(made, path.suffix), base.MARKS[path.suffix], force)


def fold_repeats(reports: Sequence[LayerReport]) -> list[LayerReport]:
    """Fold blocks of layers that follow each other with the same numbers: one report per layer of the block.

    A folded report has the sums of its layers and is named after the first, with the number of blocks. Of several
    ways to fold at a layer, the one that leaves the fewest reports is taken.

    >>> from hwsim.machine.layer_report import layer_reports
    >>> from hwsim.network.product import Product
    >>> from hwsim.registry import build
    >>> layers = [(f"b{i}.{name}", Product(4, 4, n, 16)) for i in range(3) for name, n in (("a", 4), ("b", 8))]
    >>> [report.layer for report in fold_repeats(layer_reports(build("accelerator", "tiny"), layers))]
    ['b0.a (x3)', 'b0.b (x3)']
    """
    numbers = [replace(report, layer="") for report in reports]
    folded: list[LayerReport] = []
    start = 0
    while start < len(reports):
        size, blocks = _best_fold(numbers, start)
        for i in range(start, start + size):
            folded.append(_sum_of(reports[i : i + size * blocks : size]))
        start += size * blocks
    return folded


def _best_fold(numbers: Sequence[LayerReport], start: int) -> tuple[int, int]:
    """Return layers per block and number of blocks from `start` on; (1, 1) where nothing repeats."""
    best = 1, 1
    for size in range(1, (len(numbers) - start) // 2 + 1):
        block, end = numbers[start : start + size], start + size
        while numbers[end : end + size] == block:
            end += size
        blocks = (end - start) // size
        if size * (blocks - 1) > best[0] * (best[1] - 1):
            best = size, blocks
    return best


def _sum_of(equal: Sequence[LayerReport]) -> LayerReport:
    """Return the sum of reports with the same numbers."""
    first, count = equal[0], len(equal)
    if count == 1:
        return first
    cycles = {cause: count * number for cause, number in first.cycles.items()}
    return replace(
        first,
        layer=f"{first.layer} (x{count})",
        macs=count * first.macs,
        cycles=cycles,
        dram_bytes=count * first.dram_bytes,
    )


def stacked_cycles(axes: Axes, reports: Sequence[LayerReport], subtitle: str) -> Axes:
    """Draw the cycles of each layer, stacked by cause, first layer on top; layers without cycles are left out.

    Raises BadInput when no layer takes any.
    """
    shown = _nonempty([report for report in reports if report.total_cycles], "reports", "layers that take cycles")
    parts = {cause: np.array([report.cycles[cause] for report in shown], dtype=np.int64) for cause in CAUSES}
    _stacked_bars(axes, [report.layer for report in shown], parts, CAUSE_STYLES)
    _cycle_axis(axes, "cycles")
    return _titled(axes, "Where the cycles go", subtitle)


def stacked_energy(axes: Axes, cost: Cost, subtitle: str) -> Axes:
    """Draw the energy of each layer per inference, mean over samples, stacked by component.

    Layers without energy are left out. Raises BadInput when no layer takes any.
    """
    energy = cost.energy_pj.mean(axis=0)  # [layer, component]
    layers = np.flatnonzero(energy.sum(axis=1) > 0)
    _nonempty(layers.tolist(), "cost", "layers that take energy")
    unit, symbol = next((u for u in UNITS if energy.sum(axis=1).max() >= u[0]), UNITS[-1])
    parts = {name: energy[layers, i] / unit for i, name in enumerate(COMPONENTS)}
    _stacked_bars(axes, [cost.layers[i] for i in layers], parts, COMPONENT_STYLES)
    axes.set_xlabel(f"energy per inference ({symbol}), priced with {cost.technology.label}")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    return _titled(axes, "Where the energy goes", subtitle)


def utilization(axes: Axes, reports: Sequence[LayerReport], subtitle: str) -> Axes:
    """Draw the utilization of each layer with multiplications, and that of the whole network.

    The utilization of the network counts the cycles of all layers, those without multiplications too
    (`hwsim.machine.layer_report.network_utilization`). Raises BadInput when no layer has multiplications.
    """
    shown = _nonempty([report for report in reports if report.macs], "reports", "layers with multiplications")
    shares = np.array([report.utilization for report in shown])
    total = network_utilization(reports)
    axes.barh(range(len(shown)), shares, height=0.72, color=CAUSE_STYLES["compute"].color, label="layer")
    axes.axvline(total, color="#EE6677", linestyle="--", label=f"network: {100 * total:.1f} %")
    _layer_axis(axes, [report.layer for report in shown])
    axes.set(xlim=(0, 1), xlabel="utilization: share of PE cycles in which a PE has a product")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    legend_right(axes)
    return _titled(axes, "How busy the PEs are", subtitle)


def roofline(
    axes: Axes, accelerator: Accelerator, reports: Sequence[LayerReport], subtitle: str, bits: tuple[int, int] = (8, 8)
) -> Axes:
    """Draw MACs per cycle of each layer against MACs per byte of DRAM traffic, with the roof of array and DRAM.

    The roof is the peak of the PEs at `bits` (activations, weights). Layers at the same place share one numbered
    marker, which the legend explains. Raises BadInput when no layer has multiplications, and Infeasible when the PE
    cannot multiply `bits`.
    """
    shown = _nonempty([r for r in reports if r.macs and r.dram_bytes], "reports", "layers with multiplications")
    rate = accelerator.pe.rate(*bits)
    peak, bandwidth = accelerator.pes * rate.products / rate.interval, accelerator.dram.bandwidth_bytes_per_cycle
    x = np.array([report.macs / report.dram_bytes for report in shown])
    y = np.array([report.macs / report.total_cycles for report in shown])
    axes.set(xscale="log", yscale="log")
    ridge = peak / bandwidth
    left, right = min(x.min(), ridge) / 2, max(x.max(), ridge) * 2
    axes.plot([left, ridge], [left * bandwidth, peak], color="#EE6677", label=f"DRAM: {bandwidth:,} bytes per cycle")
    roof = f"array: {peak:,g} MACs per cycle, {bits[0]}x{bits[1]} bits"
    axes.plot([ridge, right], [peak, peak], color="#228833", label=roof)
    axes.scatter(x, y, 26, color=CAUSE_STYLES["compute"].color, edgecolors="white", linewidths=0.5, zorder=3)
    axes.set(xlim=(left, right), ylim=(min(y.min(), left * bandwidth) / 1.6, max(peak, y.max()) * 1.6))
    axes.set(xlabel="MACs per byte over DRAM", ylabel="MACs per cycle")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
    _titled(axes, "What bounds each layer", subtitle)
    _number_markers(axes, x, y, [report.layer for report in shown])
    return axes


def _number_markers(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], layers: Sequence[str]) -> None:
    """Number the markers of a roofline and name their layers in the legend; `x` and `y` are float64 [layer]."""
    markers = _markers(axes, x, y)
    for number, members in enumerate(markers, start=1):
        axes.plot([], [], " ", label=f"{number:\u2007>2}  {_marker_name([layers[i] for i in members])}")
    if len(markers) <= MAX_MARKERS_RIGHT:
        legend_right(axes, handlelength=1.2)
    else:
        axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=7)
    first = [members[0] for members in markers]
    place_numbers(axes, x[first], y[first], [str(number) for number in range(1, len(markers) + 1)])


def region_masks(
    axes: Axes, image: NDArray[np.generic], mask: NDArray[np.bool_], subtitle: str, region: tuple[int, int] = (4, 4)
) -> Axes:
    """Draw the sensitive regions of one sample over its image or input map.

    Raises BadInput when image and mask do not fit each other.

    Parameters
    ----------
    axes : the Axes to draw on
    image : [row, column] or [channel, row, column]; three channels are drawn as colors, others as their mean
    mask : True for a sensitive region, bool [region row, region column]; the last regions are cut off at the edges
    subtitle : line under the title
    region : rows and columns of a region, in pixels
    """
    picture = np.asarray(image, dtype=np.float64)
    if picture.ndim not in (2, 3) or picture.size == 0:
        raise BadInput("image", f"shape {picture.shape}", "[row, column] or [channel, row, column], not empty")
    height, width = picture.shape[-2:]
    expected = ceil_div(height, region[0]), ceil_div(width, region[1])
    if mask.shape != expected:
        allowed = f"shape {expected}, one for each {region[0]}x{region[1]} region of {height}x{width} pixels"
        raise BadInput("mask", f"shape {mask.shape}", allowed)
    low, high = picture.min(), picture.max()
    picture = (picture - low) / (high - low if high > low else 1)
    if picture.ndim == 3:
        picture = np.moveaxis(picture, 0, -1) if len(picture) == 3 else picture.mean(axis=0)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), interpolation="nearest")
    _outline(axes, mask, region, (height, width))
    share = f"{int(mask.sum())} of {mask.size} regions ({100 * mask.mean():.0f} %)"
    patch = Patch(facecolor="#EE667755", edgecolor="#EE6677", label=f"sensitive, at full width:\n{share}")
    legend_right(axes, handles=[patch])
    axes.grid(False)
    axes.set(xlabel="column (pixels)", ylabel="row (pixels)")
    return _titled(axes, "Sensitive regions", subtitle)


def array_activity(axes: Axes, found: PEUtilization, subtitle: str) -> Axes:
    """Draw the states of all PEs over time, stacked to 100 %, as exact means over each bin.

    `found` comes from `hwsim.machine.trace.pe_utilization`. A few cycles of one layer show how the array fills
    and drains; a whole network shows the stalls of its layers.
    """
    shares = found.shares
    low = np.zeros(shares.shape[1])
    for state, (text, color, hatch) in STATE_STYLES.items():
        part = shares[STATES.index(state)]
        if part.any():
            high = low + part
            axes.fill_between(found.edges, _with_last_repeated(low), _with_last_repeated(high), step="post",
                              label=text, color=color, hatch=hatch, linewidth=0)  # fmt: skip
            low = high
    first, last = int(found.edges[0]), int(found.edges[-1])
    axes.set(xlim=(first, last), ylim=(0, 1), ylabel="share of the PEs")
    _cycle_axis(axes, "cycle")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.grid(False)
    _name_layers_above(axes, found, first, last)
    legend_right(axes)
    return _titled(axes, "What the array does", subtitle)


def _name_layers_above(axes: Axes, found: PEUtilization, first: int, last: int) -> None:
    """Draw the borders between layers in cycles `first` to `last`, and name wide layers above the Axes."""
    spans = [
        (name, max(start, first), min(end, last))
        for name, start, end in zip(found.layers, found.starts[:-1].tolist(), found.starts[1:].tolist(), strict=True)
        if start < last and end > first
    ]
    wide = [(end - start) >= 0.01 * (last - first) for _, start, end in spans]
    for (_, start, _), visible in zip(spans[1:], map(min, wide[1:], wide[:-1]), strict=True):
        if visible:
            axes.axvline(start, color="white", linewidth=0.8)
    longest = sorted(spans, key=lambda span: span[1] - span[2])[:MAX_NAMES_ABOVE]
    named = [span for span in spans if span in longest and span[2] - span[1] >= 0.021 * (last - first)]
    above = axes.secondary_xaxis("top")
    above.set_xticks([(start + end) / 2 for _, start, end in named], [label(name, 20) for name, _, _ in named])
    above.tick_params(axis="x", length=0, labelrotation=0 if len(named) < 4 else 90, labelsize=7.5)
    above.spines["top"].set_visible(False)


def _with_last_repeated(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one value per edge from one value per bin: the last edge has the value of the last bin."""
    return np.append(values, values[-1:])


def _stacked_bars(
    axes: Axes, names: Sequence[str], parts: Mapping[str, NDArray[Any]], styles: Mapping[str, BarStyle]
) -> None:
    """Draw one bar per name, stacked from the parts that are not all zero; a part is an array [name]."""
    left = np.zeros(len(names))
    spare = iter(SPARE_COLORS)
    for part, widths in parts.items():
        text, color, hatch = styles.get(part) or BarStyle(part.replace("_", " "), next(spare), "....")
        if widths.any():
            axes.barh(range(len(names)), widths, left=left, height=0.72, label=text, color=color, hatch=hatch,
                      edgecolor="white", linewidth=0)  # fmt: skip
            left = left + widths
    axes.set_xlim(0, left.max() * 1.02)
    _layer_axis(axes, names)
    legend_right(axes)


def _cycle_axis(axes: Axes, label: str) -> None:
    """Label the horizontal axis with cycles, in millions from a range of 2 million cycles on."""
    low, high = axes.get_xlim()
    millions = high - low >= 2e6
    axes.set_xlabel(f"{label} (millions)" if millions else label)
    axes.xaxis.set_major_locator(MaxNLocator(6 if millions else 5, steps=[1, 2, 5, 10], integer=not millions))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:,g}" if millions else f"{value:,.0f}"))


def _layer_axis(axes: Axes, names: Sequence[str]) -> None:
    """Label the vertical axis with names of layers from top to bottom."""
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, labelsize=8.5 if len(names) <= 24 else 7.5)


def _titled(axes: Axes, title: str, subtitle: str) -> Axes:
    """Write the title in bold and the subtitle below it."""
    below = axes.set_title(label(subtitle, 100), loc="left", fontsize=8.5, fontweight="normal", color="#555555", pad=6)
    axes.annotate(title, (0, 1), (0, 3), xycoords=below, textcoords="offset points", fontsize=10.5, weight="bold",
                  annotation_clip=False)  # fmt: skip
    return axes


def _nonempty(items: list[Any], where: str, kind: str) -> list[Any]:
    """Return `items`; raises BadInput when there are none."""
    if not items:
        raise BadInput(where, f"no {kind}", "one or more")
    return items


def _outline(axes: Axes, mask: NDArray[np.bool_], region: tuple[int, int], pixels: tuple[int, int]) -> None:
    """Tint the sensitive regions, and outline them where they border on others or on the edge of the map.

    `mask` is bool [region row, region column]; `region` and `pixels` are rows and columns of a region and of the map.
    """
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


def _marker_name(layers: Sequence[str]) -> str:
    """Name the layers of one marker: all of up to two, else the first, the last and the number."""
    names = [label(layer, 20) for layer in layers]
    return ", ".join(names) if len(names) <= 2 else f"{names[0]} … {names[-1]} ({len(names)})"


def _markers(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[list[int]]:
    """Group layers within 3 points of each other: lists of indices, in the order of the layers."""
    at = in_points(axes, x, y)
    markers: list[list[int]] = []
    for i in range(len(x)):
        near = [marker for marker in markers if np.hypot(*(at[marker[0]] - at[i])) < 3]
        if near:
            near[0].append(i)
        else:
            markers.append([i])
    return markers
