"""What moves over the ports: a layer by hand, agreement with the cycles, and what must never get worse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import Infeasible
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import Mapping, derive_mapping
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.machine.timing.traffic import Traffic, product_traffic, vector_traffic, vector_waits
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, conv_product
from hwsim.registry import build, family
from tests.support.machines import machines, make, products

RUN: dict[str, Any] = {"deadline": None, "derandomize": True}
TINY = build("accelerator", "tiny")  # 4x4, ws, 32 bits of DRAM per cycle, half of each scratchpad holds 8192 bits

CONV = replace(conv_product(1, 8, 8, 8, Geometry((3, 3), padding=(1, 1))), w_bits=4)
"""64 pixels, 9 products, 8 filters: 3 x 2 folds."""


def test_one_layer_by_hand() -> None:
    mapping = derive_mapping(TINY, CONV)
    # 64 pixels x 8 filters x 32 bits are two halves of the scratchpad, so the map or the filters are cut; cutting the
    # filters costs nothing, and 4 of them come sooner than 8
    assert (mapping.tiling.rows, mapping.tiling.filters, len(mapping.tiles)) == (8, 4, 2)
    timing = time_layer(TINY, mapping)
    assert [int(timing.cause(name)[0]) for name in ("compute", "fill_drain", "weight_load")] == [6 * 64, 6 * 7, 6 * 4]
    assert timing.cause("prefetch").tolist() == [4 + (64 * 8 + 9 * 4 * 4) // 32 + 1]  # latency, 656 bits
    assert timing.cause("writeback").tolist() == [64 * 4 * 8 // 32]
    assert timing.total.tolist() == [6 * 75 + 25 + 64]
    traffic = product_traffic(TINY, mapping)
    assert traffic.ifmap_read_bits == 64 * 9 * 2 * 8
    assert traffic.weight_read_bits == 9 * 8 * 4
    assert traffic.ofmap_write_bits == 64 * 8 * (2 * 32 + 8)
    assert traffic.ofmap_read_bits == traffic.ofmap_write_bits  # two partial sums back to the array, one output out
    assert traffic.dram_read_bits == traffic.ifmap_write_bits + traffic.weight_write_bits == 64 * 8 + 9 * 8 * 4
    assert traffic.dram_write_bits == 64 * 8 * 8


def test_what_does_not_fit_is_fetched_again() -> None:
    least = build("accelerator", "tiny", optimize="dram_traffic")
    small_weights = Product(pixels=64, reduction=32, filters=16)  # weights 4096 bits, map 16384
    read = product_traffic(least, derive_mapping(least, small_weights)).dram_read_bits
    assert read == 64 * 32 * 8 + 32 * 16 * 8
    small_map = Product(pixels=16, reduction=64, filters=64)  # map 8192, weights 32768
    read = product_traffic(least, derive_mapping(least, small_map)).dram_read_bits
    assert read == 16 * 64 * 8 + 64 * 64 * 8
    both_large = Product(pixels=64, reduction=64, filters=64)  # both 32768
    read = product_traffic(least, derive_mapping(least, both_large)).dram_read_bits
    # a quarter of either is all that fits: one of them once, the other four times
    assert read == 5 * 64 * 64 * 8


def dram_bits(traffic: Traffic) -> int:
    return traffic.dram_read_bits + traffic.dram_write_bits


@settings(max_examples=150, **RUN)
@given(machines(("ws", "os", "is")), products(), st.sampled_from(SCRATCHPADS), st.integers(1, 4), st.integers(0, 3))
def test_larger_scratchpads_never_move_more_over_dram(
    parameters: dict[str, Any], product: Product, pad: str, times: int, more: int
) -> None:
    """With row stationary the pass depends on the scratchpads, too, and is chosen for its cycles."""
    small = make(parameters, optimize="dram_traffic")
    large = make(
        parameters, optimize="dram_traffic", scratchpads={pad: {"kib": small.scratchpads[pad].kib * times + more}}
    )
    before, after = (product_traffic(one, derive_mapping(one, product)) for one in (small, large))
    assert dram_bits(after) <= dram_bits(before)


@settings(max_examples=100, **RUN)
@given(machines(("ws", "os", "is")), products(), st.integers(2, 5))
def test_a_batch_never_moves_more_than_its_samples(parameters: dict[str, Any], product: Product, batch: int) -> None:
    accelerator = make(parameters, optimize="dram_traffic")
    one, all_of_them = (product_traffic(accelerator, derive_mapping(accelerator, product, b)) for b in (1, batch))
    assert dram_bits(all_of_them) <= batch * dram_bits(one)


@settings(max_examples=100, **RUN)
@given(machines(), products(), st.integers(1, 3))
def test_everything_moves_at_least_once(parameters: dict[str, Any], product: Product, batch: int) -> None:
    accelerator = make(parameters)
    try:
        traffic = product_traffic(accelerator, derive_mapping(accelerator, product, batch))
    except Infeasible:
        return
    outputs = product.pixels * product.filters * product.groups * batch
    weights = product.reduction * product.filters * product.groups
    assert traffic.weight_read_bits >= traffic.weight_write_bits >= weights * product.w_bits
    assert traffic.dram_write_bits >= outputs * product.out_bits
    assert traffic.dram_read_bits == (
        traffic.ifmap_write_bits + traffic.weight_write_bits + (traffic.dram_write_bits - outputs * product.out_bits)
    )  # every psum that leaves comes back
    assert traffic.ofmap_read_bits == traffic.ofmap_write_bits
    assert traffic.rf_accesses == (4 * product.macs * batch if accelerator.dataflow.name == "rs" else 0)


# Words agree with cycles.


def array_side(accelerator: Accelerator, mapping: Mapping) -> dict[str, int]:
    """Bits between each scratchpad and the array: outputs once, partial sums to and fro."""
    product, traffic = mapping.product, product_traffic(accelerator, mapping)
    outputs = product.pixels * product.filters * product.groups * mapping.batch
    psums = int(mapping.tiles["ofmap_writes"].sum()) * product.groups - outputs
    return {
        "ifmap": traffic.ifmap_read_bits,
        "weight": traffic.weight_read_bits,
        "ofmap": outputs * product.out_bits + 2 * psums * accelerator.psum_bits,
    }


def assert_ports_keep_up(accelerator: Accelerator, mapping: Mapping, pads: tuple[str, ...] = SCRATCHPADS) -> None:
    timing, moved = time_layer(accelerator, mapping), array_side(accelerator, mapping)
    for pad in pads:
        assert moved[pad] <= accelerator.scratchpads[pad].bits_per_cycle * timing.array_cycles[0], pad
    total = int(timing.total[0])
    assert dram_bits(product_traffic(accelerator, mapping)) <= accelerator.dram.bandwidth_bytes_per_cycle * 8 * total


@settings(max_examples=150, **RUN)
@given(machines(("ws", "os", "is")), products(), st.integers(1, 3), st.sampled_from([16, 32]))
def test_no_port_moves_more_than_its_width(
    parameters: dict[str, Any], product: Product, batch: int, psum_bits: int
) -> None:
    accelerator = make(parameters, psum_bits=psum_bits)
    assert_ports_keep_up(accelerator, derive_mapping(accelerator, product, batch))


@settings(max_examples=50, **RUN)
@given(machines(("ws", "os", "is")), products(), st.integers(4, 64), st.integers(4, 64))
def test_no_port_of_a_large_array_moves_more_than_its_width(
    parameters: dict[str, Any], product: Product, rows: int, cols: int
) -> None:
    roomy = {pad: {"kib": 64} for pad in SCRATCHPADS}
    accelerator = make(parameters, array={"rows": rows, "cols": cols}, scratchpads=roomy)
    assert_ports_keep_up(accelerator, derive_mapping(accelerator, product))


@pytest.mark.parametrize("name", sorted(family("accelerator")))
def test_no_port_of_a_built_in_accelerator_moves_more_than_its_width(name: str) -> None:
    accelerator = build("accelerator", name)
    pads = ("weight",) if accelerator.dataflow.name == "rs" else SCRATCHPADS
    for product in (
        conv_product(3, 32, 32, 32, Geometry((3, 3), padding=(1, 1))),
        conv_product(32, 32, 16, 16, Geometry((3, 3), padding=(1, 1), groups=32)),
        conv_product(32, 64, 16, 16),
        Product(1, 512, 1000, out_bits=32),
        Product(197, 64, 197, groups=3),
    ):
        assert_ports_keep_up(accelerator, derive_mapping(accelerator, product), pads)


@pytest.mark.xfail(
    reason="the ports of the ifmap and ofmap scratchpads do not limit a row-stationary pass", strict=True
)
def test_no_port_of_a_row_stationary_array_moves_more_than_its_width() -> None:
    narrow = make(
        {
            "dataflow": "rs",
            "array": {"rows": 6, "cols": 4},
            "scratchpads": {"ofmap": {"kib": 8, "banks": 1, "word_bytes": 8}},
        },
        register_file={
            "ifmap_words": 12,
            "weight_words": 224,
            "psum_words": 24,
            "ifmap_words_per_cycle": 1,
            "weight_words_per_cycle": 4,
            "psum_words_per_cycle": 4,
        },
    )
    product = conv_product(21, 16, 19, 19, Geometry((3, 3), padding=(0, 1), stride=(2, 1)))
    assert_ports_keep_up(narrow, derive_mapping(narrow, product))


# The vector unit.


def test_the_vector_unit_streams_along_with_dram() -> None:
    traffic = vector_traffic(inputs=512, operands=2048, outputs=128, in_bits=8, out_bits=8)
    assert dram_bits(traffic) == 512 * 8 + 128 * 8
    assert (traffic.ifmap_read_bits, traffic.ofmap_write_bits) == (2048 * 8, 128 * 8)
    # 160 cycles of DRAM, the first of them before the unit begins
    assert vector_waits(TINY, traffic, busy=512) == {"prefetch": 4 + 1, "stall_dram_bandwidth": 0}
    assert vector_waits(TINY, traffic, busy=100) == {"prefetch": 4 + 1, "stall_dram_bandwidth": 59}
    assert vector_waits(build("accelerator", "tiny", timing="scalesim"), traffic, busy=100) == {}
