"""The steps of a layer: what array and DRAM do side by side, tile after tile, by the double-buffer rule.

In step 0 the first tile's operands come. In step s the array works on tile s - 1 while DRAM brings the
operands of tile s and takes the outputs of tile s - 2; the step ends when both are ready. The last step
only writes. It is the rule of `hwsim.kernels.machine.tiling_search.waits`, step by step instead of summed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.cache import cached
from hwsim.errors import BadInput, Infeasible
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import Mapping, derive_mapping
from hwsim.machine.timing.layer_counts import Entries, vector_layer
from hwsim.machine.timing.layer_cycles import StreamCycles, stream_causes
from hwsim.network.graph import Network
from hwsim.network.layer import Layer
from hwsim.network.product import Product, as_product
from hwsim.network.width_groups import width_groups

Ints = NDArray[np.int64]

WORK = (
    "weight_load",
    "compute",
    "stall_rows",
    "stall_ifmap_port",
    "stall_weight_port",
    "stall_ofmap_port",
    "fill_drain",
)
"""Causes of the cycles in which the array works on a tile."""

WAITS = ("prefetch", "stall_dram_bandwidth", "stall_dram_latency", "writeback")
"""Causes of the cycles in which the array waits for DRAM."""

MOVES = ("latency", "fetch", "write")
"""What the cycles of the DRAM port are spent on, in this order within a step."""

BITS = ("ifmap_bits", "weight_bits", "psum_fetch_bits", "output_bits", "psum_spill_bits")
"""What moves over the DRAM port: the first three are fetched, the others written."""

CYCLES = np.dtype([(name, np.int64) for name in WORK], align=True)
"""The array's work on one tile."""

STEP = np.dtype([(name, np.int64) for name in ("tile", *WORK, *WAITS, *MOVES, *BITS)], align=True)
"""One step: the tile that the array works on (-1 in the first step), cycles, and bits."""


@dataclass(frozen=True, eq=False)
class Line:
    """One layer of a workload: `mapping` where it has multiplications, else `cycles` and `counts` of the vector unit.

    Those of the vector unit are of one sample. `streams` are those of one sample where they depend on the
    data, and `beside` the cycles by which multipliers beside the array take longer than the array.
    """

    name: str
    mapping: Mapping | None
    cycles: Entries
    counts: Entries
    streams: StreamCycles | None = None
    outlier_unit_cycles: int = 0


def lines(accelerator: Accelerator, workload: Network | Iterable[tuple[str, Product]], batch: int) -> list[Line]:
    """The layers of `workload` on `accelerator` in their order.

    Raises Infeasible, naming the layer, when one cannot run, and BadInput for a batch below 1.
    """
    if batch < 1:
        raise BadInput("batch", batch, "1 or more")
    if not isinstance(workload, Network):
        return [_product_line(accelerator, name, product, batch) for name, product in workload]
    return [line for layer in workload.layers for line in _network_lines(accelerator, workload, layer, batch)]


def _network_lines(accelerator: Accelerator, network: Network, layer: Layer, batch: int) -> list[Line]:
    if not layer.has_macs:
        return [Line(layer.name, None, *vector_layer(network, layer, accelerator))]
    return [_product_line(accelerator, name, as_product(network, part), batch) for name, part in width_groups(layer)]


def _product_line(accelerator: Accelerator, name: str, product: Product, batch: int) -> Line:
    try:
        return Line(name, derive_mapping(accelerator, product, batch), {}, {})
    except Infeasible as error:
        raise Infeasible(f"layer {name!r}: {error}") from None


def step_count(mapping: Mapping) -> int:
    """Steps of a layer: its tiles, one before them and one behind.

    >>> from hwsim.registry import build
    >>> step_count(derive_mapping(build("accelerator", "tiny"), Product(pixels=1, reduction=4, filters=4)))
    3
    """
    return len(mapping.tiles) * mapping.product.groups + 2


@cached(4)
def tile_work(accelerator: Accelerator, mapping: Mapping, streams: StreamCycles | None = None) -> NDArray[np.void]:
    """Cycles of the array on each tile, by cause: CYCLES [tile], read-only; for `timing = "rtl"` only.

    Of one group where all are alike, and of all groups with `streams` of one sample. They are those of
    `hwsim.machine.timing.layer_cycles.time_layer`, tile by tile.
    """
    table, ports, fold = mapping.tiles, mapping.ports, mapping.fold
    work = np.zeros((1 if streams is None else streams.compute.shape[1], len(table)), dtype=CYCLES)
    if streams is None:
        own = mapping.row_stationary_pass.own_steps if mapping.row_stationary_pass else mapping.rate.interval
        work["compute"] = table["stream"] // ports.steps * own
        if ports.slow:
            work[f"stall_{ports.slow}_port"] = table["stream"] - work["compute"]
        work["weight_load"] = table["wait"]
        last_wait = table["wait"][-1:] // table["folds"][-1]
    else:
        for name, cycles in stream_causes(mapping, streams).items():
            work[name] = cycles.reshape(work.shape)
        last_wait = streams.last_wait[0]
    if fold.period:  # the loads hide behind the streams: only the first one of a group shows, and one drain
        work["weight_load"][:, 0] += fold.load * ports.load
        work["weight_load"][:, -1] -= last_wait
        work["fill_drain"][:, -1] = fold.fill_drain
    else:
        loader = "stall_ifmap_port" if accelerator.dataflow == "is" else "stall_weight_port"
        work["weight_load"] = table["folds"] * (fold.load + ports.pass_load)
        work[loader] += table["folds"] * (fold.load * (ports.load - 1))
        work["stall_ofmap_port"] += table["folds"] * mapping.drain_stall_cycles
        work["fill_drain"] = table["folds"] * fold.fill_drain
    flat = work.reshape(-1)
    flat.setflags(write=False)
    return flat


def tile_steps(
    accelerator: Accelerator,
    mapping: Mapping,
    first: int = 0,
    last: int | None = None,
    streams: StreamCycles | None = None,
) -> NDArray[np.void]:
    """Steps `first` to `last` (not included; the default is all) of a layer: STEP [step].

    Cycles by cause, summed over all steps, are those of `hwsim.machine.layer_report`, or with the `streams` of
    one sample those of its run. For `timing = "rtl"` only.

    >>> from hwsim.registry import build
    >>> tiny = build("accelerator", "tiny")
    >>> steps = tile_steps(tiny, derive_mapping(tiny, Product(pixels=1, reduction=4, filters=4)))
    >>> steps["prefetch"].tolist(), steps["weight_load"].tolist(), steps["writeback"].tolist()
    ([9, 0, 0], [0, 4, 0], [0, 0, 1])
    """
    table, count = mapping.tiles, len(mapping.tiles)
    total = count * mapping.product.groups
    number = np.arange(first, total + 2 if last is None else last)
    worked, fetched, written = (number >= 1) & (number <= total), number < total, number >= 2
    steps = np.zeros(len(number), dtype=STEP)
    steps["tile"] = np.where(worked, number - 1, -1)
    work = tile_work(accelerator, mapping, streams)
    work = work[(number - 1) % len(work)]
    for name in WORK:
        steps[name] = work[name] * worked
    coming, going = table[number % count], table[(number - 2) % count]
    for name, field in zip(BITS[:3], ("ifmap_fetch", "weight_fetch", "psum_fetch"), strict=True):
        steps[name] = coming[field] * fetched
    for name, field in zip(BITS[3:], ("output_bits", "psum_spill"), strict=True):
        steps[name] = going[field] * written
    _transfer(accelerator, steps)
    _wait(steps, worked, number == 0)
    return steps


def _transfer(accelerator: Accelerator, steps: NDArray[np.void]) -> None:
    """Fill in the cycles of the DRAM port; a cycle that fetch and write share counts for the fetch."""
    per_cycle = accelerator.dram.bandwidth_bytes_per_cycle * 8
    fetch, write = (sum((steps[name] for name in names), np.int64(0)) for names in (BITS[:3], BITS[3:]))
    steps["latency"] = np.where(fetch > 0, accelerator.dram.latency_cycles, 0)
    steps["fetch"] = -(-fetch // per_cycle)
    steps["write"] = -(-(fetch + write) // per_cycle) - steps["fetch"]


def _wait(steps: NDArray[np.void], worked: NDArray[np.bool_], begins: NDArray[np.bool_]) -> None:
    """Fill in the cycles in which the array waits."""
    busy = sum((steps[name] for name in WORK), np.int64(0))
    transfer = steps["fetch"] + steps["write"]
    waiting = np.maximum(0, transfer + steps["latency"] - busy)
    late = np.maximum(0, transfer - busy)
    steps["stall_dram_bandwidth"] = late * worked
    steps["stall_dram_latency"] = (waiting - late) * worked
    steps["prefetch"] = waiting * begins
    steps["writeback"] = waiting * ~(worked | begins)
