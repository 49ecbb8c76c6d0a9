"""PE cycles by state: against a walk of every PE through every cycle, and against the causes of the analysis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwsim.errors import BadInput
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.layer_report import layer_reports
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.trace import pe_utilization as module
from hwsim.machine.trace.pe_utilization import STATES, pe_utilization
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, conv_product
from hwsim.registry import build
from tests.support.array_layers import ACCELERATORS, LAYERS
from tests.support.small_network import small_network


def of_state(found, name: str) -> int:
    return int(found.pe_cycles[STATES.index(name)].sum())


def check(accelerator: Accelerator, workload, batch: int, bins: int = 100) -> None:
    found = pe_utilization(accelerator, workload, batch, bins)
    reports = layer_reports(accelerator, workload, batch)
    assert found.layers == tuple(report.layer for report in reports)
    assert np.diff(found.starts).tolist() == [report.total_cycles for report in reports]
    assert (found.pe_cycles >= 0).all()
    assert (found.pe_cycles.sum(axis=0) == np.diff(found.edges) * accelerator.pes).all()
    assert found.shares.sum(axis=0) == pytest.approx(1)
    for start, end, report in zip(found.starts[:-1], found.starts[1:], reports, strict=True):
        if start == end:
            continue
        one = pe_utilization(accelerator, workload, batch, 7, (int(start), int(end)))
        spent = {cause: cycles * accelerator.pes for cause, cycles in report.cycles.items()}
        assert of_state(one, "busy") + of_state(one, "unused") == spent["compute"]
        assert of_state(one, "fill_drain") == spent["fill_drain"]
        ports = sum(spent[f"stall_{pad}_port"] for pad in ("ifmap", "weight", "ofmap"))
        assert of_state(one, "load") + of_state(one, "port") == spent["weight_load"] + ports
        assert of_state(one, "vector") == spent["vector"]
        waits = ("prefetch", "stall_dram_bandwidth", "stall_dram_latency", "writeback")
        assert of_state(one, "wait") == sum(spent[cause] for cause in waits)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("accelerator", ACCELERATORS, ids=lambda a: a.describe().split(",")[0] + "-" + str(a.dataflow))
def test_states_add_up_to_the_causes_on_every_accelerator(accelerator: Accelerator, batch: int) -> None:
    check(accelerator, LAYERS, batch)


@pytest.mark.parametrize("accelerator", ACCELERATORS[:6], ids=lambda a: a.describe().split(",")[0])
def test_a_network_with_layers_of_the_vector_unit(accelerator: Accelerator) -> None:
    check(accelerator, small_network(), 3)


@pytest.mark.parametrize("accelerator", ACCELERATORS, ids=lambda a: a.describe().split(",")[0] + "-" + str(a.dataflow))
def test_busy_is_the_busy_of_the_counts(accelerator: Accelerator) -> None:
    reports = layer_reports(accelerator, LAYERS)
    for layer, report in zip(LAYERS, reports, strict=True):
        busy = of_state(pe_utilization(accelerator, [layer]), "busy")
        counted = round(report.utilization * report.total_cycles * accelerator.pes)
        if derive_mapping(accelerator, layer[1]).rate.products == 1:
            assert busy == counted
        else:
            assert busy >= counted  # a tile's last step may fill some of the lanes only


def walk(accelerator: Accelerator, product: Product) -> np.ndarray:
    """Busy PEs in each cycle of a layer of one tile, PE by PE: the definition."""
    rows, cols = accelerator.array.rows, accelerator.array.cols
    mapping = derive_mapping(accelerator, product)
    assert len(mapping.tiles) == 1
    assert mapping.rate.products == 1
    (report,) = layer_reports(accelerator, [("one", product)])
    busy = np.zeros(report.total_cycles, dtype=np.int64)
    now = report.cycles["prefetch"]
    down, across, through = {
        "ws": (product.reduction, product.filters, product.pixels),
        "is": (product.reduction, product.pixels, product.filters),
        "os": (product.pixels, product.filters, product.reduction),
    }[str(accelerator.dataflow)]
    blocks = [(d, a) for a in range(0, across, cols) for d in range(0, down, rows)]
    if str(accelerator.dataflow) == "os":
        blocks = [(d, a) for d in range(0, down, rows) for a in range(0, across, cols)]
    hidden = mapping.fold.hidden
    for number, (first_row, first_col) in enumerate(blocks):
        if not hidden or number == 0:
            now += mapping.fold.load
        for i in range(min(rows, down - first_row)):
            for j in range(min(cols, across - first_col)):
                begin = now + i + j
                busy[begin : begin + through * mapping.rate.interval] += 1
        now += through * mapping.rate.interval
        if not hidden:
            now += mapping.fold.fill_drain
        elif number < len(blocks) - 1:
            now += max(0, mapping.fold.min_interval - through * mapping.rate.interval)
    return busy


@settings(max_examples=60, deadline=None)
@given(
    pixels=st.integers(1, 9),
    reduction=st.integers(1, 11),
    filters=st.integers(1, 11),
    rows=st.integers(1, 5),
    cols=st.integers(1, 5),
    buffers=st.sampled_from([1, 2]),
    dataflow=st.sampled_from(["ws", "is", "os"]),
    pe=st.sampled_from(["fixed", "bit_serial"]),
)
def test_every_cycle_equals_the_walk_of_every_pe(pixels, reduction, filters, rows, cols, buffers, dataflow, pe) -> None:
    accelerator = build(
        "accelerator",
        "tpu_like",
        dataflow=dataflow,
        array={"rows": rows, "cols": cols, "weight_buffers": buffers},
        pe={"name": pe},
    )
    product = Product(pixels, reduction, filters, a_bits=3, w_bits=3)
    assume(len(derive_mapping(accelerator, product).tiles) == 1)  # the walk would need the order of several
    wanted = walk(accelerator, product)
    found = pe_utilization(accelerator, [("one", product)], bins=1 << 20)
    assert found.pe_cycles[0].tolist() == wanted.tolist()


def test_ramp_by_hand() -> None:
    """2 vectors through a 4x4 array: it fills along the diagonals, and empties the same way."""
    os = build("accelerator", "tiny", dataflow="os")
    found = pe_utilization(os, [("one", Product(pixels=4, reduction=2, filters=4))], bins=1000)
    busy = found.pe_cycles[0]
    ramp = busy[np.flatnonzero(busy)[0] :][:8].tolist()
    assert ramp == [1, 3, 5, 7, 7, 5, 3, 1]
    assert busy.sum() == 4 * 2 * 4


def test_groups_repeat() -> None:
    one = conv_product(4, 4, 6, 6, Geometry((3, 3), (1, 1), (1, 1)))
    three = conv_product(12, 12, 6, 6, Geometry((3, 3), (1, 1), (1, 1), groups=3))
    tiny = build("accelerator", "tiny")
    for state in ("busy", "unused", "fill_drain", "load"):
        single = of_state(pe_utilization(tiny, [("one", one)]), state)
        assert of_state(pe_utilization(tiny, [("one", three)]), state) == 3 * single, state


def test_bins_and_windows_do_not_change_what_is_counted() -> None:
    tiny = build("accelerator", "tiny")
    fine = pe_utilization(tiny, LAYERS[:1], bins=1 << 30, cycles=(5000, 9000))
    coarse = pe_utilization(tiny, LAYERS[:1], bins=40, cycles=(5000, 9000))
    assert len(fine.edges) == 4001
    assert (fine.pe_cycles.reshape(len(STATES), 40, 100).sum(axis=2) == coarse.pe_cycles).all()


def test_bad_input_is_named() -> None:
    tiny = build("accelerator", "tiny")
    with pytest.raises(BadInput, match="workload: got no layer"):
        pe_utilization(tiny, [])
    with pytest.raises(BadInput, match="bins: got 0"):
        pe_utilization(tiny, LAYERS, bins=0)
    with pytest.raises(BadInput, match="batch: got 0"):
        pe_utilization(tiny, LAYERS, batch=0)
    for window in ((5, 5), (-1, 3), (0, 1 << 40)):
        with pytest.raises(BadInput, match="cycles: got"):
            pe_utilization(tiny, LAYERS, cycles=window)


def test_too_many_folds_are_refused_by_name(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_FOLDS", 10)
    with pytest.raises(BadInput, match=r"layer 'conv1': got .* folds; allowed: at most 10"):
        pe_utilization(build("accelerator", "tiny"), LAYERS)
