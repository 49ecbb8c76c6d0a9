"""Timing a workload without data: rows that add up, batches, and one number per definition of utilization."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim.errors import BadInput, Infeasible
from hwsim.machine import simulate
from hwsim.machine.cost.estimate import estimate
from hwsim.machine.events import CAUSES, STALLS
from hwsim.machine.layer_report import layer_reports, total_row
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.network.graph import Network
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, conv_product
from hwsim.registry import build, family
from tests.support.machines import machines, make, products
from tests.support.networks import networks
from tests.support.small_network import small_network

RUN: dict[str, Any] = {"deadline": None, "derandomize": True}
ACCELERATORS = {name: build("accelerator", name) for name in family("accelerator")}
LAYERS = [
    ("conv", conv_product(3, 16, 32, 32, Geometry((3, 3), padding=(1, 1)))),
    ("depthwise", conv_product(16, 16, 16, 16, Geometry((3, 3), padding=(1, 1), groups=16))),
    ("pointwise", conv_product(16, 32, 16, 16)),
    ("strided", conv_product(16, 32, 16, 16, Geometry((3, 3), (2, 2), (1, 1)))),
    ("linear", Product(pixels=1, reduction=512, filters=100, out_bits=32)),
    ("attention", Product(pixels=65, reduction=32, filters=65, groups=4)),
]


@pytest.mark.parametrize("name", sorted(ACCELERATORS))
def test_the_causes_of_every_layer_add_up(name: str) -> None:
    reports = layer_reports(ACCELERATORS[name], LAYERS, batch=2)
    for (layer, product), report in zip(LAYERS, reports, strict=True):
        assert (report.layer, report.macs) == (layer, 2 * product.macs)
        assert tuple(report.cycles) == CAUSES
        assert min(report.cycles.values()) >= 0
        assert report.total_cycles == sum(report.cycles.values()) == report.row()["total_cycles"]
        assert report.stall_cycles == sum(report.cycles[cause] for cause in STALLS)
        row = report.row()
        parts = ("compute_cycles", "vector_cycles", "fill_drain_cycles", "weight_load_cycles", "stall_cycles")
        assert row["total_cycles"] == sum(row[part] for part in parts)  # type: ignore[misc]
        assert report.breakdown() == {"layer": layer, **report.cycles, "total_cycles": report.total_cycles}
        timing = time_layer(ACCELERATORS[name], derive_mapping(ACCELERATORS[name], product, 2))
        assert timing.total.tolist() == [report.total_cycles]
    for causes in (False, True):
        rows, total = [r.breakdown() if causes else r.row() for r in reports], total_row(reports, causes)
        assert list(total) == list(rows[0])
        for column in total:
            if column not in ("layer", "utilization", "gmac_per_s"):
                assert total[column] == sum(row[column] for row in rows), column  # type: ignore[misc]


def test_utilization_is_products_over_pe_cycles() -> None:
    """conv of 64 pixels, 9 products and 8 filters on 4x4 PEs: 4608 MACs."""
    tiny = ACCELERATORS["tiny"]
    (report,) = layer_reports(tiny, [("conv", conv_product(1, 8, 8, 8, Geometry((3, 3), padding=(1, 1))))])
    assert report.utilization == 4608 / (16 * report.total_cycles)
    run = simulate(small_network(), tiny, np.zeros((1, 1, 8, 8), np.int16))
    assert run.utilization[0, 0] == 4608 / (16 * run.cycles[0, 0].sum())
    assert run.mapping_efficiency[0, 0] == 4608 / (16 * run.cause("compute")[0, 0])
    # useful MACs = rows x columns x compute cycles x mapping efficiency: 6 folds, of which 2 use 1 row of 4
    assert run.mapping_efficiency[0, 0] == pytest.approx((4 * 1 + 2 * 0.25) / 6)


def test_the_utilization_of_the_whole_is_weighted_by_cycles() -> None:
    reports = layer_reports(ACCELERATORS["tpu_like"], LAYERS)
    cycles = sum(report.total_cycles for report in reports)
    assert total_row(reports)["utilization"] == round(sum(report.macs for report in reports) / (1024 * cycles), 6)


@pytest.mark.parametrize("name", ["eyeriss", "tpu_like_os", "gemmini"])
def test_the_energy_of_a_network_is_the_static_one_of_its_run(name: str) -> None:
    accelerator, technology = ACCELERATORS[name], build("technology", "nangate45", extrapolate=True)
    network = small_network()
    reports = layer_reports(accelerator, network, 1, technology)
    run = replace(simulate(network, accelerator, np.zeros((1, 1, 8, 8), np.int16)), activity=None)
    cost = estimate(run, technology)
    assert [report.energy_pj for report in reports] == pytest.approx(cost.energy_pj[0].sum(axis=1).tolist(), rel=1e-12)
    assert sum(report.time_s for report in reports) == pytest.approx(float(cost.latency_s[0]), rel=1e-12)


@settings(max_examples=15, suppress_health_check=list(HealthCheck), **RUN)
@given(networks(), st.sampled_from(sorted(ACCELERATORS)), st.integers(1, 3))
def test_a_network_at_batch_one_takes_the_cycles_of_its_run(network: Network, name: str, batch: int) -> None:
    accelerator = ACCELERATORS[name]
    if any(layer.region for layer in network.layers) or accelerator.pe.value_timing:
        return
    try:
        reports = layer_reports(accelerator, network)
    except Infeasible:
        return
    try:
        run = simulate(network, accelerator, np.zeros((1, *network.input_shape), np.int16))
    except Infeasible:
        return
    assert [report.layer for report in reports] == list(run.layers)
    cycles = np.array([list(report.cycles.values()) for report in reports])
    np.testing.assert_array_equal(cycles, run.cycles[0])
    bits = run.event("dram_read_bits")[0] + run.event("dram_write_bits")[0]
    assert [report.dram_bytes for report in reports] == (-(-bits // 8)).tolist()
    for one, many in zip(reports, layer_reports(accelerator, network, batch), strict=True):
        if one.tiling is None:  # the vector unit takes one sample after the other
            assert many.total_cycles == batch * one.total_cycles


@settings(max_examples=150, **RUN)
@given(machines(("ws", "os", "is")), products(), st.integers(2, 4))
def test_a_batch_with_the_same_tiles_never_takes_longer_than_its_samples(
    parameters: dict[str, Any], product: Product, batch: int
) -> None:
    """The samples' own tiles, one sample after the other, are one way to run a batch."""
    accelerator = make(parameters)
    single = derive_mapping(accelerator, product)
    tiling = single.tiling
    if tiling.order[0] != "m" and len(single.tiles) > 1:
        return  # then the loop over pixels, and with it over samples, is not the outermost one
    if product.pixels < max(accelerator.array.rows, accelerator.array.cols):
        return  # then a batch fills more of the array, and asks more of its ports
    one, all_of_them = (
        int(time_layer(accelerator, derive_mapping(accelerator, product, b, tiling)).total[0]) for b in (1, batch)
    )
    assert all_of_them <= batch * one


@pytest.mark.parametrize("name", sorted(ACCELERATORS))
def test_a_batch_of_a_linear_layer_reuses_the_weights(name: str) -> None:
    layer = [("linear", Product(pixels=1, reduction=512, filters=100))]
    (one,), (eight,) = (layer_reports(ACCELERATORS[name], layer, batch) for batch in (1, 8))
    assert eight.total_cycles < 8 * one.total_cycles
    assert eight.dram_bytes < 8 * one.dram_bytes


def test_ideal_memory_is_not_slower() -> None:
    for name in ("tpu_like", "tpu_like_os", "tiny"):
        for real, ideal in zip(
            layer_reports(ACCELERATORS[name], LAYERS),
            layer_reports(build("accelerator", name, timing="scalesim"), LAYERS),
            strict=True,
        ):
            assert ideal.total_cycles <= real.total_cycles
            assert ideal.stall_cycles == 0


def test_what_cannot_run_is_named() -> None:
    with pytest.raises(Infeasible, match=r"^layer 'wide': PE 'fixed' multiplies 1 to 8 bits"):
        layer_reports(ACCELERATORS["tiny"], [("wide", Product(1, 1, 1, a_bits=12))])
    with pytest.raises(BadInput, match=r"^batch: got 0; allowed: 1 to 1,048,576"):
        layer_reports(ACCELERATORS["tiny"], LAYERS, batch=0)
