"""Objectives of the tiling search: each is best at its own aim, and balanced keeps both within its tolerance."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import Infeasible
from hwsim.machine.cost.estimate import estimate
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.run import Run
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.machine.timing.traffic import product_traffic
from hwsim.network.product import Product
from hwsim.registry import build, family
from tests.support.machines import Parameters, machines, make, products
from tests.validation.machines import layers_of, run_of

RUN: dict[str, Any] = {"deadline": None, "derandomize": True}
OBJECTIVES = ("dram_traffic", "latency", "balanced")


def cycles_and_bits(accelerator: Accelerator, product: Product, batch: int = 1) -> tuple[int, int]:
    mapping = derive_mapping(accelerator, product, batch)
    traffic = product_traffic(accelerator, mapping)
    return int(time_layer(accelerator, mapping).total[0]), traffic.dram_read_bits + traffic.dram_write_bits


@settings(max_examples=150, **RUN)
@given(machines(), products(), st.integers(1, 3))
def test_each_objective_is_best_at_its_aim(parameters: Parameters, product: Product, batch: int) -> None:
    try:
        found = {aim: cycles_and_bits(make(parameters, optimize=aim), product, batch) for aim in OBJECTIVES}
    except Infeasible:
        return
    fewest_cycles, fewest_bits = found["latency"][0], found["dram_traffic"][1]
    assert fewest_cycles == min(cycles for cycles, _ in found.values())
    assert fewest_bits == min(bits for _, bits in found.values())
    cycles, bits = found["balanced"]
    assert 100 * cycles <= 102 * fewest_cycles
    assert bits <= found["latency"][1]  # the fastest tiling is within the tolerance, too


def test_latency_has_a_price_in_traffic() -> None:
    product = Product(pixels=1, reduction=416, filters=11, a_bits=3, w_bits=6, out_bits=32)
    parameters = {"array": {"rows": 4, "cols": 5}, "dram": {"bandwidth_bytes_per_cycle": 16, "latency_cycles": 49}}
    found = {aim: cycles_and_bits(make(parameters, optimize=aim), product) for aim in OBJECTIVES}
    assert found["latency"][0] < found["dram_traffic"][0]
    assert found["latency"][1] >= found["dram_traffic"][1]


def resnet18(name: str, **changes: Any) -> Run:
    return run_of(build("accelerator", name, **changes), layers_of("resnet18"))


def dram_bits(run: Run) -> int:
    return sum(int(run.event(f"dram_{way}_bits").sum()) for way in ("read", "write"))


def test_the_fewest_cycles_alone_spend_traffic_for_nothing() -> None:
    balanced, fastest = resnet18("gemmini"), resnet18("gemmini", optimize="latency")
    assert (int(fastest.cycles.sum()), int(balanced.cycles.sum())) == (7_236_937, 7_292_750)  # + 0.8 %
    assert dram_bits(balanced) / dram_bits(fastest) == pytest.approx(0.325, abs=0.001)
    technology = build("technology", "nangate45")
    energy = estimate(balanced, technology).energy_pj.sum() / estimate(fastest, technology).energy_pj.sum()
    assert energy == pytest.approx(0.40, abs=0.005)


def test_the_fewest_bits_alone_pay_any_time() -> None:
    array = {"rows": 32, "cols": 32}
    cycles = {
        aim: int(resnet18("tpu_like", dataflow="is", array=array, optimize=aim).cycles.sum()) for aim in OBJECTIVES
    }
    assert cycles == {"dram_traffic": 19_442_572, "latency": 4_488_898, "balanced": 4_490_590}


@pytest.mark.parametrize("name", sorted(family("accelerator")))
def test_built_in_accelerators_are_balanced(name: str) -> None:
    assert build("accelerator", name).optimize == "balanced"
    assert build("accelerator", name).describe().endswith("memory modeled, mapping balanced")
