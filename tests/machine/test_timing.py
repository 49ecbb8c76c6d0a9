"""Cycles: closed forms against register-by-register walks and against SCALE-Sim."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hwsim import reference
from hwsim.machine.accelerator import Accelerator
from hwsim.machine.mapping import Product, derive_mapping
from hwsim.machine.memory import product_traffic, stall_cycles
from hwsim.machine.timing import array_cycles
from hwsim.registry import build

# SCALE-Sim v3 (scalesim-project/SCALE-Sim 1d62b68, package scalesim 3.0.0), stall-free mode, 32x32 array,
# ResNet-18 at 224x224, batch 1, input sizes chosen so that its ceil() gives the true output sizes.
GOLDEN = Path(__file__).parents[1] / "golden" / "resnet18_scalesim_32x32.csv"
ROWS = list(csv.DictReader(GOLDEN.read_text().splitlines()))


def array(rows: int, cols: int, dataflow: str, timing: str = "rtl", pe: str = "fixed") -> Accelerator:
    made: Accelerator = build(
        "accelerator", "tpu_like", array={"rows": rows, "cols": cols}, dataflow=dataflow, timing=timing, pe={"name": pe}
    )
    return made


def cycles(accelerator: Accelerator, product: Product) -> int:
    return array_cycles(accelerator, product, derive_mapping(accelerator, product)).total


@pytest.mark.parametrize("row", ROWS, ids=[f"{r['dataflow']}-{r['layer']}" for r in ROWS])
def test_scalesim_profile_reproduces_every_layer_of_resnet18(row: dict[str, str]) -> None:
    accelerator = array(32, 32, row["dataflow"], "scalesim")
    product = Product(int(row["pixels"]), int(row["reduction"]), int(row["filters"]), out_bits=32)
    mapping = derive_mapping(accelerator, product)
    assert cycles(accelerator, product) == int(row["reported_cycles"]) + 1  # it prints the index of the last cycle
    traffic = product_traffic(accelerator, product, mapping)
    assert stall_cycles(accelerator, traffic, cycles(accelerator, product)) == 0
    assert traffic.ifmap_read_bits == 8 * int(row["ifmap_reads"])
    assert traffic.weight_read_bits == 8 * int(row["filter_reads"])
    counted_twice = 64 * mapping.folds if row["dataflow"] == "os" else 0  # a slip of its os write counter
    assert traffic.ofmap_write_bits == 32 * (int(row["ofmap_writes"]) - counted_twice)


def test_totals_of_resnet18() -> None:
    assert len(ROWS) == 42
    totals = {"ws": 0, "os": 0}
    for row in ROWS:
        product = Product(int(row["pixels"]), int(row["reduction"]), int(row["filters"]))
        totals[row["dataflow"]] += cycles(array(32, 32, row["dataflow"], "scalesim"), product)
    assert totals == {"ws": 2_855_031 + 21, "os": 2_133_315 + 21}


SHAPES = [(r, c, n) for r in (1, 2, 3, 5) for c in (1, 2, 4) for n in (1, 2, 3, 7)]


@pytest.mark.parametrize(("rows", "cols", "length"), SHAPES)
def test_rtl_profile_equals_the_walks(rows: int, cols: int, length: int) -> None:
    a, w = np.ones((length, rows), dtype=np.int64), np.ones((rows, cols), dtype=np.int64)
    _, walked = reference.walk_weight_stationary(a, w)
    assert cycles(array(rows, cols, "ws"), Product(length, rows, cols)) == walked
    a, w = np.ones((rows, length), dtype=np.int64), np.ones((length, cols), dtype=np.int64)
    _, walked = reference.walk_output_stationary(a, w)
    assert cycles(array(rows, cols, "os"), Product(rows, length, cols)) == walked


def test_worked_example_of_layer1() -> None:
    product = Product(3136, 576, 64)
    accelerator = array(32, 32, "ws", "scalesim")
    found = array_cycles(accelerator, product, derive_mapping(accelerator, product))
    assert (found.compute, found.fill_drain, found.weight_load) == (112_896, 2_232, 1_152)


def test_lanes_shorten_the_reduction_and_steps_stretch_the_stream() -> None:
    product = Product(pixels=10, reduction=64, filters=32, a_bits=4, w_bits=4)
    assert derive_mapping(array(16, 32, "ws", pe="fixed"), product).k_folds == 4
    assert derive_mapping(array(16, 32, "ws", pe="fused"), product).k_folds == 1  # 4 lanes
    serial = array(16, 32, "ws", pe="bit_serial")  # 4 activation bits, one per cycle
    assert array_cycles(serial, product, derive_mapping(serial, product)).compute == 4 * 4 * 10
    serial = array(16, 32, "os", pe="bit_serial")
    assert array_cycles(serial, product, derive_mapping(serial, product)).compute == 64 * 4


def test_partial_sums_that_do_not_fit_repeat_the_folds() -> None:
    accelerator = build("accelerator", "tiny")  # half of the ofmap scratchpad holds 64 pixels x 4 filters of 32 bits
    fits, too_many = Product(64, 8, 4), Product(65, 8, 4)
    assert derive_mapping(accelerator, fits).m_folds == 1
    assert derive_mapping(accelerator, too_many).m_folds == 2
    assert derive_mapping(accelerator, Product(65, 4, 4)).m_folds == 1  # one fold: no partial sum ever waits


def test_groups_are_products_of_their_own() -> None:
    one, four = Product(9, 5, 3), Product(9, 5, 3, groups=4)
    for dataflow in ("ws", "os"):
        assert cycles(array(4, 4, dataflow), four) == 4 * cycles(array(4, 4, dataflow), one)
