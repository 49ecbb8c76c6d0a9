"""Figures of many points, many attacks and odd names: nothing overlaps, nothing is cut off, no text is a formula."""

from __future__ import annotations

import warnings
from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from hwsim.privacy.statistics.roc import roc
from hwsim.report.figures import base, hardware, privacy, study
from hwsim.study.results.columns import CYCLES, ENERGY

ODD_NAMES = (
    "$\\frac{$",
    "$\\frac{",
    "a_{b}^$x$",
    "_hidden",
    "tab\there",
    "new\nline",
    "x" * 300,
    "\x01",
    "$",
    "<b>&amp;",
)


def rows(count: int, attacks: int = 1) -> list[dict]:
    """Rows of a made-up study, energies over three decades."""
    rng = np.random.default_rng(0)
    table = []
    for i in range(count):
        row = {"status": "done", "accuracy": 0.5 + 0.4 * i / count, "energy_pj": 10.0 ** (3 + 3 * i / count)}
        row |= {column.name: float(rng.integers(1, 10**6)) for column in CYCLES}
        row |= {column.name: float(rng.integers(1, 10**6)) for column in ENERGY}
        row["latency_cycles"] = sum(row[column.name] for column in CYCLES)
        for attack in range(attacks):
            auc = 0.5 + 0.4 * rng.random()
            row |= {f"attack_{attack}_auc": auc}
            row |= {f"attack_{attack}_auc_ci_low": auc - 0.01, f"attack_{attack}_auc_ci_high": auc + 0.01}
        table.append(row)
    return table


def assert_clean(made: Figure) -> None:
    """Every text lies on the page; labels of one axis and entries of one legend do not overlap."""
    made.draw_without_rendering()
    page = made.bbox
    texts = [
        t for t in made.findobj(Text) if t.get_visible() and t.get_text().strip() and t.get_window_extent().size.all()
    ]
    for text in texts:
        box = text.get_window_extent()
        inside = page.x0 - 2 <= box.x0 and box.x1 <= page.x1 + 2 and page.y0 - 2 <= box.y0 and box.y1 <= page.y1 + 2
        ticks = [t for axes in made.axes for axis in (axes.xaxis, axes.yaxis) for t in axis.get_ticklabels()]
        assert inside or text in ticks, text.get_text()  # matplotlib keeps ticks outside the limits, undrawn
    for axes in made.axes:
        labels = [label.get_window_extent() for label in axes.get_yticklabels() if label.get_text()]
        assert not any(a.overlaps(b) for a, b in pairwise(labels)), "labels of the vertical axis"
        ticks = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
        assert not any(a.overlaps(b) for a, b in pairwise(ticks)), "labels of the horizontal axis"
        legend = axes.get_legend()
        assert legend is None or legend.get_window_extent().x0 >= axes.get_window_extent().x1 - 1
    for legend in [*made.legends, *(axes.get_legend() for axes in made.axes if axes.get_legend())]:
        entries = [text.get_window_extent() for text in legend.get_texts()]
        assert not any(a.overlaps(b) for a, b in combinations(entries, 2)), "entries of a legend"
        box = legend.get_window_extent()
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1
    assert all(axes.get_window_extent().height > 60 for axes in made.axes if axes.get_label() != "<colorbar>")


@pytest.mark.parametrize(("count", "attacks"), [(1, 1), (12, 3), (400, 40)])
def test_figures_of_a_study_of_any_size_are_clean(count: int, attacks: int) -> None:
    table, names = rows(count, attacks), [f"minmax w{i}, first_last_bits 8, model {i}" for i in range(count)]
    front = np.arange(count) % 2 == 0
    labels = [f"attack_{i}" for i in range(attacks)]
    accelerators = [f"accelerator_{i % 18}" for i in range(count)]
    shown = study.chosen_rows(table, front)
    bars, bar_names = [table[i] for i in shown], [names[i] for i in shown]
    networks = study.chosen_networks(table, names, front)
    chosen = study.chosen_attacks(table, labels, ["attack_0_auc"])
    assert (len(bars), len(networks)) <= (study.MAX_BARS, study.MAX_BARS)
    assert len(chosen) == min(attacks, study.MAX_ATTACKS)
    assert "attack_0" in chosen
    height = 1.3 + 0.22 * len(bars)
    with base.style():
        for draw, size in (
            (lambda axes: study.pareto(axes, table, front, "attack_0_auc", names, accelerators), (7.2, 4.6)),
            (lambda axes: study.cycles(axes, bars, bar_names), (7.2, height)),
            (lambda axes: study.energy(axes, bars, bar_names), (7.2, height)),
            (lambda axes: study.leakage(axes, table, names, chosen, networks), (7.2, height)),
        ):
            assert_clean(base.figure(draw, size))


def test_bars_of_a_large_study_are_those_of_the_front() -> None:
    table, front = rows(100), np.arange(100) >= 90
    assert study.chosen_rows(table, front) == list(range(90, 100))
    assert study.chosen_rows(table[:40], front[:40]) == list(range(40))
    everyone = study.chosen_rows(table, np.ones(100, dtype=bool))
    latency = sorted(row["latency_cycles"] for row in table)
    assert len(everyone) == study.MAX_BARS
    assert {latency[0], latency[-1]} <= {table[i]["latency_cycles"] for i in everyone}


def test_a_large_front_has_rings_to_point_at_and_no_numbers() -> None:
    table, front = rows(30), np.arange(30) % 2 == 0
    with base.style():
        made = base.figure(
            lambda axes: study.pareto(axes, table, front, None, [f"<n{i}>" for i in range(30)], ["a"] * 30)
        )
        svg = base.to_svg(made)
    assert [text.get_text() for text in made.legends[0].texts] == ["a", "Pareto front, 15 designs: see the table"]
    assert not made.axes[0].texts
    assert '<g id="front-2"><title>2  &lt;n2&gt;</title>' in svg


def test_odd_names_are_drawn_as_they_are() -> None:
    names = list(ODD_NAMES)
    table, front = rows(len(names)), np.ones(len(names), dtype=bool)
    curve = roc(np.arange(20.0), np.arange(20) % 2 == 0)
    with base.style(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw in (
            lambda axes: study.pareto(axes, table, front, None, names, names),
            lambda axes: study.cycles(axes, table, names),
            lambda axes: study.leakage(axes, table, names, ["attack_0"], names),
            lambda axes: privacy.loglog_roc({name: [curve] for name in names}, axes),
        ):
            made = base.figure(draw)
            assert_clean(made)
            assert all(character.isprintable() or character in "\n\t" for character in base.to_svg(made))
            assert base.to_bytes(made, ".png")[:4] == b"\x89PNG"


def test_powers_of_ten_need_no_mathtext() -> None:
    curve = roc(np.arange(2000.0), np.arange(2000) % 2 == 0)
    with base.style():
        made = base.figure(lambda axes: privacy.loglog_roc({"a": [curve]}, axes))
        made.draw_without_rendering()
    texts = [text.get_text() for text in made.axes[0].get_xticklabels()]
    assert "10⁻³" in texts
    assert not any("$" in text for text in texts)


def test_a_long_network_of_odd_names_is_clean() -> None:
    from hwsim.machine.layer_report import layer_reports
    from hwsim.network.product import Product
    from hwsim.registry import build

    tpu = build("accelerator", "tpu_like")
    layers = [(f"{ODD_NAMES[i % len(ODD_NAMES)]}{i}", Product(16 + i, 32, 16, 32 * (16 + i))) for i in range(60)]
    reports = layer_reports(tpu, layers)
    with base.style():
        for draw in (hardware.stacked_cycles, hardware.utilization):
            assert_clean(
                base.figure(lambda axes, draw=draw: draw(axes, reports, "$\\frac{"), hardware.bar_chart_size(60))
            )
