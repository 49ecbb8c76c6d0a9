"""Energy, latency, area and leakage: by hand, additive, linear in counts and prices, static and by toggles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import BadInput, HwsimError
from hwsim.machine import COMPONENTS, Run, simulate
from hwsim.machine.activity.toggles import coefficients
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.cost.area import area_um2
from hwsim.machine.cost.estimate import DETAILS, estimate
from hwsim.machine.cost.pe_energy import uniform_switching_fj
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import EVENTS
from hwsim.machine.pe.fixed import Fixed
from hwsim.machine.run import Activity, Precision
from hwsim.machine.technology.tables import fitted_pe, plain_pe
from hwsim.registry import build
from tests.support.made_run import made_run
from tests.support.small_network import small_network

COOLED = 2 ** (-(350 - 273.15 - 25) / 12.5)
"""Leakage of memories at 25 C over the leakage at 350 K of the table; it doubles every 12.5 K (assumed)."""

NANGATE = build("technology", "nangate45")
TINY = build("accelerator", "tiny")
EIGHT = Precision(8, 8)

COUNTS = {event: 1000 + 7 * i for i, event in enumerate(EVENTS)} | {"macs_low": 0}
FREE = {"pe_busy_cycles", "macs_low", "decodes"}
"""Events without a price, and events that no layer here has."""


def technology(**changes: Any) -> Any:
    return build("technology", "nangate45", **changes)


def row_stationary() -> Accelerator:
    words = {"ifmap_words": 12, "weight_words": 224, "psum_words": 24}
    speed = {"ifmap_words_per_cycle": 4, "weight_words_per_cycle": 4, "psum_words_per_cycle": 4}
    return build("accelerator", "tiny", dataflow="rs", register_file=words | speed)


@pytest.fixture(scope="module")
def run() -> Run:
    """Three layers: products, a pool, products; on `tiny`, 100 MHz."""
    return made_run(TINY, [COUNTS, {"vector_ops": 64}, COUNTS], [EIGHT, None, EIGHT], cycles=[450, 20, 30], samples=3)


def test_shapes_and_latency(run: Run) -> None:
    cost = estimate(run, NANGATE)
    assert cost.energy_pj.shape == (1, 3, len(COMPONENTS)) and cost.energy_pj.dtype == np.float64
    assert cost.total_energy_pj.shape == (3,) and cost.sampling_error_pj.shape == (3,)
    assert cost.latency_s.tolist() == [5e-6]
    assert (cost.technology, cost.mode, cost.notes) == (NANGATE, "static", ())


def test_one_layer_by_hand() -> None:
    counts = {
        "macs_full": 4608, "pe_cycles": 7200, "dram_read_bits": 1088, "dram_write_bits": 4096,
        "requantizations": 512, "vector_ops": 10, "predictor_adds": 5, "rf_accesses": 3,
        "ifmap_read_bits": 100, "ifmap_write_bits": 200, "weight_read_bits": 300, "weight_write_bits": 400,
        "ofmap_read_bits": 500, "ofmap_write_bits": 600,
    }  # fmt: skip
    cost = estimate(made_run(TINY, [counts], [EIGHT], cycles=[455]), NANGATE)
    # Nangate45, mean of both digits layers: 1626.735 fJ per MAC, of which 346.75 are the clock
    assert cost.component_pj("pe")[0, 0] == pytest.approx((7200 * 346.75 + 4608 * (1626.735 - 346.75)) / 1000)
    assert cost.component_pj("dram")[0, 0] == pytest.approx((1088 + 4096) * 8)
    assert cost.component_pj("vector")[0, 0] == pytest.approx((512 * 23535.3 + 527 * 416.4) / 1000)
    # CACTI, 45 nm LSTP, 2 KiB: words of 8 bytes for ifmap and weights, of 32 bytes for the ofmap
    narrow, wide = (100 + 300) * 1.97448 + (200 + 400) * 5.70601, 500 * 9.46053 + 600 * 12.9292
    assert cost.component_pj("scratchpad")[0, 0] == pytest.approx(narrow / 64 + wide / 256)
    assert cost.component_pj("register_file")[0, 0] == pytest.approx(3 * 16 * 1.66966 / 64)  # 1 KiB
    leakage_uw = 16 * 15.704 + (4 * (6807.2 + 182.7) + 4 * 182.7) * 0.021  # at 25 C
    leakage_uw += (2 * 0.366036 + 0.408939) * COOLED
    assert cost.component_pj("leakage")[0, 0] == pytest.approx(leakage_uw * 455 * 0.01)


def test_an_idle_pe_costs_its_clock() -> None:
    cost = estimate(made_run(TINY, [{"pe_cycles": 1}], [EIGHT]), NANGATE)
    assert cost.total_energy_pj[0] == pytest.approx(0.34675)  # 40 flip-flops of 8.66875 fJ
    doubled = estimate(made_run(TINY, [{"pe_cycles": 1}], [EIGHT]), technology(clock_tree=2.0))
    assert doubled.total_energy_pj[0] == pytest.approx(2 * 0.34675)


def test_clock_tree_does_not_change_switching(run: Run) -> None:
    base, tree = estimate(run, NANGATE), estimate(run, technology(clock_tree=1.5))
    np.testing.assert_allclose(tree.detail_pj["pe_clock"], 1.5 * base.detail_pj["pe_clock"])
    np.testing.assert_array_equal(tree.detail_pj["pe_switching"], base.detail_pj["pe_switching"])


def test_energy_is_additive_over_layers_components_and_samples(run: Run) -> None:
    cost = estimate(run, NANGATE)
    assert cost.total_energy_pj.sum() == pytest.approx(3 * cost.energy_pj.sum())
    for i, precision in enumerate(run.precisions):
        counts, cycles = run.counts[:, [i]], run.cycles[:, [i]]
        alone = estimate(replace(run, cycles=cycles, counts=counts, layers=("a",), precisions=(precision,)), NANGATE)
        np.testing.assert_array_equal(alone.energy_pj[:, 0], cost.energy_pj[:, i])
    for component in COMPONENTS:
        parts = [cost.detail_pj[name] for name in DETAILS.get(component, (component,))]
        np.testing.assert_allclose(sum(parts), cost.component_pj(component), rtol=1e-12)
    assert {name for c in COMPONENTS for name in DETAILS.get(c, (c,))} == set(cost.detail_pj)


def test_doubling_every_count_doubles_the_dynamic_part(run: Run) -> None:
    cost, double = estimate(run, NANGATE), estimate(replace(run, counts=2 * run.counts), NANGATE)
    for component in COMPONENTS[:-1]:
        np.testing.assert_array_equal(double.component_pj(component), 2 * cost.component_pj(component))
    np.testing.assert_array_equal(double.component_pj("leakage"), cost.component_pj("leakage"))
    longer = estimate(replace(run, cycles=2 * run.cycles), NANGATE)
    np.testing.assert_array_equal(longer.component_pj("leakage"), 2 * cost.component_pj("leakage"))


def test_codebook_decoding_is_priced_where_the_pe_has_a_table() -> None:
    lookup = build("accelerator", "tiny", pe="lookup")
    cost = estimate(made_run(lookup, [{"decodes": 1000}], [Precision(8, 4)], [10]), NANGATE)
    assert cost.component_pj("pe")[0, 0] == pytest.approx(1000 * lookup.pe.decode_fj(4) / 1000)
    assert cost.component_pj("pe")[0, 0] > 0


@pytest.mark.parametrize("event", EVENTS)
def test_every_priced_event_raises_energy(run: Run, event: str) -> None:
    more = run.counts.copy()
    more[:, 0, EVENTS.index(event)] += 1000
    raised = estimate(replace(run, counts=more), NANGATE).energy_pj - estimate(run, NANGATE).energy_pj
    assert (raised.sum() > 0) == (event not in FREE) and raised.min() >= 0


@given(st.lists(st.integers(0, 10**9), min_size=len(EVENTS), max_size=len(EVENTS)), st.integers(0, 10**9))
def test_energy_is_linear_in_counts(counts: list[int], cycles: int) -> None:
    def energy(share: int) -> float:
        made = made_run(TINY, [{e: share * n for e, n in zip(EVENTS, counts, strict=True)}], [EIGHT], [share * cycles])
        return float(estimate(made, NANGATE).total_energy_pj[0])

    assert energy(3) == pytest.approx(3 * energy(1), rel=1e-12)


@pytest.mark.parametrize(("preset", "factor"), [("nangate45", 1), ("bitfusion45", 0.15), ("horowitz45", 0.194132)])
def test_presets_scale_the_logic_only(run: Run, preset: str, factor: float) -> None:
    cost, base = estimate(run, build("technology", preset)), estimate(run, NANGATE)
    for component in COMPONENTS:
        scaled = factor if component in ("pe", "vector") else 1
        np.testing.assert_allclose(cost.component_pj(component), scaled * base.component_pj(component), rtol=1e-5)
    assert cost.area_um2 == base.area_um2


def test_scratchpad_presets(run: Run) -> None:
    base = estimate(run, NANGATE).detail_pj
    reads, large = (estimate(run, technology(**c)).detail_pj for c in ({"sram_write": "as_read"}, {"sram_scale": 3}))
    for name in SCRATCHPADS:
        per_bit = base[f"{name}_read"][0, 0] / run.event(f"{name}_read_bits")[0, 0]
        np.testing.assert_allclose(reads[f"{name}_write"], run.event(f"{name}_write_bits") * per_bit)
        np.testing.assert_array_equal(reads[f"{name}_read"], base[f"{name}_read"])
        for port in ("read", "write"):
            np.testing.assert_allclose(large[f"{name}_{port}"], 3 * base[f"{name}_{port}"])
    np.testing.assert_allclose(large["register_file"], 3 * base["register_file"])
    np.testing.assert_array_equal(large["scratchpad_leakage"], base["scratchpad_leakage"])


def test_banks_are_separate_memories() -> None:
    sizes = {"ifmap": {"kib": 16, "banks": 8}, "weight": {"kib": 2}, "ofmap": {"kib": 2}}
    split = build("accelerator", "tiny", scratchpads=sizes)
    counts = [{"ifmap_read_bits": 640}]
    cost, base = (estimate(made_run(a, counts, [EIGHT], [100]), NANGATE) for a in (split, TINY))
    np.testing.assert_array_equal(cost.detail_pj["ifmap_read"], base.detail_pj["ifmap_read"])  # 2 KiB each
    assert cost.area_um2["scratchpad"] == pytest.approx(base.area_um2["scratchpad"] + 7 * 0.00673568e6)
    more_nw = cost.detail_pj["scratchpad_leakage"] - base.detail_pj["scratchpad_leakage"]
    assert more_nw[0, 0] == pytest.approx(7 * 0.366036 * COOLED * 100 * 0.01)


def test_other_cells_and_nodes_use_their_own_table() -> None:
    counts = [{"ifmap_read_bits": 64}]
    # CACTI, 2 KiB, 8-byte words
    for changes, expected in ({"sram_cell": "hp"}, 1.44317), ({"node_nm": 32}, 1.08239), ({"node_nm": 22}, 0.48125):
        cost = estimate(made_run(TINY, counts, [EIGHT]), technology(**changes))
        assert cost.total_energy_pj[0] == pytest.approx(expected, rel=1e-5)


def test_other_nodes_scale_with_a_note(run: Run) -> None:
    base, small = estimate(run, technology(voltage_v=0.9)), estimate(run, technology(voltage_v=0.9, node_nm=7))
    np.testing.assert_allclose(small.component_pj("pe"), 0.1024 * base.component_pj("pe"), rtol=1e-3)
    np.testing.assert_array_equal(small.component_pj("dram"), base.component_pj("dram"))
    assert small.area_um2["pe"] == pytest.approx(0.059 * base.area_um2["pe"])
    assert [note.split(":")[0] for note in small.notes] == ["extrapolated"] * 2 and not base.notes
    assert estimate(run, technology(node_nm=32)).notes == (
        "extrapolated: logic from 45 to 32 nm; its leakage is that of 45 nm",
    )
    old, now = estimate(run, technology(voltage_v=0.9, node_nm=65)), base
    np.testing.assert_allclose(old.component_pj("scratchpad"), 1.2535 * now.component_pj("scratchpad"), rtol=1e-4)
    assert old.area_um2["scratchpad"] == pytest.approx(1.5 * now.area_um2["scratchpad"])


def test_own_prices_replace_the_tables(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(
        "item,pJ_per_bit,source\ndram,5,our board\nifmap_read,0.25,our macro\nregister_file,0.5,our macro\n"
    )
    cost, base = estimate(run, technology(prices=str(file), sram_scale=3)), estimate(run, technology(sram_scale=3))
    bits = run.event("dram_read_bits") + run.event("dram_write_bits")
    np.testing.assert_allclose(cost.component_pj("dram"), 5 * bits)
    np.testing.assert_allclose(cost.detail_pj["ifmap_read"], 0.25 * run.event("ifmap_read_bits"))
    np.testing.assert_allclose(cost.component_pj("register_file"), 0.5 * 16 * run.event("rf_accesses"))
    np.testing.assert_array_equal(cost.detail_pj["ifmap_write"], base.detail_pj["ifmap_write"])
    assert "dram: own price, our board" in cost.notes


def test_area_by_hand() -> None:
    area = area_um2(TINY)
    assert area["pe"] == pytest.approx(16 * 737.88)
    assert area["scratchpad"] == pytest.approx((2 * 0.00673568 + 0.0134821) * 1e6)
    assert area["vector"] == pytest.approx(4 * (6807.2 + 182.7) + 4 * 182.7)
    assert area["register_file"] == 0
    bits = 16 * 16 * (12 + 224 + 24)
    inside = area_um2(row_stationary())["register_file"]
    assert inside == pytest.approx(bits * 0.0035993e6 / 8192)  # as in 1 KiB
    cost = estimate(made_run(row_stationary(), [{}], [EIGHT], [100]), NANGATE)
    assert cost.total_area_um2 == pytest.approx(sum(area.values()) + inside)
    assert cost.detail_pj["register_file_leakage"][0, 0] == pytest.approx(bits * 0.186597 * COOLED / 8192 * 100 * 0.01)
    note = "assumed: a bit of a memory inside a PE costs as much as a bit of the smallest memory in the table"
    assert cost.notes == (note,)


def test_dram_energy_depends_on_its_kind() -> None:
    stacked = build("accelerator", "tiny", dram={"kind": "hbm2"})
    cost = estimate(made_run(stacked, [{"dram_read_bits": 10}], [EIGHT]), NANGATE)
    assert cost.total_energy_pj[0] == pytest.approx(39)


def test_assumed_dram_is_named() -> None:
    guess = build("accelerator", "tiny", dram={"kind": "ddr4"})
    assert estimate(made_run(guess, [{}], [EIGHT]), NANGATE).notes == ("assumed: no figure was found: ddr4",)


def test_a_scratchpad_outside_the_table_is_refused_without_extrapolate() -> None:
    huge = build("accelerator", "tiny", scratchpads={"weight": {"kib": 4096}})
    run = made_run(huge, [{"weight_read_bits": 64}], [EIGHT])
    with pytest.raises(BadInput, match=r"^accelerator\.scratchpads\.weight: each of 1 banks: got 4096 KiB; all"):
        estimate(run, NANGATE)
    cost = estimate(run, technology(extrapolate=True))
    assert cost.total_energy_pj[0] > 111.8 and len(cost.notes) == 1  # the table's read energy at 2 MiB
    assert cost.notes[0].startswith("extrapolated: weight scratchpad")
    banks = build("accelerator", "tiny", scratchpads={"weight": {"kib": 4096, "banks": 2}})
    assert estimate(made_run(banks, [{}], [EIGHT]), NANGATE).notes == ()


# Mean energy per MAC with uniform operands, fJ, clock included: gate level, rows w, columns a
UNIFORM = {
    2: {2: 337, 3: 478, 4: 537, 8: 756, 16: 1268},
    3: {2: 475, 3: 530, 4: 673, 8: 1069, 16: 1700},
    4: {2: 518, 3: 663, 4: 797, 8: 1203, 16: 2078},
    8: {2: 798, 3: 988, 4: 1170, 8: 1971, 16: 3441},
    16: {2: 1234, 3: 1624, 4: 2018, 8: 3421, 16: 6381},
}


def test_uniform_fit_is_within_its_stated_maximum() -> None:
    off = [
        abs((uniform_switching_fj(w, a) + fitted_pe(w, a).physical.clock_fj) / fj - 1)
        for w, row in UNIFORM.items()
        for a, fj in row.items()
    ]
    assert max(off) <= 0.155 and np.mean(off) == pytest.approx(0.036, abs=5e-4)


@pytest.mark.parametrize("pe", ["fixed", "fused", "bit_serial"])
def test_uniform_operands_cost_the_factor_of_a_plain_pe(pe: str) -> None:
    accelerator = build("accelerator", "tiny", pe={"name": pe})
    counts = [{"macs_full": 1000, "pe_cycles": 1000}]
    cost, base = (
        estimate(made_run(accelerator, counts, [EIGHT]), t) for t in (technology(operands="uniform"), NANGATE)
    )
    factor = uniform_switching_fj(8, 8) / plain_pe(8, 8).switching_fj
    np.testing.assert_allclose(cost.detail_pj["pe_switching"], factor * base.detail_pj["pe_switching"])
    np.testing.assert_array_equal(cost.detail_pj["pe_clock"], base.detail_pj["pe_clock"])
    if pe == "fixed":
        assert cost.component_pj("pe")[0, 0] == pytest.approx(1971, rel=0.15)


TOGGLES = Activity(
    operand=np.array([[500, -1], [900, -1]]), psum=np.array([[4000, -1], [6000, -1]]), psum_error=np.array([0.02, 0.0])
)


def with_toggles(pe: Mapping[str, Any], counts: Mapping[str, int], precision: Precision = EIGHT) -> Run:
    accelerator = build("accelerator", "tiny", pe=pe)
    return made_run(accelerator, [counts, counts], [precision, precision], samples=2, activity=TOGGLES)


def test_toggles_price_a_plain_pe_by_the_activity_model() -> None:
    run = with_toggles({"name": "fixed"}, {"macs_full": 100, "pe_cycles": 250})
    cost, static = estimate(run, NANGATE), estimate(replace(run, activity=None), NANGATE)
    # 8x8x24: 38.917 fJ per changed input bit and weight bit, 43.326 fJ per bit of a partial sum
    by_hand = [
        (250 * 346.75 + 500 * 38.917 + 4000 * 43.326) / 1000,
        (250 * 346.75 + 900 * 38.917 + 6000 * 43.326) / 1000,
    ]
    np.testing.assert_allclose(cost.component_pj("pe")[:, 0], by_hand)
    assert cost.mode == "activity" and cost.energy_pj.shape == (2, 2, len(COMPONENTS))
    np.testing.assert_allclose(cost.sampling_error_pj, [5000 * 43.326 * 0.02 / 1000, 0])
    np.testing.assert_array_equal(cost.component_pj("pe")[:, 1], np.repeat(static.component_pj("pe")[:, 1], 2))
    assert cost.notes == ("static: toggles were not counted in layer1",)
    assert (static.mode, static.energy_pj.shape[0], static.sampling_error_pj.max()) == ("static", 1, 0)
    assert cost.total_energy_pj.shape == (2,) and cost.total_energy_pj[0] < cost.total_energy_pj[1]


def test_toggles_of_a_wide_pe_use_its_own_widths() -> None:
    run = with_toggles({"name": "fixed"}, {"macs_full": 100}, Precision(4, 4))
    assert estimate(run, NANGATE).component_pj("pe")[0, 0] == pytest.approx((500 * 38.917 + 4000 * 43.326) / 1000)


def test_toggles_scale_the_static_energy_of_other_pes() -> None:
    counts = {"macs_full": 100, "pe_cycles": 250}
    run = with_toggles({"name": "fused"}, counts, Precision(4, 4))
    cost, static = estimate(run, NANGATE), estimate(replace(run, activity=None), NANGATE)
    model = coefficients(4, 4, 16)
    plain = (model.k_pp_fj * 500 + model.k_ps_fj * 4000) / (100 * plain_pe(4, 4).switching_fj)
    expected = static.detail_pj["pe_switching"][0, 0] * plain
    assert cost.detail_pj["pe_switching"][0, 0] == pytest.approx(expected)
    np.testing.assert_array_equal(cost.detail_pj["pe_clock"], static.detail_pj["pe_clock"])
    assert cost.notes[0] == "assumed: data change the energy of PE fused by the factor of a plain PE, in layer0"


def test_toggles_of_a_pe_that_was_not_measured_are_named() -> None:
    cost = estimate(with_toggles({"name": "fixed", "max_bits": 6}, {"macs_full": 100}, Precision(6, 6)), NANGATE)
    assert cost.notes[0] == "assumed: energy per toggle of the nearest measured PE, in layer0"


def test_toggles_with_region_precision_scale_both_widths() -> None:
    run = with_toggles({"name": "drq"}, {"macs_full": 60, "macs_low": 40}, Precision(8, 8, 4))
    cost, static = estimate(run, NANGATE), estimate(replace(run, activity=None), NANGATE)
    wide, narrow = coefficients(8, 8, 24), coefficients(4, 4, 16)
    toggles = 500 * (0.6 * wide.k_pp_fj + 0.4 * narrow.k_pp_fj) + 4000 * (0.6 * wide.k_ps_fj + 0.4 * narrow.k_ps_fj)
    plain = 60 * plain_pe(8, 8).switching_fj + 40 * plain_pe(4, 4).switching_fj
    assert cost.component_pj("pe")[0, 0] == pytest.approx(toggles / plain * static.component_pj("pe")[0, 0])


def test_products_of_both_widths_cost_the_energy_of_the_pe() -> None:
    run = replace(with_toggles({"name": "drq"}, {"macs_full": 60, "macs_low": 40}, Precision(8, 8, 4)), activity=None)
    pe = build("pe", "drq")
    by_hand = (60 * pe.mac_energy_fj(8, 8) + 40 * pe.mac_energy_fj(4, 4)) / 1000
    assert estimate(run, NANGATE).component_pj("pe")[0] == pytest.approx(by_hand)


class HalfEnergy(Fixed):
    """A plain PE with half the static energy."""

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        return super().mac_energy_fj(a_bits, w_bits) / 2


def test_static_energy_does_not_change_a_plain_pe_with_counted_toggles() -> None:
    run = with_toggles({"name": "fixed"}, {"macs_full": 100})
    half_energy = replace(run, accelerator=run.accelerator.model_copy(update={"pe": HalfEnergy()}))
    cost, base = estimate(half_energy, NANGATE), estimate(run, NANGATE)
    np.testing.assert_array_equal(cost.energy_pj[:, 0], base.energy_pj[:, 0])
    np.testing.assert_allclose(cost.component_pj("pe")[:, 1], base.component_pj("pe")[:, 1] / 2)


@pytest.mark.parametrize("unknown", ["operand", "psum"])
def test_a_layer_with_one_kind_of_toggles_is_static(unknown: str) -> None:
    run = with_toggles({"name": "fixed"}, {"macs_full": 100})
    half = replace(TOGGLES, **{unknown: np.full((2, 2), -1)})
    cost = estimate(replace(run, activity=half), NANGATE)
    assert np.array_equal(cost.energy_pj, estimate(replace(run, activity=None), NANGATE).energy_pj)


def test_uniform_operands_of_both_widths() -> None:
    run = with_toggles({"name": "drq"}, {"macs_low": 40}, Precision(8, 8, 4))
    run = replace(run, activity=None)
    factor = uniform_switching_fj(4, 4) / plain_pe(4, 4).switching_fj
    cost, base = estimate(run, technology(operands="uniform")), estimate(run, NANGATE)
    np.testing.assert_allclose(cost.component_pj("pe"), factor * base.component_pj("pe"))


def test_a_layer_without_products_switches_nothing() -> None:
    for pe in ("fixed", "fused"):
        cost = estimate(with_toggles({"name": pe}, {"pe_cycles": 10}), NANGATE)
        assert cost.detail_pj["pe_switching"].tolist() == [[0, 0], [0, 0]]


def test_a_run_without_counted_toggles_is_static() -> None:
    unseen = Activity(operand=np.full((2, 1), -1), psum=np.full((2, 1), -1), psum_error=np.zeros(1))
    run = made_run(TINY, [COUNTS], [EIGHT], samples=2, activity=unseen)
    cost, static = estimate(run, NANGATE), estimate(replace(run, activity=None), NANGATE)
    assert cost.mode == "static" and np.array_equal(cost.energy_pj, static.energy_pj)


def test_uniform_operands_do_not_change_layers_with_counted_toggles() -> None:
    run = with_toggles({"name": "fused"}, {"macs_full": 100})
    cost, base = estimate(run, technology(operands="uniform")), estimate(run, NANGATE)
    np.testing.assert_array_equal(cost.energy_pj[:, 0], base.energy_pj[:, 0])
    assert (cost.energy_pj[:, 1] > base.energy_pj[:, 1]).any()


def test_fewer_bits_on_a_fused_array_cost_less() -> None:
    fused = build("accelerator", "bitfusion_like")
    inputs = np.zeros((1, 1, 8, 8), np.int16)
    wide, narrow = (
        estimate(replace(simulate(small_network(w_bits=bits), fused, inputs), activity=None), NANGATE)
        for bits in (8, 2)
    )
    assert narrow.relative_to(wide) < 1 and wide.relative_to(wide) == 1


def test_costs_of_two_technologies_or_modes_are_not_compared(run: Run) -> None:
    base = estimate(run, NANGATE)
    for other, named in (
        (build("technology", "horowitz45"), "horowitz45"),
        (technology(clock_tree=2), "clock_tree 2.0"),
    ):
        with pytest.raises(HwsimError, match=f"nangate45 and static, but the baseline by .*{named}"):
            base.relative_to(estimate(run, other))
    data = with_toggles({"name": "fixed"}, COUNTS)
    with pytest.raises(HwsimError, match="nangate45 and activity, but the baseline by nangate45 and static"):
        estimate(data, NANGATE).relative_to(estimate(replace(data, activity=None), NANGATE))


PRINTED = """\
technology     nangate45, static
energy         1.018 nJ per sample, mean of 3
  pe              0.6935 pJ    0.1%
  register_file        0 pJ    0.0%
  scratchpad           0 pJ    0.0%
  dram                 1 nJ   98.3%
  vector               0 pJ    0.0%
  leakage          17.08 pJ    1.7%
latency        0.02 us per sample
area           0.06745 mm2
accuracy       energy to a factor of about 3, energy ratios of bit widths to about 15 %"""


def test_print_is_one_screen() -> None:
    run = made_run(TINY, [{"pe_cycles": 2, "dram_read_bits": 125}], [EIGHT], [2], samples=3)
    cost = estimate(run, NANGATE)
    assert str(cost) == PRINTED
    assert str(replace(cost, notes=("assumed: nothing",))).endswith("note           assumed: nothing")
    empty = replace(cost, energy_pj=cost.energy_pj[:0], latency_s=cost.latency_s[:0], samples=0)
    assert "mean of 0" in str(empty)


def test_no_samples() -> None:
    empty = Activity(operand=np.zeros((0, 1), np.int64), psum=np.zeros((0, 1), np.int64), psum_error=np.zeros(1))
    for activity in (None, empty):
        cost = estimate(made_run(TINY, [COUNTS], [EIGHT], samples=0, activity=activity), NANGATE)
        assert cost.total_energy_pj.shape == (0,)


@pytest.mark.parametrize("celsius", [0, 25, 77, 125])
def test_logic_and_memories_leak_at_one_temperature(celsius: float) -> None:
    run = made_run(TINY, [{}], [EIGHT], [100])
    cost, cold, hot = (estimate(run, technology(celsius=c)).detail_pj for c in (celsius, 25, 350 - 273.15))
    growth = 2 ** ((celsius - 25) / 12.5)
    np.testing.assert_allclose(cost["pe_leakage"], cold["pe_leakage"] * growth)
    np.testing.assert_allclose(cost["vector_leakage"], cold["vector_leakage"] * growth)
    np.testing.assert_allclose(cost["scratchpad_leakage"], cold["scratchpad_leakage"] * growth)
    assert hot["scratchpad_leakage"][0, 0] == pytest.approx((2 * 0.366036 + 0.408939) * 100 * 0.01)  # the table
