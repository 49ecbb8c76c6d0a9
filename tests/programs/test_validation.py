"""The quick comparisons of the page as tests, and whether the committed page says what they say."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.validation import golden, page
from tests.validation.bitfusion import _formula_ms
from tests.validation.rows import NOT_REPRODUCED, TREND, Group, Row, Section
from tests.validation.sections import SECTIONS

QUICK = [section for section in SECTIONS if section.quick]
LADDER = [18.83, 14.82, 14.81, 7.34, 4.28]
"""Chip, 256 PEs, no DRAM stalls, no limits of networks and weight loads, the source's Bit Fusion."""

PAGE = Path(__file__).parents[2] / "docs" / "validation.md"


@cache
def groups_of(section: Section) -> tuple[Group, ...]:
    return section.make()


def group(title: str, what: str) -> Group:
    (section,) = (section for section in SECTIONS if section.title == title)
    (found,) = (one for one in groups_of(section) if one.what == what)
    return found


def test_scalesim_is_exact_in_every_layer_and_access() -> None:
    (section,) = (section for section in SECTIONS if section.title == "SCALE-Sim v3")
    found = groups_of(section)
    assert [one.count for one in found] == [21, 21, 21, 189]
    assert [one.verdict for one in found] == ["exact"] * 4
    totals = [one.rows[-1].nominal for one in found[:3]]
    assert totals == [2_855_031 + 21, 2_133_315 + 21, 3_400_155 + 21]


def test_stonne_is_exact_and_its_convention_is_another_one() -> None:
    found = group("STONNE", "products on 4x4 to 32x32: cycles")
    assert found.verdict == "exact" and found.count == 11
    assert found.rows[-1] == Row("M 5, K 2, N 2 on 4x4", 18, 18)
    other = group("STONNE", "the same in SCALE-Sim's convention")
    assert other.verdict != "exact" and all(abs(row.ratio - 1) < 0.5 for row in other.rows)


def test_eyeriss_finds_the_numbers_of_pes_of_the_chip_and_comes_near_its_latency() -> None:
    busy = group("Eyeriss", "AlexNet, batch 4: PEs at work, buffer twice as large")
    assert [row.nominal for row in busy.rows] == [154, 135, 156, 156, 156] and busy.verdict == "exact"
    for what in ("processing latency, ms", "latency with DRAM, ms", "processing latency, buffer twice as large"):
        assert abs(group("Eyeriss", f"AlexNet, batch 4: {what}").rows[-1].ratio - 1) < 0.12


def test_the_ladder_of_bit_fusion_ends_near_the_printed_speed_up() -> None:
    rungs = group("Bit Fusion", "speed-up over Eyeriss, from hwsim to the source, rung by rung").rows
    assert [round(float(row.nominal), 2) for row in rungs] == LADDER
    assert rungs[-1].ratio < 1.1
    own = group("Bit Fusion", "Bit Fusion on its own assumptions (the last rung), ms per image").rows
    near = {row.what: row.ratio for row in own}
    assert all(0.985 < near[name] < 1.045 for name in near if name not in ("RNN", "AlexNet"))
    assert 0.92 < near["AlexNet"] < near["RNN"] < 1.1


def test_all_layers_that_read_an_image_are_im2col() -> None:
    """VGG-7 has two of them: 0.129 ms by the source's formula, and 0.195 if only the first one is."""
    assert _formula_ms("VGG-7") == pytest.approx(0.129, abs=0.0005)


def test_bit_fusions_pes_cost_about_what_its_synthesis_says() -> None:
    rows = group("Bit Fusion", "PEs: fusible 8-to-2-bit against fixed ones").rows
    assert all(0.9 < row.ratio < 1.7 for row in rows)


def test_masks_that_rows_share_reach_the_bound_and_elastic_rows_equal_the_walk() -> None:
    closed = group("rows of variable speed", "20,000 wavefronts on 16 rows")
    assert all(row.equal for row in closed.rows if "shared" in row.what)
    assert all(abs(row.ratio - 1) < 0.01 for row in closed.rows)
    assert group("rows of variable speed", "400 wavefronts on 16 elastic rows: cycles").verdict == "exact"


@pytest.mark.parametrize("section", QUICK, ids=[section.title for section in QUICK])
def test_what_differs_says_why(section: Section) -> None:
    for one in groups_of(section):
        assert not one.wrong, one.what
        for row in one.rows:
            differs = one.verdict.startswith(NOT_REPRODUCED) or abs(row.ratio - 1) > 0.25
            assert row.reason or not differs or row.what.startswith("**"), f"{one.what}: {row.what}"


@pytest.mark.parametrize("section", QUICK, ids=[section.title for section in QUICK])
def test_the_page_is_that_of_this_version(section: Section) -> None:
    text = PAGE.read_text(encoding="utf-8")
    stale = "docs/validation.md is not that of this version: make validation writes it anew"
    for one in groups_of(section):
        assert page.group_text(one) in text, f"{stale} ({one.what})"


def test_the_page_names_all_sections_and_starts_with_the_summary() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for section in SECTIONS:
        assert f"\n## {section.title}\n" in text
    assert text.index("| held against |") < text.index("\n## ")
    assert "not run" not in text, "the committed page holds the comparison with the circuit"


def test_the_readme_of_the_numbers_names_every_file() -> None:
    text = (golden.FOLDER / "README.md").read_text(encoding="utf-8")
    for file in golden.FOLDER.glob("*.csv"):
        assert f"| {file.name} |" in text


def test_verdicts() -> None:
    same, near, far = Row("a", 3, 3), Row("b", 2.0, 2.2), Row("c", 2.0, (1.0, 8.0, 9.0))
    assert Group("x", "s", (same,)).verdict == "exact"
    assert Group("x", "s", (same, near)).verdict == "within 10 %"
    assert Group("x", "s", (near,), TREND).verdict == "trend"
    assert Group("x", "s", (same,), checked=7, wrong=2).verdict == "2 of 7 differ"
    assert Group("x", "s", (), absent="no compiler").verdict == "not run: no compiler"
    assert [page.difference(row) for row in (same, near, far)] == ["0", "+10.0 %", "x 4"]
    assert not Row("a", 3.0, 3.0).equal, "only integers are exact"
