"""Scratchpad ports: how many cycles a step takes when banks times word are fewer bits than the array could use."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.machine.dataflow.base import PortLimits
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.network.product import Product
from hwsim.registry import build

WIDE = {pad: {"kib": 64, "banks": 64, "word_bytes": 64} for pad in ("ifmap", "weight", "ofmap")}


def array(dataflow: str, narrow: str = "", **more: Any) -> Accelerator:
    """8x4 PEs with wide ports, but for one of 64 bits."""
    pads = WIDE | ({narrow: {"kib": 64, "banks": 1, "word_bytes": 8}} if narrow else {})
    made: Accelerator = build(
        "accelerator", "tiny", dataflow=dataflow, array={"rows": 8, "cols": 4}, scratchpads=pads, **more
    )
    return made


def ports(accelerator: Accelerator, product: Product, batch: int = 1) -> PortLimits:
    rate = accelerator.pe.rate(product.a_bits, product.w_bits)
    return accelerator.dataflow.port_limits(accelerator, product, rate, batch)


DEEP = Product(pixels=30, reduction=64, filters=16)  # 8-bit operands; several folds of everything
FLAT = Product(pixels=30, reduction=8, filters=16)  # one fold of the reduction

CASES = [
    ("ws", "ifmap", DEEP, PortLimits(1)),  # 8 rows x 8 bits
    ("ws", "weight", DEEP, PortLimits(1)),  # 4 columns x 8 bits
    ("ws", "ofmap", DEEP, PortLimits(4, limited_by="ofmap")),  # 4 columns x 32 bits, read and written
    ("ws", "ofmap", FLAT, PortLimits(1)),  # 4 columns x 8 bits, written
    ("is", "weight", DEEP, PortLimits(1)),
    ("is", "ofmap", DEEP, PortLimits(4, limited_by="ofmap")),
    ("os", "ifmap", DEEP, PortLimits(1, drain_cut_cycles=1)),
    (
        "os",
        "ofmap",
        DEEP,
        PortLimits(1, drain_cycles=1, drain_cut_cycles=4),
    ),  # 4 columns x 8 bits; x 32 bits, read and written
]


@pytest.mark.parametrize(("dataflow", "narrow", "product", "expected"), CASES)
def test_steps_by_hand(dataflow: str, narrow: str, product: Product, expected: PortLimits) -> None:
    assert ports(array(dataflow, narrow), product) == expected


def test_wide_operands_and_lanes_ask_for_more() -> None:
    wide = Product(30, 64, 16, a_bits=16, w_bits=16)
    fixed = {"name": "fixed", "max_bits": 16}
    assert ports(array("ws", "ifmap", pe=fixed), wide) == PortLimits(2, limited_by="ifmap")  # 8 x 16 bits
    assert ports(array("is", "ifmap", pe=fixed), wide) == PortLimits(1)  # 4 x 16 bits per row of the stationary operand
    narrow = Product(30, 128, 16, a_bits=2, w_bits=2)
    fused = {"name": "fused"}  # 16 lanes of 2 bits
    assert ports(array("ws", "ifmap", pe=fused), narrow) == PortLimits(
        4, limited_by="ifmap"
    )  # 8 rows x 16 lanes x 2 bits
    assert ports(array("ws", "weight", pe=fused), narrow) == PortLimits(
        1, load_cycles=2
    )  # 4 columns x 16 lanes x 2 bits


def test_a_pe_that_is_slow_itself_hides_a_slow_port() -> None:
    serial = {"name": "bit_serial"}
    assert ports(array("ws", "ofmap", pe=serial), DEEP) == PortLimits(8)  # 8 steps for 8 bits; the port needs 4
    short = Product(30, 64, 16, a_bits=3)
    assert ports(array("ws", "ofmap", pe=serial), short) == PortLimits(4, limited_by="ofmap")


def test_the_first_scratchpad_in_the_order_is_blamed() -> None:
    pads = WIDE | {pad: {"kib": 64, "banks": 1, "word_bytes": 8} for pad in ("ifmap", "weight")}
    both = build("accelerator", "tiny", dataflow="os", array={"rows": 16, "cols": 16}, scratchpads=pads)
    assert ports(both, Product(64, 64, 64)).limited_by == "ifmap"


def test_a_batch_fills_more_of_the_array() -> None:
    """A linear layer has one pixel per sample; a batch of them stands side by side."""
    linear = Product(pixels=1, reduction=64, filters=16)
    assert ports(array("is", "ofmap"), linear) == PortLimits(1)  # one column x 32 bits, read and written
    assert ports(array("is", "ofmap"), linear, batch=4) == PortLimits(4, limited_by="ofmap")
    assert derive_mapping(array("is", "ofmap"), linear, 4).ports.wavefront_cycles == 4


def test_stalls_of_a_port_are_laid_to_its_scratchpad() -> None:
    free, slow = (time_layer(a, derive_mapping(a, DEEP)) for a in (array("ws"), array("ws", "ofmap")))
    assert slow.cause("compute").tolist() == free.cause("compute").tolist()
    assert slow.cause("stall_ofmap_port").tolist() == (3 * free.cause("compute")).tolist()


def test_outputs_that_shift_out_wait_for_the_ofmap_port() -> None:
    product = Product(pixels=16, reduction=8, filters=8, out_bits=32)
    accelerator = array("os", "ofmap")
    mapping = derive_mapping(accelerator, product)
    assert mapping.ports.drain_cycles == 2  # 4 columns x 32 bits
    timing = time_layer(accelerator, mapping)
    assert timing.cause("stall_ofmap_port").tolist() == [4 * 8]  # 2 x 2 folds, 8 rows, one more cycle each
    assert timing.cause("stall_weight_port").tolist() == [0]


def test_a_slow_load_is_laid_to_the_scratchpad_of_the_stationary_operand() -> None:
    product = Product(pixels=30, reduction=16, filters=8, a_bits=16, w_bits=16)
    fixed = {"name": "fixed", "max_bits": 16}
    for dataflow, pad, cause in (("ws", "weight", "stall_weight_port"), ("is", "ifmap", "stall_ifmap_port")):
        accelerator = build(
            "accelerator",
            "tiny",
            dataflow=dataflow,
            array={"rows": 8, "cols": 8},
            scratchpads=WIDE | {pad: {"kib": 64, "banks": 1, "word_bytes": 8}},
            pe=fixed,
        )
        mapping = derive_mapping(accelerator, product)
        assert mapping.ports.load_cycles == 2  # 8 columns x 16 bits
        timing, folds = time_layer(accelerator, mapping), int(mapping.tiles["folds"].sum())
        assert timing.cause(cause).tolist() == timing.cause("weight_load").tolist() == [8 * folds]


def test_the_profiles_of_other_simulators_have_no_ports() -> None:
    assert ports(array("ws", "ofmap", timing="scalesim"), DEEP) == PortLimits(1)
