"""The circuit of accel_models/rtl: its own counter and its integers against hwsim's model and engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import hwsim
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.mapping.tiling import Tiling
from hwsim.machine.run import Run
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.network.graph import Network
from hwsim.network.product import Product
from tests.rtl import expected
from tests.rtl.arrays import DRQ_ARRAYS, FUSED_ARRAYS
from tests.rtl.build import DRQ, Array, tools
from tests.rtl.circuit import run
from tests.rtl.job import MODES
from tests.rtl.jobs import random_job
from tests.rtl.network import run_network
from tests.rtl.test_network import fused_network, region_network
from tests.validation.machines import accelerator
from tests.validation.rows import Group, Row, Section

SAMPLES = 3
NOT_ARRAY = ("stall_dram_bandwidth", "stall_dram_latency", "prefetch", "writeback", "vector")
SOURCE = "the circuit's cycle counter and outputs, run with Verilator"
PRODUCTS = "matrix products of several folds, all 36 operand modes of the fused PE"
NETWORKS = "whole networks, fused and DRQ PEs, lock-step and elastic"
BOTH = "the same, elastic rows with two weight registers"
RUNS_ON = (
    "hwsim lets elastic rows drain before the next fold; the circuit's first rows go on with it while the last ones end"
)


def groups() -> tuple[Group, ...]:
    """Single products in every mode, then networks; nothing where the circuit cannot be built."""
    missing = tools()
    if isinstance(missing, str):
        return tuple(Group(what, SOURCE, (), absent=missing) for what in (PRODUCTS, NETWORKS, BOTH))
    both = [array for array in DRQ_ARRAYS if array.places and array.double and array.rows > 1]
    return (
        _group(PRODUCTS, "products", _products()),
        _group(NETWORKS, "layers of samples", _networks([*FUSED_ARRAYS, *(a for a in DRQ_ARRAYS if a not in both)])),
        _group(BOTH, "layers of samples", _networks(both), RUNS_ON),
    )


Compared = tuple[str, int, int, int, bool]
"""Array, folds, the circuit's cycles, ours, and whether all integers are the same."""


def _group(what: str, unit: str, compared: Iterator[Compared], reason: str = "") -> Group:
    """Cycles summed by array; every one is compared by itself. With a `reason` cycles may differ, integers never."""
    found = list(compared)
    rows = []
    for name in dict.fromkeys(name for name, *_ in found):
        mine = [one for one in found if one[0] == name]
        theirs, ours = (sum(one[column] for one in mine) for column in (2, 3))
        rows.append(Row(f"{name}: {len(mine)} {unit}", theirs, ours, reason))
    wrong_cycles, wrong_integers = sum(one[2] != one[3] for one in found), sum(not one[4] for one in found)
    folds = sum(one[1] for one in found)
    note = f"{len(found):,} {unit}, {folds:,} folds; rows are sums of cycles. "
    note += f"Cycles differ in {wrong_cycles} of them, integers in {wrong_integers}."
    wrong = wrong_integers + (0 if reason else wrong_cycles)
    return Group(f"{what}: cycles and integers", SOURCE, tuple(rows), "", len(found), wrong, note=note)


def _products() -> Iterator[Compared]:
    rng = np.random.default_rng(0)
    for array in FUSED_ARRAYS:
        machine = _machine(array)
        for mode in MODES:
            depth, filters = 2 * array.rows * mode.lanes - 1, array.cols + 1  # 2 x 2 folds
            job = random_job(rng, array, (19, depth, filters), mode)
            result = run(job)
            product = Product(19, depth, filters, a_bits=mode.a_bits, w_bits=mode.w_bits, ifmap_elements=19 * depth)
            mapping = derive_mapping(machine, product, tiling=Tiling(19, 1, filters, depth))
            ours = int(time_layer(machine, mapping).array_cycles[0])
            same = not expected.differences(job, result)
            yield str(array), job.k_folds * job.n_folds, result.cycles, ours, same


def _networks(arrays: Sequence[Array]) -> Iterator[Compared]:
    for array in arrays:
        network = region_network() if array.kind == DRQ else fused_network()
        form = network.input
        codes = np.random.default_rng(1).integers(form.qmin, form.qmax + 1, (SAMPLES, *network.input_shape))
        outputs = hwsim.execute(network, codes).outputs
        simulated = hwsim.simulate(network, _machine(array), codes)
        for sample in range(SAMPLES):
            yield from _layers(network, array, codes, outputs, simulated, sample)


def _layers(
    network: Network, array: Array, codes: np.ndarray, outputs: np.ndarray, simulated: Run, sample: int
) -> Iterator[Compared]:
    done = run_network(network, codes[sample : sample + 1], array)
    same = np.array_equal(done.codes[network.layers[-1].name].ravel(), outputs[sample])
    away = sum(simulated.cause(name) for name in NOT_ARRAY)
    ours = (simulated.cycles.sum(axis=2) - away)[sample % len(simulated.cycles)]
    for name, (job, result) in done.jobs.items():
        cycles = int(ours[simulated.layers.index(name)])
        yield str(array), job.k_folds * job.n_folds, result.cycles, cycles, same


def _machine(array: Array) -> Accelerator:
    """The accelerator that the circuit is, with memories that never make it wait and hold every layer whole."""
    pads = {pad: {"kib": 1 << 16, "banks": 64, "word_bytes": 64} for pad in SCRATCHPADS}
    sizes: dict[str, Any] = {"rows": array.rows, "cols": array.cols, "weight_buffers": 1 + array.double}
    sizes["row_fifo_depth"] = array.places - 1 if array.places else None
    dram = {"bandwidth_bytes_per_cycle": 1 << 20, "latency_cycles": 0}
    pe = {"name": "drq" if array.kind == DRQ else "fused"}
    return accelerator("tpu_like", array=sizes, pe=pe, scratchpads=pads, dram=dram)


SECTION = Section(
    "the circuit (RTL)",
    """
The weight-stationary array once more in Verilog ([docs/rtl.md](rtl.md)), with one or two weight registers, in
lock-step or elastic. `ours` are the cycles that `hwsim.machine` counts for the array, DRAM left out; integers are
those of `hwsim.execute` and numpy.
""",
    groups,
    quick=False,
)
