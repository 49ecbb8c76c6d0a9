"""Figures of the hardware: drawn numbers, labels and layout."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from hwsim.errors import BadInput, Infeasible
from hwsim.machine import simulate
from hwsim.machine.cost.estimate import COMPONENTS, estimate
from hwsim.machine.events import CAUSES
from hwsim.machine.layer_report import layer_reports, network_utilization, total_row
from hwsim.machine.trace.pe_utilization import STATES, pe_utilization
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, conv_product
from hwsim.registry import build
from hwsim.report.figures import base, hardware
from tests.support.small_network import small_network

SAME = Geometry((3, 3), (1, 1), (1, 1))
LAYERS = [
    ("conv1", conv_product(3, 32, 32, 32, SAME)),
    ("conv2", conv_product(32, 32, 16, 16, SAME)),
    ("again", conv_product(32, 32, 16, 16, SAME)),
    ("fc", Product(pixels=1, reduction=512, filters=100, ifmap_elements=512)),
]
TPU = build("accelerator", "tpu_like")
SUBTITLE = hardware.subtitle_of(TPU, 1, "tpu_like")
REPORTS = layer_reports(TPU, LAYERS)


def axes_of(draw) -> Axes:
    with base.style():
        return base.figure(draw).axes[0]


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def layer_names(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_yticklabels()]


def bars(axes: Axes) -> np.ndarray:
    """Widths [part, layer] of the stacked bars; each begins where the one before it ends."""
    rows = [[(bar.get_x(), bar.get_width()) for bar in part] for part in axes.containers]
    table = np.array(rows)
    ends = table.sum(axis=2)
    assert table[0, :, 0].tolist() == [0] * table.shape[1]
    assert table[1:, :, 0] == pytest.approx(ends[:-1])
    return table[:, :, 1]


def test_cycles_are_those_of_the_reports() -> None:
    axes = axes_of(lambda a: hardware.stacked_cycles(a, REPORTS, SUBTITLE))
    seen = [cause for cause in CAUSES if any(report.cycles[cause] for report in REPORTS)]
    assert 2 < len(seen) < len(CAUSES)
    widths = bars(axes)
    assert widths.tolist() == [[report.cycles[cause] for report in REPORTS] for cause in seen]
    assert widths.sum(axis=0).tolist() == [report.total_cycles for report in REPORTS]
    assert legend(axes) == [hardware.CAUSE_STYLES[cause][0] for cause in seen]
    assert layer_names(axes) == ["conv1", "conv2", "again", "fc"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first layer is on top
    assert axes.get_xlabel() == "cycles"


def test_long_counts_are_shown_in_millions() -> None:
    slow = [replace(REPORTS[0], cycles=REPORTS[0].cycles | {"compute": 30_000_000})]
    axes = axes_of(lambda a: hardware.stacked_cycles(a, slow, SUBTITLE))
    assert axes.get_xlabel() == "cycles (millions)"
    assert axes.xaxis.get_major_formatter()(20_000_000, 0) == "20"
    assert axes.containers[0][0].get_width() == 30_000_000


def test_layers_without_cycles_are_left_out() -> None:
    reports = layer_reports(TPU, small_network())
    axes = axes_of(lambda a: hardware.stacked_cycles(a, reports, SUBTITLE))
    assert layer_names(axes) == ["conv", "pool", "head"]
    assert "vector unit" in legend(axes)


def test_every_cause_state_and_component_has_a_style_of_its_own() -> None:
    for names, styles in (
        (CAUSES, hardware.CAUSE_STYLES),
        (STATES, hardware.STATE_STYLES),
        (COMPONENTS, hardware.COMPONENT_STYLES),
    ):
        assert list(styles) == list(names)
        assert len({style[0] for style in styles.values()}) == len(styles)
        assert len({style[1:] for style in styles.values()}) == len(styles)


def small_cost():
    network = small_network()
    inputs = np.random.default_rng(1).random((3, 1, 8, 8))
    return estimate(simulate(network, build("accelerator", "tiny"), inputs), build("technology", "nangate45"))


def test_energy_is_that_of_the_cost() -> None:
    cost = small_cost()
    axes = axes_of(lambda a: hardware.stacked_energy(a, cost, SUBTITLE))
    mean = cost.energy_pj.mean(axis=0)[[0, 1, 3]]  # flatten takes no energy
    seen = [i for i in range(len(COMPONENTS)) if mean[:, i].any()]
    assert bars(axes) * 1000 == pytest.approx(mean[:, seen].T)
    assert axes.get_xlabel() == "energy per inference (nJ), priced with nangate45"
    assert layer_names(axes) == ["conv", "pool", "head"]
    assert legend(axes) == [hardware.COMPONENT_STYLES[COMPONENTS[i]][0] for i in seen]
    total = sum(bar.get_width() for part in axes.containers for bar in part)
    assert total * 1000 == pytest.approx(cost.total_energy_pj.mean())


def test_energy_is_the_mean_over_samples() -> None:
    first = small_cost().energy_pj[:1]
    costs = [replace(small_cost(), energy_pj=energy) for energy in (first, np.concatenate([first, 3 * first]))]
    once, twice = (axes_of(lambda a, c=c: hardware.stacked_energy(a, c, SUBTITLE)) for c in costs)
    assert bars(twice) == pytest.approx(2 * bars(once))


@pytest.mark.parametrize(("scale", "unit"), [(1e-4, "pJ"), (1.0, "nJ"), (1e3, "µJ"), (1e6, "mJ"), (1e-9, "pJ")])
def test_energy_has_a_fitting_unit(scale: float, unit: str) -> None:
    cost = small_cost()
    scaled = replace(cost, energy_pj=cost.energy_pj * scale)
    axes = axes_of(lambda a: hardware.stacked_energy(a, scaled, SUBTITLE))
    assert f"({unit})" in axes.get_xlabel()
    assert unit == "pJ" or 1 <= bars(axes).sum(axis=0).max() < 1000


def test_a_component_without_a_style_is_drawn(monkeypatch) -> None:
    cost = small_cost()
    monkeypatch.setattr(hardware, "COMPONENTS", (*COMPONENTS, "clock_tree"))
    more = replace(cost, energy_pj=np.concatenate([cost.energy_pj, cost.energy_pj[:, :, :1]], axis=2))
    axes = axes_of(lambda a: hardware.stacked_energy(a, more, SUBTITLE))
    assert legend(axes)[-1] == "clock tree"
    assert bars(axes)[-1] == pytest.approx(bars(axes)[0])


def test_the_utilization_of_the_network_is_that_of_the_table() -> None:
    reports = [*REPORTS, *layer_reports(TPU, small_network())[1:3]]  # layers of the vector unit have no bar, but cycles
    axes = axes_of(lambda a: hardware.utilization(a, reports, SUBTITLE))
    assert [bar.get_width() for bar in axes.containers[0]] == [report.utilization for report in REPORTS]
    total = total_row(reports)["utilization"]
    assert axes.lines[0].get_xdata() == pytest.approx([total, total], abs=1e-6)
    assert f"network: {100 * total:.1f} %" in legend(axes)
    assert layer_names(axes) == ["conv1", "conv2", "again", "fc"]


def test_roofline_places_layers_under_the_roof() -> None:
    axes = axes_of(lambda a: hardware.roofline(a, TPU, REPORTS, SUBTITLE))
    found = np.asarray(axes.collections[0].get_offsets())
    assert found[:, 0] == pytest.approx([report.macs / report.dram_bytes for report in REPORTS])
    assert found[:, 1] == pytest.approx([report.macs / report.total_cycles for report in REPORTS])
    slope, flat = (np.asarray(line.get_xydata()) for line in axes.lines[:2])
    assert slope[:, 1] == pytest.approx(slope[:, 0] * 16)
    assert flat[:, 1].tolist() == [1024, 1024]
    assert slope[1] == pytest.approx(flat[0])
    assert (found[:, 1] <= np.minimum(1024, 16 * found[:, 0])).all()
    assert legend(axes) == [
        "DRAM: 16 bytes per cycle",
        "array: 1,024 MACs per cycle, 8x8 bits",
        "\u20071  conv1",
        "\u20072  conv2, again",
        "\u20073  fc",
    ]
    assert [text.get_text() for text in axes.texts if text.get_weight() != "bold"] == ["1", "2", "3"]
    low, high = axes.get_xlim()
    assert low < found[:, 0].min()
    assert high > found[:, 0].max()


def test_roof_follows_the_widths() -> None:
    fused = build("accelerator", "bitfusion_like")
    reports = layer_reports(fused, LAYERS)
    peaks = [
        axes_of(lambda a, bits=bits: hardware.roofline(a, fused, reports, SUBTITLE, bits)).lines[1].get_ydata()[0]
        for bits in ((8, 8), (4, 4), (16, 16))
    ]
    assert peaks == [512, 2048, 128]
    with pytest.raises(Infeasible, match="16-bit"):
        axes_of(lambda a: hardware.roofline(a, TPU, REPORTS, SUBTITLE, (16, 16)))


@pytest.mark.parametrize("count", [1, 7, 60])
def test_numbers_of_a_roofline_overlap_neither_markers_nor_each_other(count: int) -> None:
    products = [
        (f"layer{i}", conv_product(8 + 5 * (i % 7), 8 + 11 * (i % 5), 8 + i, 9 + i // 3, SAME)) for i in range(count)
    ]
    reports = layer_reports(TPU, products)
    with base.style():
        made = base.figure(lambda a: hardware.roofline(a, TPU, reports, SUBTITLE), (7.2, 5.6))
        made.draw_without_rendering()  # makes the layout
    axes = made.axes[0]
    words = [text for text in axes.texts if text.get_text().isdigit()]
    spots = axes.transData.transform(np.asarray(axes.collections[0].get_offsets()))
    boxes = [Text.get_window_extent(text) for text in words]  # without the lines that lead to them
    close = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    assert len(close) <= len(boxes) // 10
    hidden = [box for box in boxes if any(box.contains(*spot) for spot in spots)]
    assert len(hidden) <= len(boxes) // 10
    named = (axes.get_legend() or made.legends[0]).get_texts()
    assert len(named) == 2 + len(words)


def mask_axes(image, mask, region=(2, 2)) -> Axes:
    return axes_of(lambda a: hardware.region_masks(a, image, mask, SUBTITLE, region))


def test_region_masks_tint_the_pixels_of_sensitive_regions() -> None:
    image = np.random.default_rng(0).random((5, 7))
    mask = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=bool)
    axes = mask_axes(image, mask)
    shown, tint = (np.asarray(picture.get_array()) for picture in axes.images)
    assert shown == pytest.approx((image - image.min()) / (image.max() - image.min()))
    wanted = np.zeros((5, 7), dtype=bool)
    wanted[:2, :2] = wanted[:2, 6:] = wanted[4:, 2:4] = True
    assert ((tint[:, :, 3] > 0) == wanted).all()
    assert "3 of 12 regions (25 %)" in legend(axes)[0]
    (outline,) = axes.collections
    length = sum(np.abs(np.diff(line, axis=0)).sum() for line in outline.get_segments())
    assert length == 8 + 6 + 6  # around 2x2 pixels, 2x1 pixels and 1x2 pixels


@pytest.mark.parametrize(("channels", "shape"), [(1, (4, 6)), (2, (4, 6)), (3, (4, 6, 3))])
def test_region_masks_take_maps_of_any_channels(channels: int, shape: tuple[int, ...]) -> None:
    image = np.arange(channels * 24).reshape(channels, 4, 6)
    axes = mask_axes(image, np.zeros((2, 3), dtype=bool))
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == shape
    if channels == 2:
        assert shown == pytest.approx(image.mean(axis=0) / 47)


def test_regions_need_not_be_square() -> None:
    axes = mask_axes(np.random.default_rng(0).random((4, 9)), np.array([[0, 0, 1], [0, 0, 0]], dtype=bool), (2, 3))
    tint = np.asarray(axes.images[1].get_array())[:, :, 3]
    assert np.argwhere(tint > 0).tolist() == [[i, j] for i in (0, 1) for j in (6, 7, 8)]


def test_region_masks_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(BadInput, match=r"mask: got shape \(2, 2\); allowed: shape \(3, 4\), one for each 2x2 region"):
        mask_axes(np.zeros((5, 7)), np.zeros((2, 2), dtype=bool))
    with pytest.raises(BadInput, match="image"):
        mask_axes(np.zeros((0, 7)), np.zeros((0, 4), dtype=bool))
    with pytest.raises(BadInput, match="mask"):
        mask_axes(np.zeros((4, 4)), np.zeros((3, 2, 2), dtype=bool))


def heights(axes: Axes) -> np.ndarray:
    """Height [state, bin] of the filled areas in the middle of each bin; each begins where the one below ends."""
    found, below = [], 0.0
    for area in axes.collections:
        corners = area.get_paths()[0].vertices
        edges = np.unique(corners[:, 0])
        low_and_high = []
        for x in (edges[1:] + edges[:-1]) / 2:
            crossing = [a[1] for a, b in pairwise(corners) if min(a[0], b[0]) < x < max(a[0], b[0])]
            low_and_high.append((min(crossing), max(crossing)))
        low, high = np.array(low_and_high).T
        assert low == pytest.approx(below)
        below = high
        found.append(high - low)
    return np.array(found)


def test_array_activity_draws_the_shares() -> None:
    found = pe_utilization(TPU, LAYERS, bins=30)
    axes = axes_of(lambda a: hardware.array_activity(a, found, SUBTITLE))
    seen = [i for i, state in enumerate(STATES) if found.pe_cycles[i].any()]
    assert legend(axes) == [hardware.STATE_STYLES[STATES[i]][0] for i in seen]
    assert heights(axes) == pytest.approx(found.shares[seen])
    assert axes.get_xlim() == (0, found.edges[-1])
    assert axes.get_ylim() == (0, 1)
    (above,) = axes.child_axes
    assert [text.get_text() for text in above.get_xticklabels()] == [name for name, _ in LAYERS]


def test_array_activity_names_only_layers_with_room() -> None:
    many = [(f"layer{i}", LAYERS[i % 2][1]) for i in range(60)]
    axes = axes_of(lambda a: hardware.array_activity(a, pe_utilization(TPU, many), SUBTITLE))
    (above,) = axes.child_axes
    assert len(above.get_xticks()) <= hardware.MAX_NAMES_ABOVE
    inside = pe_utilization(TPU, many, cycles=(100, 300))
    axes = axes_of(lambda a: hardware.array_activity(a, inside, SUBTITLE))
    assert [text.get_text() for text in axes.child_axes[0].get_xticklabels()] == ["layer0"]
    assert axes.get_xlim() == (100, 300)


EVERY = {
    "cycles": lambda a: hardware.stacked_cycles(a, REPORTS, SUBTITLE),
    "energy": lambda a: hardware.stacked_energy(a, small_cost(), SUBTITLE),
    "utilization": lambda a: hardware.utilization(a, REPORTS, SUBTITLE),
    "roofline": lambda a: hardware.roofline(a, TPU, REPORTS, SUBTITLE),
    "regions": lambda a: hardware.region_masks(a, np.eye(4), np.eye(2, dtype=bool), SUBTITLE, (2, 2)),
    "activity": lambda a: hardware.array_activity(a, pe_utilization(TPU, LAYERS), SUBTITLE),
}


@pytest.mark.parametrize("name", EVERY)
def test_the_same_numbers_give_the_same_bytes(name: str, tmp_path) -> None:
    for folder in ("a", "b"):
        with base.style():
            base.save(base.figure(EVERY[name]), tmp_path / folder, name)
    for suffix in ("svg", "png"):
        first = (tmp_path / "a" / f"{name}.{suffix}").read_bytes()
        assert len(first) > 1000
        assert first == (tmp_path / "b" / f"{name}.{suffix}").read_bytes()


@pytest.mark.parametrize("name", EVERY)
def test_title_units_and_a_legend_outside_the_data(name: str) -> None:
    with base.style():
        made: Figure = base.figure(EVERY[name])
        made.draw_without_rendering()
    axes = made.axes[0]
    assert axes.get_title(loc="left") == SUBTITLE
    assert len([text for text in axes.texts if text.get_weight() == "bold"]) == 1
    assert axes.get_xlabel()
    assert axes.get_legend().get_window_extent().x0 >= axes.get_window_extent().x1 - 1
    width = made.get_size_inches()[0] * made.dpi
    assert axes.get_legend().get_window_extent().x1 <= width + 1


@pytest.mark.parametrize("layers", [1, 21, 60])
def test_bars_are_readable_whatever_the_number_of_layers(layers: int) -> None:
    reports = [replace(REPORTS[i % 4], layer=f"layer{i}.0.conv1") for i in range(layers)]
    with base.style():
        made = base.figure(lambda a: hardware.stacked_cycles(a, reports, SUBTITLE), hardware.bar_chart_size(layers))
        made.draw_without_rendering()
    axes = made.axes[0]
    boxes = [text.get_window_extent() for text in axes.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    ticks = [text.get_window_extent() for text in axes.get_xticklabels() if text.get_text()]
    assert not any(a.overlaps(b) for a, b in pairwise(ticks))


def test_empty_input_is_refused() -> None:
    cost = small_cost()
    flat = [report for report in layer_reports(TPU, small_network()) if not report.total_cycles]
    for draw, where in (
        (lambda a: hardware.stacked_cycles(a, [], SUBTITLE), "reports: got no layers that take cycles"),
        (lambda a: hardware.stacked_cycles(a, flat, SUBTITLE), "reports: got no layers that take cycles"),
        (lambda a: hardware.utilization(a, flat, SUBTITLE), "reports: got no layers with multiplications"),
        (lambda a: hardware.roofline(a, TPU, [], SUBTITLE), "reports: got no layers with multiplications"),
        (
            lambda a: hardware.stacked_energy(a, replace(cost, energy_pj=0 * cost.energy_pj), SUBTITLE),
            "cost: got no layers that take energy",
        ),
    ):
        with pytest.raises(BadInput, match=where):
            axes_of(draw)


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_one_file_with_cycles_utilization_and_roofline(suffix: str, tmp_path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        hardware.cycles_figure(TPU, REPORTS, tmp_path / folder / f"all.{suffix}", 1, "tpu_like")
    first = (tmp_path / "a" / f"all.{suffix}").read_bytes()
    assert len(first) > 10_000
    assert first == (tmp_path / "b" / f"all.{suffix}").read_bytes()


def test_the_figure_of_a_narrow_pe_and_of_an_unknown_kind(tmp_path) -> None:
    narrow = build("accelerator", "tpu_like", pe={"name": "fixed", "max_bits": 4})
    product = conv_product(8, 8, 8, 8, SAME)
    reports = layer_reports(narrow, [("conv", replace(product, a_bits=4, w_bits=4))])
    hardware.cycles_figure(narrow, reports, tmp_path / "narrow.svg")
    with pytest.raises(BadInput, match=r"figure: got x\.gif"):
        hardware.cycles_figure(narrow, reports, tmp_path / "x.gif")
    with pytest.raises(BadInput, match=r"panel: got roof; allowed: .*Did you mean 'roofline'"):
        hardware.cycles_figure(narrow, reports, tmp_path / "x.svg", panels=["roof"])


def test_a_single_panel_is_smaller_than_all(tmp_path) -> None:
    def height(panels) -> float:
        hardware.cycles_figure(TPU, REPORTS, tmp_path / "x.svg", panels=panels)
        return float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', (tmp_path / "x.svg").read_text())[1])

    assert height(["cycles"]) + height(["roofline"]) < height(hardware.PANELS)


def blocks(count: int) -> list[tuple[str, Product]]:
    """An embedding, `count` equal blocks of three layers, and a head."""
    shapes = {"qkv": (64, 96, 32), "scores": (64, 64, 16), "mlp": (64, 128, 32)}
    inner = [(f"block{i}.{name}", Product(p, r, f, p * r)) for i in range(count) for name, (p, r, f) in shapes.items()]
    return [("embed", Product(64, 48, 32, 64 * 48)), *inner, ("head", Product(1, 32, 10, 32))]


def test_repeated_blocks_are_folded_without_losing_a_cycle() -> None:
    reports = layer_reports(TPU, blocks(12))
    folded = hardware.fold_repeats(reports)
    assert [report.layer for report in folded] == [
        "embed",
        "block0.qkv (x12)",
        "block0.scores (x12)",
        "block0.mlp (x12)",
        "head",
    ]
    for of in (lambda r: r.total_cycles, lambda r: r.macs, lambda r: r.dram_bytes):
        assert sum(map(of, folded)) == sum(map(of, reports))
    assert total_row(folded)["utilization"] == total_row(reports)["utilization"]


@given(st.lists(st.sampled_from(REPORTS), max_size=30))
def test_folding_keeps_the_sums_of_any_sequence(reports) -> None:
    folded = hardware.fold_repeats(reports)
    assert len(folded) <= len(reports)
    assert sum(report.total_cycles for report in folded) == sum(report.total_cycles for report in reports)
    assert network_utilization(folded) == pytest.approx(network_utilization(reports))


def test_the_subtitle_has_accelerator_dataflow_timing_and_samples() -> None:
    ideal = build("accelerator", "tpu_like_os", timing="scalesim")
    assert hardware.subtitle_of(ideal, 1200) == "32x32 fixed PEs, dataflow os, timing scalesim, 1,200 samples"
    assert SUBTITLE == "tpu_like: 32x32 fixed PEs, dataflow ws, 1 sample"
