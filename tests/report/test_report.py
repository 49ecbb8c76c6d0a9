from __future__ import annotations

import re

import numpy as np
import pytest

from hwsim.errors import HwsimError
from hwsim.report.figures import base
from hwsim.report.figures import study as study_figures
from hwsim.report.pages import study_page
from hwsim.report.text import aligned
from hwsim.study.results.store import write_store
from hwsim.study.search.study import Study
from tests.support.fake_stages import STUDY, result

pytestmark = pytest.mark.usefixtures("fake_choices")


def fill(folder, mapping=STUDY, drop=()):
    study = Study.from_mapping(mapping)
    keys = {point.design.settings_key: point.design.key for point in study.points()}
    with write_store(folder, study.mapping, keys) as store:
        for i, point in enumerate(study.points()):
            if point.design.accelerator.rows == 3:
                row = {"status": "infeasible", "reason": "layer <conv1>: 3 rows & too few"}
            else:
                row = {k: v for k, v in result(point.design).items() if not (i == 0 and k.startswith(drop))}
            if i != 5:
                store.add(point.design.key, point.design.settings, row)
    return folder


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "study")


def test_the_same_study_gives_the_same_bytes(folder, tmp_path):
    study_page.write(folder)
    other = fill(tmp_path / "other")
    study_page.write(other)
    names = [
        "report.html",
        *(f"figures/{n}.{e}" for n in ("pareto", "leakage", "cycles", "energy") for e in ("svg", "png")),
    ]
    for name in names:
        first = (folder / name).read_bytes()
        assert len(first) > 1000
        assert first == (other / name).read_bytes(), name


def test_the_page_loads_nothing(folder):
    page = study_page.write(folder).read_text()
    assert all(
        target.startswith(("#", "data:image/png"))
        for target in re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]*)""", page)
    )
    assert not re.search(r"@import|url\((?!#)|<script|<link|<iframe", page)
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) <= {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }


def test_ids_are_unique_and_every_reference_has_its_target(folder):
    page = study_page.write(folder).read_text()
    ids = re.findall(r'\bid="([^"]+)"', page)
    used = set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page))
    assert len(ids) == len(set(ids))
    assert used
    assert used <= set(ids)


def test_the_page_has_question_counts_provenance_warnings_and_failures(folder):
    page = study_page.write(folder).read_text()
    for text in (
        "Does anything get lost?",
        "5 infeasible, 1 pending",
        "model version",
        "members 450; non-members 449; targets 16",
        "few non-members for TPR at FPR 0.001",
        "layer &lt;conv1&gt;: 3 rows &amp; too few",
        "accuracy (max), energy in pJ (min), fake loss AUC (min)",
    ):
        assert text in page, text


def test_text_from_a_study_is_escaped(tmp_path):
    mapping = STUDY | {"study": {"name": "<b>x</b>", "question": '<script src="http://x">'}}
    page = study_page.write(fill(tmp_path, mapping)).read_text()
    assert "<script" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def draw_pareto(content, leakage, members=None):
    front = content.front if members is None else content.front & (np.cumsum(content.front) <= members)
    names, accelerators = content.names(), [point.design.names["accelerator"] for point in content.points]
    with base.style():
        return base.figure(lambda axes: study_figures.pareto(axes, content.table, front, leakage, names, accelerators))


def test_a_row_without_cost_is_a_horizontal_line(tmp_path):
    content = study_page.read(fill(tmp_path, drop=("energy", "cycles", "latency", "area")))
    assert content.table[0]["energy_pj"] is None
    assert not content.front[0]
    axes = draw_pareto(content, "fake_loss_auc").axes[0]
    assert "full precision" in [text.get_text() for text in axes.texts]
    rings = [dots for dots in axes.collections if str(dots.get_gid()).startswith("front-")]
    assert len(rings) == content.front.sum()
    assert sum(len(dots.get_offsets()) for dots in axes.collections) == 11 + len(rings)


def test_the_legend_names_accelerators_and_the_front(folder):
    content = study_page.read(folder)
    chosen = [name for name, on in zip(content.names(), content.front, strict=True) if on][:7]
    assert [text.get_text() for text in draw_pareto(content, None, members=7).legends[0].texts] == [
        "fake_array",
        "wide_array",
        *(f"{number}  {name}" for number, name in enumerate(chosen, start=1)),
    ]


def test_the_figures_draw_the_numbers_of_the_table(folder):
    content = study_page.read(folder)
    names = content.names()
    done = [row for row in content.table if row["status"] == "done"]
    with base.style():
        shown = [names[i] for i in study_figures.chosen_rows(content.table, content.front)]
        axes = base.figure(lambda axes: study_figures.cycles(axes, done, shown)).axes[0]
        widths = np.array([bar.get_width() for bar in axes.patches]).reshape(5, len(done))
        assert widths.sum(axis=0).tolist() == [row["latency_cycles"] for row in done]
        axes = base.figure(lambda axes: study_figures.energy(axes, done, shown)).axes[0]
        assert axes.patches[0].get_width() == pytest.approx(done[0]["energy_pe_pj"] / 1000)
        networks = content.names(("quantizer",))
        kinds = study_figures.chosen_networks(content.table, networks, content.front)
        axes = base.figure(
            lambda axes: study_figures.leakage(axes, content.table, networks, content.attacks, kinds)
        ).axes[0]
        assert [text.get_text() for text in axes.get_yticklabels()] == [
            "fake_quantizer w8",
            "fake_quantizer w4",
            "other_quantizer",
        ]


def test_a_study_without_finished_points_has_no_report(tmp_path):
    with write_store(tmp_path, STUDY):
        pass
    with pytest.raises(HwsimError, match="no finished point to report"):
        study_page.write(tmp_path)


def test_one_design_without_attacks_has_a_report(tmp_path):
    mapping = {"study": {"name": "one"}, "base": STUDY["base"] | {"attacks": []}}
    study = Study.from_mapping(mapping)
    row = {k: v for k, v in result(study.points()[0].design).items() if not k.startswith("fake_")}
    (point,) = study.points()
    with write_store(tmp_path, study.mapping, {point.design.settings_key: point.design.key}) as store:
        store.add(point.design.key, {}, row)
    assert "the design" in study_page.write(tmp_path).read_text()
    assert not (tmp_path / "figures" / "leakage.svg").exists()


def test_columns_are_aligned_and_numbers_flush_right():
    table = [{"a": "x", "b": 1.5, "c": None}, {"a": "longer", "b": 12345.6, "c": 3}]
    assert aligned(table, ["a", "b", "c"]) == "a            b  c\nx          1.5  -\nlonger  12,346  3"
