"""Bit widths per channel group, and per image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.errors import UnknownName
from hwsim.machine import simulate
from hwsim.machine.cost.estimate import estimate
from hwsim.machine.layer_report import layer_reports
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.timing.mapped_layers import map_layers
from hwsim.machine.trace.timeline import timeline
from hwsim.network.layer import Region
from hwsim.network.product import as_product
from hwsim.registry import build
from tests.network.test_width_groups import FITTED, NETWORK
from tests.support.machines import mapping_of
from tests.support.small_network import small_network

X = np.random.default_rng(0).random((4, 1, 8, 8))
NANGATE = build("technology", "nangate45")


@pytest.mark.parametrize("name", ["bitfusion", "tpu_like", "tpu_like_os", "stripes_like", "unpu", "eyeriss"])
def test_outputs_stay_and_every_group_has_its_own_line(name: str) -> None:
    accelerator = build("accelerator", name)
    plain, grouped = simulate(NETWORK, accelerator, X), simulate(FITTED, accelerator, X)
    np.testing.assert_array_equal(plain.outputs, grouped.outputs)
    assert grouped.layers == ("conv:w8", "conv:w4", "pool", "flat", "head")
    assert grouped.precisions[1] is not None
    assert grouped.precisions[1].w_bits == 4
    assert grouped.event("macs_full").sum() == plain.event("macs_full").sum()
    assert grouped.event("requantizations").sum() == plain.event("requantizations").sum()


def test_a_group_takes_what_a_layer_of_its_filters_takes() -> None:
    accelerator = build("accelerator", "bitfusion")
    run = simulate(FITTED, accelerator, X)
    product = as_product(NETWORK, NETWORK.layers[0])
    for line, bits in enumerate((8, 4)):
        alone = replace(product, filters=4, w_bits=bits)
        assert mapping_of(map_layers(FITTED, accelerator), run.layers[line]).product == alone
        (report,) = layer_reports(accelerator, [("alone", alone)])
        assert run.cycles[0, line].sum() == report.total_cycles
        assert derive_mapping(accelerator, alone).rate == accelerator.pe.rate(8, bits)


def test_narrow_filters_save_energy_and_memory_where_the_pe_has_widths() -> None:
    accelerator = build("accelerator", "bitfusion")
    plain, grouped = simulate(NETWORK, accelerator, X), simulate(FITTED, accelerator, X)
    assert grouped.event("weight_write_bits").sum() == plain.event("weight_write_bits").sum() - 4 * 9 * 4
    before, after = (replace(run, activity=None) for run in (plain, grouped))
    switched = [estimate(run, NANGATE).detail_pj["pe_switching"].sum() for run in (before, after)]
    assert switched[1] < switched[0]  # but two passes over a wide array clock it longer


def test_analysis_and_timeline_tell_the_same_cycles() -> None:
    accelerator = build("accelerator", "bitfusion")
    reports = layer_reports(accelerator, FITTED)
    run = simulate(FITTED, accelerator, X)
    assert [report.layer for report in reports] == list(run.layers)
    assert [report.total_cycles for report in reports] == run.cycles[0].sum(axis=1).tolist()
    assert max(event.end_cycle for event in timeline(accelerator, FITTED)) == run.latency_cycles[0]


def test_a_tiling_names_the_group() -> None:
    accelerator = build("accelerator", "bitfusion")
    given = mapping_of(map_layers(FITTED, accelerator), "conv:w4").tiling
    smaller = replace(given, rows=4)
    assert mapping_of(map_layers(FITTED, accelerator, tilings={"conv:w4": smaller}), "conv:w4").tiling == smaller
    with pytest.raises(UnknownName, match="'conv:w"):
        map_layers(FITTED, accelerator, tilings={"conv": given})


def test_a_region_as_large_as_the_map_decides_per_image() -> None:
    """The whole image runs at 8 or at 4 bits, as its own brightness says."""
    region = Region(8, 8, 128 * 16, np.ones((8, 1, 3, 3), np.int8))
    accelerator = build("accelerator", "drq_like")
    dark, bright = np.full((1, 1, 8, 8), 0.2), np.full((1, 1, 8, 8), 0.8)
    run = simulate(small_network(region), accelerator, np.concatenate([dark, bright]))
    assert run.masks["conv"].reshape(2, -1).tolist() == [[False], [True]]
    assert run.event("macs_low")[:, 0].tolist() == [64 * 9 * 8, 64 * 9 * 8 - 64 * 9 * 8 + _padding_products()]
    assert run.latency_cycles[0] < run.latency_cycles[1]


def _padding_products() -> int:
    """Products of the 3x3 convolution with padding, which is never sensitive."""
    inside = (3 * 8 - 2) ** 2  # taps inside the map, along each axis
    return (64 * 9 - inside) * 8
