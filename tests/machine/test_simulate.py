"""simulate and count: outputs of the definition, causes that add up, and no dependence on the batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.engine.execute import execute
from hwsim.errors import Infeasible
from hwsim.formats import LOGITS, Format, QTensor
from hwsim.machine import CAUSES, EVENTS, Accelerator, count, simulate
from hwsim.machine.cost.estimate import estimate
from hwsim.machine.layer_report import layer_reports
from hwsim.machine.mapping.tiling import Tiling
from hwsim.machine.simulate import captured_values
from hwsim.machine.timing.mapped_layers import map_layers
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op, Region
from hwsim.registry import build, family
from tests.support.networks import networks_with_inputs
from tests.support.small_network import small_network

ACCELERATORS = {name: build("accelerator", name) for name in family("accelerator")}
RUNS_ALL = ACCELERATORS["drq_like"]
SLOW = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}
ARRAY_CAUSES = (
    "compute", "fill_drain", "weight_load", "stall_rows", "stall_ifmap_port", "stall_weight_port", "stall_ofmap_port"
)  # fmt: skip


def can_run(network: Network, accelerator: Accelerator) -> bool:
    try:
        map_layers(network, accelerator)
    except Infeasible:
        return False
    return True


NARROW = networks_with_inputs().filter(lambda case: can_run(case[0], RUNS_ALL))


def run_of(network: Network, accelerator: Accelerator, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cycles and counts with one row per sample."""
    run = simulate(network, accelerator, codes)
    return tuple(np.broadcast_to(part, (len(codes), *part.shape[1:])) for part in (run.cycles, run.counts))


@settings(max_examples=40, **SLOW)  # type: ignore[arg-type]
@given(networks_with_inputs(), st.sampled_from(sorted(ACCELERATORS)))
def test_outputs_cycles_and_counts_hang_together(case: tuple[Network, np.ndarray], name: str) -> None:
    network, codes = case
    accelerator = ACCELERATORS[name]
    if not can_run(network, accelerator):
        accelerator = RUNS_ALL
    if not can_run(network, accelerator):
        return
    run = simulate(network, accelerator, codes)
    expected = reference.run(network, codes)[network.layers[-1].name]
    np.testing.assert_array_equal(run.outputs.reshape(expected.shape), expected)
    varies = accelerator.pe.value_timing or any(layer.region for layer in network.layers)
    assert len(run.cycles) == len(run.counts)
    assert len(run.cycles) == 1 or (varies and len(run.cycles) == len(codes))
    assert run.cycles.shape[1:] == (len(network.layers), len(CAUSES))
    assert run.counts.shape[1:] == (len(network.layers), len(EVENTS))
    assert run.cycles.dtype == run.counts.dtype == run.latency_cycles.dtype == np.int64
    assert run.cycles.min() >= 0 and run.counts.min() >= 0
    pes = accelerator.pes
    for i, layer in enumerate(network.layers):
        array = sum(run.cause(cause)[:, i] for cause in ARRAY_CAUSES)
        if run.event("macs_full")[:, i].any() and not hasattr(accelerator.pe, "outliers"):
            np.testing.assert_array_equal(run.event("pe_cycles")[:, i], array * pes)
        working = run.cause("compute")[:, i] + run.cause("stall_rows")[:, i]
        assert (run.event("pe_busy_cycles")[:, i] <= working * pes).all()
        moves_nothing = layer.op in (Op.FLATTEN, Op.RESHAPE)
        assert (run.cycles[:, i].sum(axis=1) == 0).all() == moves_nothing
        total = run.cycles[:, i].sum(axis=1)
        if accelerator.timing == "rtl":
            bits = run.event("dram_read_bits")[:, i] + run.event("dram_write_bits")[:, i]
            masks = run.masks[layer.name][0].size if layer.region else 0  # are not waited for
            assert (bits - masks <= total * accelerator.dram.bandwidth_bytes_per_cycle * 8).all()
        macs = run.event("macs_full")[:, i] + run.event("macs_low")[:, i]
        wanted = 0
        if layer.op in (Op.CONV, Op.LINEAR):
            assert layer.weight is not None
            wanted = int(np.prod(network.shapes[layer.name])) * layer.weight.codes[0].size
        elif layer.op is Op.MATMUL:
            wanted = int(np.prod(network.shapes[layer.name])) * network.shapes[layer.inputs[0]][-1]
        assert (macs == wanted).all()
    assert (run.latency_cycles == run.cycles.sum(axis=(1, 2))).all()
    assert ((run.utilization >= 0) & (run.utilization <= 1)).all()
    assert (run.utilization <= run.mapping_efficiency).all()


@settings(max_examples=15, **SLOW)  # type: ignore[arg-type]
@given(NARROW)
def test_count_reuses_an_execution_and_a_batch_may_be_split(case: tuple[Network, np.ndarray]) -> None:
    network, codes = case
    technology = build("technology", "nangate45")
    whole = simulate(network, RUNS_ALL, codes)
    again = count(network, RUNS_ALL, execute(network, codes, capture=captured_values(network, RUNS_ALL)))
    np.testing.assert_array_equal(whole.cycles, again.cycles)
    np.testing.assert_array_equal(whole.counts, again.counts)
    parts = [simulate(network, RUNS_ALL, codes[i : i + 1]) for i in range(len(codes))]
    np.testing.assert_array_equal(whole.latency_cycles, np.concatenate([part.latency_cycles for part in parts]))
    energies = [estimate(part, technology).total_energy_pj for part in parts]
    assert np.array_equal(estimate(whole, technology).total_energy_pj, np.concatenate(energies))  # bit for bit


VARIABLE = {
    "regions in lock-step": build("accelerator", "drq_like"),
    "elastic regions": build("accelerator", "drq_like", array={"rows": 4, "cols": 4, "row_fifo_depth": 2}),
    "zero skipping": build("accelerator", "tiny", pe={"name": "fixed", "skip_zeros": True}),
    "leading zeros": build("accelerator", "tiny", pe={"name": "bit_serial", "dynamic_group": 2}, dataflow="os"),
    "loads hidden": build("accelerator", "tiny", pe={"name": "fixed", "skip_zeros": True}, array={"weight_buffers": 2}),
}


@pytest.mark.parametrize("kind", VARIABLE)
def test_every_sample_runs_as_if_alone(kind: str) -> None:
    """Rows of single runs, and permuted samples give permuted rows."""
    accelerator = VARIABLE[kind]
    region = Region(2, 2, 30 * 16, np.ones((8, 1, 3, 3), np.int8)) if accelerator.pe.regions else None
    network, rng = small_network(region), np.random.default_rng(1)
    codes = (
        rng.integers(0, 256, (6, 1, 8, 8)) * rng.integers(0, 2, (6, 1, 8, 8)) // (1 << rng.integers(0, 8, (6, 1, 1, 1)))
    )
    cycles, counts = run_of(network, accelerator, codes)
    assert len(np.unique(cycles.sum(axis=(1, 2)))) > 1  # it does depend on the data
    order = rng.permutation(6)
    permuted_cycles, permuted_counts = run_of(network, accelerator, codes[order])
    np.testing.assert_array_equal(permuted_cycles, cycles[order])
    np.testing.assert_array_equal(permuted_counts, counts[order])
    for i in range(6):
        alone_cycles, alone_counts = run_of(network, accelerator, codes[i : i + 1])
        np.testing.assert_array_equal(alone_cycles[0], cycles[i])
        np.testing.assert_array_equal(alone_counts[0], counts[i])


@settings(max_examples=40, **SLOW)  # type: ignore[arg-type]
@given(
    st.sampled_from(["ws", "os"]),
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 2)),
    st.tuples(st.integers(1, 3), st.integers(1, 8), st.integers(1, 3), st.integers(4, 8)),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 20),
)
def test_where_all_is_sensitive_it_takes_as_long_as_the_full_width(
    dataflow: str,
    array: tuple[int, int, int],
    size: tuple[int, int, int, int],
    banks: tuple[int, int, int],
    bandwidth: int,
) -> None:
    """Cause by cause, in lock-step, with narrow ports and with hidden loads."""
    channels, filters, kernel, side = size
    weight = QTensor(np.ones((filters, channels, kernel, kernel), np.int8), Format(8, signed=True))
    region = Region(2, 2, 0, np.ones(weight.codes.shape, np.int8))
    geometry = Geometry((kernel, kernel))
    conv = Layer("conv", Op.CONV, (INPUT,), LOGITS, 1.0, weight, np.zeros(filters, np.int64), None, geometry, region)
    network = Network(Format(8), (channels, side, side), 1.0, (conv,))
    accelerator = build(
        "accelerator",
        "tiny",
        dataflow=dataflow,
        pe={"name": "drq"},
        array=dict(zip(("rows", "cols", "weight_buffers"), array, strict=True)),
        scratchpads={
            pad: {"banks": b, "word_bytes": 8} for pad, b in zip(("ifmap", "weight", "ofmap"), banks, strict=True)
        },
        dram={"bandwidth_bytes_per_cycle": bandwidth},
    )
    run = simulate(network, accelerator, np.full((1, channels, side, side), 200))
    assert run.masks["conv"].all()
    (report,) = layer_reports(accelerator, network)
    assert dict(zip(CAUSES, run.cycles[0, 0].tolist(), strict=True)) == report.cycles


def test_a_network_by_hand() -> None:
    run = simulate(small_network(), ACCELERATORS["tiny"], np.zeros((5, 1, 8, 8), np.float32))
    assert run.layers == ("conv", "pool", "flat", "head")
    assert run.cycles.shape == (1, 4, len(CAUSES)) and run.latency_cycles.shape == (5,)
    spent = [{name: n for name, n in zip(CAUSES, row, strict=True) if n} for row in run.cycles[0].tolist()]
    assert spent == [
        # two tiles of 4 filters, 3 folds each: 512 + 288 bits before the start, 64 x 4 outputs behind the end
        {
            "compute": 6 * 64,
            "fill_drain": 6 * 7,
            "weight_load": 6 * 4,
            "prefetch": 4 + 800 // 32,
            "writeback": 64 * 4 * 8 // 32,
        },
        # 512 codes in, 128 out: 160 cycles of DRAM, the first before the 4 lanes begin
        {"vector": 128, "prefetch": 4 + 1, "stall_dram_bandwidth": 160 - 1 - 128},
        {},
        # 32 tiles of 4 products and 10 filters, 3 folds each: 352 bits before the start, 10 logits behind the end
        {
            "compute": 96,
            "fill_drain": 96 * 7,
            "weight_load": 96 * 4,
            "prefetch": 4 + 352 // 32,
            "writeback": 10 * 32 // 32,
        },
    ]
    assert run.event("requantizations").tolist() == [[512, 0, 0, 0]]
    assert run.event("vector_ops").tolist() == [[0, 512, 0, 0]]
    assert run.logit_scale == 0.5


def test_tilings_can_be_given() -> None:
    network, codes = small_network(), np.zeros((1, 1, 8, 8), np.int16)
    rows = simulate(network, ACCELERATORS["tiny"], codes, {"conv": Tiling(2, 8, 8, 1)})
    # 4 tiles of 16 pixels, each with its own 6 folds
    assert rows.cause("compute")[0, 0] == 4 * 6 * 16 and rows.cause("weight_load")[0, 0] == 4 * 6 * 4
    again = count(
        network,
        ACCELERATORS["tiny"],
        execute(network, codes),
        map_layers(network, ACCELERATORS["tiny"], tilings={"conv": Tiling(2, 8, 8, 1)}),
    )
    np.testing.assert_array_equal(rows.cycles, again.cycles)


def test_region_precision_needs_a_pe_that_has_it() -> None:
    network = small_network(Region(2, 2, 100, np.zeros((8, 1, 3, 3), np.int8)))
    with pytest.raises(Infeasible, match=r"layer 'conv'.*'fixed'.*PEs that can: drq; accelerators: drq"):
        simulate(network, ACCELERATORS["tpu_like"], np.zeros((1, 1, 8, 8), np.int16))
    run = simulate(network, RUNS_ALL, np.zeros((3, 1, 8, 8), np.int16))
    assert run.cycles.shape[0] == 3 and run.masks["conv"].shape == (3, 4, 4)
    assert run.event("predictor_adds")[0].tolist() == [64 + 16, 0, 0, 0]


def test_a_pe_that_is_too_narrow_is_named_with_the_layer() -> None:
    narrow = build("accelerator", "tiny", pe={"name": "fixed", "max_bits": 4})
    with pytest.raises(Infeasible, match=r"layer 'conv': PE 'fixed' multiplies 1 to 4 bits"):
        simulate(small_network(w_bits=4), narrow, np.zeros((1, 1, 8, 8), np.int16))


def test_region_layers_fetch_the_low_weights_and_the_masks() -> None:
    plain = simulate(small_network(), RUNS_ALL, np.zeros((1, 1, 8, 8), np.int16))
    network = small_network(Region(2, 2, 100, np.zeros((8, 1, 3, 3), np.int8)))
    dynamic = simulate(network, RUNS_ALL, np.zeros((1, 1, 8, 8), np.int16))
    more = dynamic.event("dram_read_bits") - plain.event("dram_read_bits")
    assert more[0, 0] == 72 * 4 + 16


def test_channels_that_decide_alone_have_a_mask_each() -> None:
    """3 channels of 2 x 2 regions: 12 mask bits, and 12 comparisons beside the 48 codes that are added up."""
    weight = QTensor(np.ones((4, 3, 1, 1), np.int8), Format(8, signed=True))
    bits = {}
    for alone in (False, True):
        region = Region(2, 2, 100, np.ones((4, 3, 1, 1), np.int8), per_channel=alone)
        conv = Layer("conv", Op.CONV, (INPUT,), LOGITS, 1.0, weight, np.zeros(4, np.int64), region=region)
        run = simulate(Network(Format(8), (3, 4, 4), 1.0, (conv,)), RUNS_ALL, np.zeros((1, 3, 4, 4), np.int16))
        assert run.masks["conv"].size == (12 if alone else 4)
        assert run.event("predictor_adds").tolist() == [[48 + (12 if alone else 4)]]
        bits[alone] = run.event("dram_read_bits")[0, 0], run.event("dram_write_bits")[0, 0]
    assert tuple(np.subtract(bits[True], bits[False])) == (8, 8)


def test_an_empty_batch_is_a_batch() -> None:
    for region in (None, Region(2, 2, 100, np.zeros((8, 1, 3, 3), np.int8))):
        run = simulate(small_network(region), RUNS_ALL, np.zeros((0, 1, 8, 8), np.int16))
        assert run.latency_cycles.shape == estimate(run, build("technology", "nangate45")).total_energy_pj.shape == (0,)


def test_the_profile_of_another_simulator_has_no_stalls() -> None:
    ideal = build("accelerator", "tiny", timing="scalesim", dram={"bandwidth_bytes_per_cycle": 1})
    run = simulate(small_network(), ideal, np.zeros((1, 1, 8, 8), np.int16))
    waiting = [name for name in CAUSES if name.startswith("stall") or name in ("prefetch", "writeback")]
    assert sum(int(run.cause(name).sum()) for name in waiting) == 0


def test_the_run_is_frozen() -> None:
    run = simulate(small_network(), RUNS_ALL, np.zeros((1, 1, 8, 8), np.int16))
    with pytest.raises(AttributeError):
        run.layers = ()  # type: ignore[misc]
    assert replace(run, logit_scale=2.0).logit_scale == 2.0
