"""simulate and count: outputs of the definition, causes that add up, and no dependence on the batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import networks_with_inputs
from small_network import small_network

from hwsim import reference
from hwsim.engine.execute import execute
from hwsim.errors import Infeasible
from hwsim.machine import CAUSES, EVENTS, count, estimate, simulate
from hwsim.machine.mapping import check_runs
from hwsim.network.graph import Network
from hwsim.network.layer import Op, Region
from hwsim.registry import build, family

ACCELERATORS = {name: build("accelerator", name) for name in family("accelerator")}
RUNS_ALL = ACCELERATORS["drq_like"]
SLOW = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


def fits_the_pes(case: tuple[Network, np.ndarray]) -> bool:
    """No PE multiplies operands of more than 8 bits."""
    try:
        check_runs(case[0], RUNS_ALL)
    except Infeasible:
        return False
    return True


NARROW = networks_with_inputs().filter(fits_the_pes)


@settings(max_examples=25, **SLOW)  # type: ignore[arg-type]
@given(NARROW, st.sampled_from(sorted(ACCELERATORS)))
def test_outputs_cycles_and_counts_hang_together(case: tuple[Network, np.ndarray], name: str) -> None:
    network, codes = case
    dynamic = any(layer.region for layer in network.layers)
    accelerator = RUNS_ALL if dynamic else ACCELERATORS[name]
    run = simulate(network, accelerator, codes)
    expected = reference.run(network, codes)[network.layers[-1].name]
    np.testing.assert_array_equal(run.outputs.reshape(expected.shape), expected)
    rows = len(codes) if dynamic else 1
    assert run.cycles.shape == (rows, len(network.layers), len(CAUSES))
    assert run.counts.shape == (rows, len(network.layers), len(EVENTS))
    assert run.cycles.dtype == run.counts.dtype == run.latency_cycles.dtype == np.int64
    assert run.cycles.min() >= 0 and run.counts.min() >= 0
    for i, layer in enumerate(network.layers):
        pes = accelerator.array.rows * accelerator.array.cols
        working = sum(run.cause(cause)[:, i] for cause in ("compute", "fill_drain", "weight_load"))
        np.testing.assert_array_equal(run.event("pe_cycles")[:, i], working * pes)
        assert (run.event("pe_busy_cycles")[:, i] <= run.cause("compute")[:, i] * pes).all()
        assert (run.cycles[:, i].sum(axis=1) == 0).all() == (layer.op in (Op.FLATTEN, Op.RESHAPE))
        macs = run.event("macs_full")[:, i] + run.event("macs_low")[:, i]
        wanted = 0
        if layer.op in (Op.CONV, Op.LINEAR):
            assert layer.weight is not None
            outputs = int(np.prod(network.shapes[layer.name]))
            wanted = outputs * layer.weight.codes[0].size
        elif layer.op is Op.MATMUL:
            wanted = int(np.prod(network.shapes[layer.name])) * network.shapes[layer.inputs[0]][-1]
        assert (macs == wanted).all()
    assert (run.latency_cycles == run.cycles.sum(axis=(1, 2))).all()
    assert ((run.mapping_efficiency >= 0) & (run.mapping_efficiency <= 1)).all()
    assert (run.overall_utilisation <= run.mapping_efficiency).all()


@settings(max_examples=15, **SLOW)  # type: ignore[arg-type]
@given(NARROW)
def test_count_reuses_an_execution_and_a_batch_may_be_split(case: tuple[Network, np.ndarray]) -> None:
    network, codes = case
    technology = build("technology", "nangate45")
    whole = simulate(network, RUNS_ALL, codes)
    again = count(network, RUNS_ALL, execute(network, codes))
    np.testing.assert_array_equal(whole.cycles, again.cycles)
    np.testing.assert_array_equal(whole.counts, again.counts)
    parts = [simulate(network, RUNS_ALL, codes[i : i + 1]) for i in range(len(codes))]
    np.testing.assert_array_equal(whole.latency_cycles, np.concatenate([part.latency_cycles for part in parts]))
    energies = [estimate(part, technology).total_energy_pj for part in parts]
    assert np.array_equal(estimate(whole, technology).total_energy_pj, np.concatenate(energies))  # bit for bit


def test_a_network_by_hand() -> None:
    run = simulate(small_network(), ACCELERATORS["tiny"], np.zeros((5, 1, 8, 8), np.float32))
    assert run.layers == ("conv", "pool", "flat", "head")
    assert run.cycles.shape == (1, 4, 5) and run.latency_cycles.shape == (5,)
    # conv: 3 x 2 folds of 64 pixels; 160 bits before the start; pool: 512 codes, 4 lanes; head: 32 x 3 folds of 1
    assert run.cycles[0].tolist() == [
        [6 * 64, 6 * 7, 6 * 4, 5, 0],
        [0, 0, 0, 1 + max(0, -(-(4096 + 1024 - 8) // 32) - 128), 128],
        [0, 0, 0, 0, 0],
        [96, 96 * 7, 96 * 4, 5, 0],
    ]
    assert run.event("requantizations").tolist() == [[512, 0, 0, 0]]
    assert run.event("vector_ops").tolist() == [[0, 512, 0, 0]]
    assert run.logit_scale == 0.5


def test_region_precision_needs_a_pe_that_has_it() -> None:
    network = small_network(Region(2, 2, 100, np.zeros((8, 1, 3, 3), np.int8)))
    with pytest.raises(Infeasible, match=r"layer 'conv'.*'fixed'.*PEs that can: drq; accelerators: drq_like"):
        simulate(network, ACCELERATORS["tpu_like"], np.zeros((1, 1, 8, 8), np.int16))
    run = simulate(network, RUNS_ALL, np.zeros((3, 1, 8, 8), np.int16))
    assert run.cycles.shape[0] == 3 and run.masks["conv"].shape == (3, 4, 4)
    assert run.event("predictor_adds")[0].tolist() == [64 + 16, 0, 0, 0]


def test_a_pe_that_is_too_narrow_is_named_with_the_layer() -> None:
    narrow = build("accelerator", "tiny", pe={"name": "fixed", "max_bits": 4})
    with pytest.raises(Infeasible, match=r"layer 'conv': PE 'fixed' multiplies 1 to 4 bits.*max_bits = 8"):
        simulate(small_network(w_bits=4), narrow, np.zeros((1, 1, 8, 8), np.int16))


def test_region_layers_fetch_the_low_weights_and_the_masks() -> None:
    plain = simulate(small_network(), RUNS_ALL, np.zeros((1, 1, 8, 8), np.int16))
    network = small_network(Region(2, 2, 100, np.zeros((8, 1, 3, 3), np.int8)))
    dynamic = simulate(network, RUNS_ALL, np.zeros((1, 1, 8, 8), np.int16))
    more = dynamic.event("dram_read_bits") - plain.event("dram_read_bits")
    assert more[0, 0] == 72 * 4 + 16


def test_an_empty_batch_is_a_batch() -> None:
    for region in (None, Region(2, 2, 100, np.zeros((8, 1, 3, 3), np.int8))):
        run = simulate(small_network(region), RUNS_ALL, np.zeros((0, 1, 8, 8), np.int16))
        assert run.latency_cycles.shape == estimate(run, build("technology", "nangate45")).total_energy_pj.shape == (0,)


def test_scalesim_profile_has_no_stalls() -> None:
    ideal = build("accelerator", "tiny", timing="scalesim", dram={"bandwidth_bytes_per_cycle": 1})
    run = simulate(small_network(), ideal, np.zeros((1, 1, 8, 8), np.int16))
    assert run.cause("memory_stall").sum() == 0


def test_the_run_is_frozen() -> None:
    run = simulate(small_network(), RUNS_ALL, np.zeros((1, 1, 8, 8), np.int16))
    with pytest.raises(AttributeError):
        run.layers = ()  # type: ignore[misc]
    assert replace(run, logit_scale=2.0).logit_scale == 2.0
