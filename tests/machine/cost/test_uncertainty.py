"""Energy ranges over calibrations, decided and undecided comparisons, and arrays of equal area."""

from __future__ import annotations

import doctest
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import BadInput, HwsimError, Infeasible
from hwsim.machine import COMPONENTS, Run
from hwsim.machine.cost.area import area_um2
from hwsim.machine.cost.estimate import estimate
from hwsim.machine.cost.iso_area import MAX_SIDE, area_of, size_to_area
from hwsim.machine.cost.uncertainty import EnergyRange, Rank, calibrations, compare, estimate_range, rank
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.run import Precision
from hwsim.registry import build
from tests.support.made_run import made_run

TINY = build("accelerator", "tiny")
PAGE = Path(__file__).parents[3] / "docs" / "energy.md"


def run_of(macs: int = 0, dram_bits: int = 0, ofmap_writes: int = 0) -> Run:
    counts = {"macs_full": macs, "dram_read_bits": dram_bits, "ofmap_write_bits": ofmap_writes}
    return made_run(TINY, [counts], [Precision(8, 8)])


# One 8x8 MAC switches 1.28 pJ by nangate45, 0.19 by bitfusion45, 0.25 by horowitz45; one DRAM bit takes 8 pJ by all.
ARITHMETIC = run_of(macs=10_000)  # 12800 | 1920 | 2485 pJ
TRAFFIC = run_of(dram_bits=500)  # 4000 pJ
BOTH = run_of(macs=10_000, dram_bits=500)


def test_calibrations_span_logic_and_scratchpads() -> None:
    made = calibrations()
    assert [p.label for p in made[:3]] == ["nangate45", "nangate45, sram_write as_read", "nangate45, sram_scale 3.0"]
    assert len(made) == len(set(made)) == 9
    assert {(p.pe_scale, p.voltage_v) for p in made} == {(1.0, 1.1), (0.15, 1.1), (0.29, 0.9)}
    assert {(p.sram_write, p.sram_scale) for p in made} == {("table", 1.0), ("as_read", 1.0), ("table", 3.0)}


def test_calibrations_keep_the_other_fields_of_a_technology() -> None:
    given_one = build("technology", "bitfusion45", sram_cell="hp", clock_tree=1.3)
    made = calibrations(given_one)
    assert made[0] == given_one and len(made) == 9
    assert all((p.sram_cell, p.clock_tree) == ("hp", 1.3) for p in made)
    small = calibrations(build("technology", "scaled32"))
    assert all((p.node_nm, p.voltage_v, p.preset) == (32, 0.97, "scaled32") for p in small) and len(small) == 9
    odd = build("technology", "nangate45", pe_scale=0.5)
    assert calibrations(odd)[0] == odd and len(calibrations(odd)) == 10


def test_an_energy_range_has_the_cost_under_each_calibration() -> None:
    energy = estimate_range(BOTH)
    assert energy.energy_pj.shape == (9, len(COMPONENTS))
    costs = [estimate(BOTH, technology) for technology in calibrations()]
    np.testing.assert_allclose(energy.totals_pj, [cost.total_energy_pj.mean() for cost in costs])
    assert energy.total.nominal == pytest.approx(costs[0].total_energy_pj[0])
    assert (energy.total.low, energy.total.high) == (energy.totals_pj.min(), energy.totals_pj.max())
    pe = energy.component("pe")
    assert pe.low == pytest.approx(0.15 * pe.nominal) and pe.high == pe.nominal
    assert energy.component("dram").low == energy.component("dram").high == 4000


def test_two_designs_whose_order_flips_are_undecided() -> None:
    arithmetic, traffic, both = (estimate_range(run) for run in (ARITHMETIC, TRAFFIC, BOTH))
    assert arithmetic.total.nominal > traffic.total.nominal  # by the nominal preset alone, traffic wins
    assert compare(arithmetic, traffic) == compare(traffic, arithmetic) == "undecided"
    assert (compare(arithmetic, both), compare(both, traffic)) == ("a", "b")


def test_an_order_that_flips_with_the_price_of_writes_is_undecided() -> None:
    # a bit written to the 2 KiB ofmap takes 12.9292 / 256 pJ, or 9.46053 / 256 as a read: 5050 or 3695 pJ against 4000
    writes = estimate_range(run_of(ofmap_writes=100_000))
    assert compare(writes, estimate_range(TRAFFIC)) == "undecided"
    nominal = [technology for technology in calibrations() if technology.sram_write == "table"]
    assert compare(estimate_range(run_of(ofmap_writes=100_000), nominal), estimate_range(TRAFFIC, nominal)) == "b"


def test_equal_designs_are_undecided() -> None:
    assert compare(estimate_range(BOTH), estimate_range(BOTH)) == "undecided"


def test_a_tie_under_some_calibrations_does_not_undecide() -> None:
    made = calibrations()[:2]
    a, b = (EnergyRange(made, np.array([[1.0], [high]])) for high in (2.0, 3.0))
    assert (compare(a, b), compare(b, a)) == ("a", "b")


def test_relative_energy_is_taken_calibration_by_calibration() -> None:
    double, base = estimate_range(run_of(macs=20_000, dram_bits=1000)), estimate_range(BOTH)
    ratio = double.relative_to(base)
    assert ratio.low == ratio.high == pytest.approx(2)  # although each energy range spans a factor of two and more
    spread = estimate_range(ARITHMETIC).relative_to(estimate_range(TRAFFIC))
    assert spread.low < 1 < spread.nominal == spread.high


def test_energy_ranges_of_different_calibrations_are_not_compared() -> None:
    all_calibrations, one = estimate_range(BOTH), estimate_range(BOTH, calibrations()[:1])
    for call in (lambda: compare(all_calibrations, one), lambda: all_calibrations.relative_to(one)):
        with pytest.raises(HwsimError, match=r"energy range: priced by nangate45; .* but the other by nangate45"):
            call()
    with pytest.raises(HwsimError, match="energy range: priced by"):
        rank({"a": all_calibrations, "b": one})
    with pytest.raises(BadInput, match="technologies: got none"):
        estimate_range(BOTH, [])


def test_rank_gives_the_best_and_the_worst_rank() -> None:
    ranks = rank({name: estimate_range(run) for name, run in
                   {"both": BOTH, "arithmetic": ARITHMETIC, "traffic": TRAFFIC}.items()})  # fmt: skip
    assert list(ranks) == ["traffic", "arithmetic", "both"]
    assert ranks == {"traffic": Rank(1, 1, 2), "arithmetic": Rank(2, 1, 2), "both": Rank(3, 3, 3)}
    assert ranks["both"].decided and not ranks["traffic"].decided
    assert rank({}) == {}


@given(st.lists(st.lists(st.integers(1, 5), min_size=3, max_size=3), min_size=2, max_size=5))
def test_rank_agrees_with_compare(totals: list[list[int]]) -> None:
    ranges = {str(i): EnergyRange(calibrations()[:3], np.array(row, float)[:, None]) for i, row in enumerate(totals)}
    ranks = rank(ranges)
    for a, b in pairwise(ranges):
        if compare(ranges[a], ranges[b]) == "a":
            assert ranks[a].best <= ranks[b].best and ranks[a].worst <= ranks[b].worst
    for name, found_rank in ranks.items():
        by_preset = [
            1 + sum(other.totals_pj[i] < ranges[name].totals_pj[i] for other in ranges.values()) for i in range(3)
        ]
        assert (found_rank.nominal, found_rank.best, found_rank.worst) == (by_preset[0], min(by_preset), max(by_preset))


@pytest.mark.parametrize("scope", ["pe", "total"])
@pytest.mark.parametrize("name", ["tiny", "tpu_like", "bitfusion_like"])
def test_the_area_of_an_array_gives_the_same_array(name: str, scope: str) -> None:
    accelerator = build("accelerator", name)
    budget = area_of(accelerator, scope=scope)  # type: ignore[arg-type]
    same = size_to_area(accelerator, budget, scope=scope)  # type: ignore[arg-type]
    assert same == accelerator
    less = size_to_area(accelerator, budget * (1 - 1e-9), scope=scope)  # type: ignore[arg-type]
    assert less.array.rows < accelerator.array.rows or less.array.cols < accelerator.array.cols


LARGE_SCRATCHPADS = {pad: {"kib": 2048, "banks": 2} for pad in ("ifmap", "weight", "ofmap")}


@given(
    st.integers(1, 40), st.integers(1, 40), st.floats(1.0, 2e6), st.sampled_from(["pe", "total"]),
)  # fmt: skip
def test_the_array_is_the_largest_that_fits(rows: int, cols: int, budget: float, scope: str) -> None:
    accelerator = build("accelerator", "tiny", array={"rows": rows, "cols": cols}, scratchpads=LARGE_SCRATCHPADS)

    def area(rows: int, cols: int) -> float:
        made = build("accelerator", "tiny", array={"rows": rows, "cols": cols}, scratchpads=LARGE_SCRATCHPADS)
        areas = area_um2(made)
        return areas["pe"] if scope == "pe" else sum(areas.values())

    if area(1, 1) > budget:
        with pytest.raises(Infeasible, match=f"one PE needs {area(1, 1):.0f} um2"):
            size_to_area(accelerator, budget, scope=scope)  # type: ignore[arg-type]
        return
    found = size_to_area(accelerator, budget, scope=scope)  # type: ignore[arg-type]
    long, short = max(rows, cols), min(rows, cols)
    sides = (found.array.rows, found.array.cols) if rows >= cols else (found.array.cols, found.array.rows)
    assert area(found.array.rows, found.array.cols) <= budget
    assert sides[1] == max(1, int(short * sides[0] / long + 0.5))  # the shape, to the nearest
    one_more = (sides[0] + 1, max(1, int(short * (sides[0] + 1) / long + 0.5)))
    assert area(*(one_more if rows >= cols else one_more[::-1])) > budget
    assert found.scratchpads == accelerator.scratchpads and found.dram == accelerator.dram


def test_smaller_pes_give_a_larger_array() -> None:
    budget = area_of(build("accelerator", "tpu_like"))
    narrow = size_to_area(build("accelerator", "tpu_like", pe={"name": "fixed", "max_bits": 4}), budget)
    wide = size_to_area(build("accelerator", "tpu_like", pe={"name": "fused"}), budget)
    assert (narrow.array.rows, narrow.array.cols) == (50, 50)  # 32 sqrt(737.88 / 296.32) = 50.5
    assert (wide.array.rows, wide.array.cols) == (15, 15)  # 32 sqrt(737.88 / 3012.98) = 15.8


def test_a_smaller_node_gives_a_larger_array() -> None:
    budget = area_of(TINY)
    assert size_to_area(TINY, budget, build("technology", "scaled32")).array.rows == 5  # 4 / sqrt(0.46) = 5.9


def test_memories_in_pes_count_as_area_of_the_array() -> None:
    words = {"ifmap_words": 12, "weight_words": 224, "psum_words": 24}
    speed = {"ifmap_words_per_cycle": 4, "weight_words_per_cycle": 4, "psum_words_per_cycle": 4}
    eyeriss: Accelerator = build("accelerator", "tiny", dataflow="rs", register_file=words | speed)
    assert area_of(eyeriss) == pytest.approx(16 * (737.88 + 260 * 16 * 0.0035993e6 / 8192))
    assert size_to_area(eyeriss, area_of(eyeriss)) == eyeriss


def test_a_budget_below_one_pe_is_infeasible() -> None:
    with pytest.raises(Infeasible, match=r"no array within 700 um2: one PE needs 738 um2$"):
        size_to_area(TINY, 700)
    with pytest.raises(Infeasible, match=r"one PE needs \d+ um2, with scratchpads and vector unit"):
        size_to_area(TINY, 30_000, scope="total")


def test_an_array_that_outgrows_its_scratchpads_is_infeasible() -> None:
    with pytest.raises(Infeasible, match=r"of 64x64 has the area, but accelerator\.scratchpads\.weight\.kib: got 2"):
        size_to_area(TINY, 64 * 64 * 737.88 + 1)


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan"), float("inf"), 1e12])
def test_a_bad_budget_is_refused(budget: float) -> None:
    with pytest.raises(BadInput, match=r"^area: got .* um2; allowed: "):
        size_to_area(TINY, budget)


def test_the_largest_array_is_reached() -> None:
    largest = build("accelerator", "tiny", array={"rows": 1, "cols": MAX_SIDE}, scratchpads=LARGE_SCRATCHPADS)
    assert size_to_area(largest, area_of(largest)).array.cols == MAX_SIDE


def test_worked_example() -> None:
    failures, examples = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert (failures, examples > 5) == (0, True)
