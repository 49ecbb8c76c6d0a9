"""Energy, latency and area: by hand, additive, and scaled by the presets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_network import small_network

from hwsim.errors import BadInput, HwsimError
from hwsim.machine import COMPONENTS, Run, estimate, simulate
from hwsim.machine.run import EVENTS
from hwsim.machine.tables import plain_cell
from hwsim.registry import build, family

NANGATE = build("technology", "nangate45")


@pytest.fixture(scope="module")
def run() -> Run:
    return simulate(small_network(), build("accelerator", "tiny"), np.zeros((3, 1, 8, 8), np.int16))


def part(cost, component: str):  # type: ignore[no-untyped-def]
    return cost.energy_pj[:, :, COMPONENTS.index(component)]


def test_shapes_and_latency(run: Run) -> None:
    cost = estimate(run, NANGATE)
    assert cost.energy_pj.shape == (1, 4, len(COMPONENTS)) and cost.energy_pj.dtype == np.float64
    assert cost.total_energy_pj.shape == (3,)
    assert cost.latency_s[0] == pytest.approx(run.latency_cycles[0] / 100e6)
    assert cost.technology == "nangate45"


def test_one_layer_by_hand(run: Run) -> None:
    cost = estimate(run, NANGATE)
    clocked, macs = (384 + 42 + 24) * 16, 64 * 9 * 8
    assert part(cost, "pe")[0, 0] == pytest.approx((clocked * 346.75 + macs * (1626.735 - 346.75)) / 1000)
    assert part(cost, "dram")[0, 0] == pytest.approx((512 + 576 + 4096) * 8)
    assert part(cost, "vector")[0, 0] == pytest.approx(512 * (23535.3 + 416.4) / 1000)
    reads, writes = 64 * 9 * 2 * 8 + 576 + 64 * 8 * 72, 512 + 576 + 64 * 8 * 72
    assert part(cost, "scratchpad")[0, 0] == pytest.approx((reads * 1.97448 + writes * 5.70601) / 64)  # 2 KiB, 8 bytes
    leakage_uw = 16 * 15.704 + (4 * (6807.2 + 182.7) + 4 * 182.7) * 0.021 + 3 * 0.366036
    assert part(cost, "leakage")[0, 0] == pytest.approx(leakage_uw * 455 * 0.01)


def test_an_idle_pe_costs_its_clock() -> None:
    assert plain_cell(8, 8).silicon.clock_fj == 346.75


def test_energy_is_additive_and_doubles_with_the_counts(run: Run) -> None:
    cost, double = estimate(run, NANGATE), estimate(replace(run, counts=2 * run.counts), NANGATE)
    assert cost.total_energy_pj[0] == pytest.approx(cost.energy_pj.sum())
    for component in ("pe", "scratchpad", "dram", "vector"):
        np.testing.assert_allclose(part(double, component), 2 * part(cost, component), rtol=1e-12)
    np.testing.assert_array_equal(part(double, "leakage"), part(cost, "leakage"))


@pytest.mark.parametrize("event", EVENTS)
def test_every_priced_event_raises_energy(run: Run, event: str) -> None:
    more = run.counts.copy()
    more[:, :, EVENTS.index(event)] += 1000
    raised = estimate(replace(run, counts=more), NANGATE).total_energy_pj[0] - estimate(run, NANGATE).total_energy_pj[0]
    free = {"pe_busy_cycles", "macs_low"}  # a measure of use only; no layer here has a low width
    assert (raised > 0) == (event not in free)


@pytest.mark.parametrize(("preset", "factor"), [("nangate45", 1), ("bitfusion45", 0.15), ("horowitz45", 0.194132)])
def test_presets_scale_the_logic_only(run: Run, preset: str, factor: float) -> None:
    cost, base = estimate(run, build("technology", preset)), estimate(run, NANGATE)
    for component in ("pe", "vector"):
        np.testing.assert_allclose(part(cost, component), factor * part(base, component), rtol=1e-5)
    for component in ("scratchpad", "dram", "leakage"):
        np.testing.assert_array_equal(part(cost, component), part(base, component))


def test_writes_as_reads(run: Run) -> None:
    cost = estimate(run, build("technology", "nangate45", sram_write="as_read"))
    bits = sum(run.event(f"{pad}_{way}_bits") for pad in ("ifmap", "weight", "ofmap") for way in ("read", "write"))
    np.testing.assert_allclose(part(cost, "scratchpad"), bits * 1.97448 / 64)


def test_area(run: Run) -> None:
    cost = estimate(run, NANGATE)
    assert cost.area_um2["pe"] == pytest.approx(16 * 737.88)
    assert cost.area_um2["scratchpad"] == pytest.approx(3 * 0.00673568e6)
    assert cost.total_area_um2 == pytest.approx(sum(cost.area_um2.values()))


def test_fewer_bits_on_a_fused_array_cost_less() -> None:
    fused = build("accelerator", "bitfusion_like")
    inputs = np.zeros((1, 1, 8, 8), np.int16)
    wide = estimate(simulate(small_network(w_bits=8), fused, inputs), NANGATE)
    narrow = estimate(simulate(small_network(w_bits=2), fused, inputs), NANGATE)
    assert narrow.relative_to(wide) < 1 and wide.relative_to(wide) == 1


def test_costs_of_two_technologies_are_not_compared(run: Run) -> None:
    with pytest.raises(HwsimError, match="nangate45"):
        estimate(run, NANGATE).relative_to(estimate(run, build("technology", "horowitz45")))


def test_a_scratchpad_outside_the_table_is_refused(run: Run) -> None:
    huge = build("accelerator", "tiny", scratchpads={"weight_kib": 4096})
    with pytest.raises(BadInput, match=r"accelerator\.scratchpads\.weight_kib"):
        estimate(replace(run, accelerator=huge), NANGATE)


def test_every_preset_is_in_the_family() -> None:
    assert set(family("technology")) >= {"nangate45", "bitfusion45", "horowitz45"}
