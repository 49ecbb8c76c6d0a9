"""Tile schedule of a layer: the work of the array and the transfers of DRAM, step by step, double buffered.

In step 0 the first tile is fetched. In step s the array works on tile s - 1 while DRAM fetches tile s and
writes the outputs of tile s - 2; the step ends when both are done. The last step only writes. Summed over its
steps the schedule equals `hwsim.machine.timing.layer_cycles.time_layer`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.cache import cached
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import Mapping
from hwsim.machine.timing.layer_cycles import WAITS, WORK, StreamCycles, edge_cycles, tile_cycles

Ints = NDArray[np.int64]

MOVES = ("latency", "fetch", "write")
"""What the cycles of the DRAM port are spent on, in this order within a step."""

BITS = ("ifmap_bits", "weight_bits", "psum_fetch_bits", "output_bits", "psum_spill_bits")
"""What moves over the DRAM port: the first three are fetched, the other two are written."""

CYCLES = np.dtype([(name, np.int64) for name in WORK], align=True)
"""The array's work on one tile."""

STEP = np.dtype([(name, np.int64) for name in ("tile", *WORK, *WAITS, *MOVES, *BITS)], align=True)
"""One step: the tile that the array works on (-1 in the first and the last step), cycles, and bits."""


def step_count(mapping: Mapping) -> int:
    """Count the steps of a layer: one per tile, one before them and one after them.

    >>> from hwsim.machine.mapping.mapping import derive_mapping
    >>> from hwsim.network.product import Product
    >>> from hwsim.registry import build
    >>> step_count(derive_mapping(build("accelerator", "tiny"), Product(pixels=1, reduction=4, filters=4)))
    3
    """
    return len(mapping.tiles) * mapping.product.groups + 2


@cached(4)
def tile_work(accelerator: Accelerator, mapping: Mapping, streams: StreamCycles | None = None) -> NDArray[np.void]:
    """Return the cycles of the array on each tile by cause: CYCLES [tile], read-only; with modeled memory only.

    The tiles are those of one group where all groups are alike, and those of all groups with the `streams` of one
    sample. `edge_cycles` come on top.
    """
    cycles = tile_cycles(accelerator, mapping, streams)
    work = np.zeros(cycles.shape[2], dtype=CYCLES)
    for row, name in enumerate(WORK):
        work[name] = cycles[row, 0]
    work.setflags(write=False)
    return work


def tile_steps(
    accelerator: Accelerator,
    mapping: Mapping,
    first: int = 0,
    last: int | None = None,
    streams: StreamCycles | None = None,
) -> NDArray[np.void]:
    """Return steps `first` to `last` (not included; the default is all) of a layer: STEP [step].

    `streams` are those of one sample, where they depend on the data. With modeled memory only.

    >>> from hwsim.machine.mapping.mapping import derive_mapping
    >>> from hwsim.network.product import Product
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
    edges = edge_cycles(mapping, streams)[:, 0]
    for name, (at_first, at_last) in zip(WORK, edges.tolist(), strict=True):
        steps[name] = work[name] * worked + at_first * (number == 1) + at_last * (number == total)
    coming, going = table[number % count], table[(number - 2) % count]
    for name, field in zip(BITS[:3], ("ifmap_fetch", "weight_fetch", "psum_fetch"), strict=True):
        steps[name] = coming[field] * fetched
    for name, field in zip(BITS[3:], ("output_bits", "psum_spill"), strict=True):
        steps[name] = going[field] * written
    _fill_transfers(accelerator, steps)
    _fill_waits(steps, worked, number == 0)
    return steps


def _fill_transfers(accelerator: Accelerator, steps: NDArray[np.void]) -> None:
    """Fill in the cycles of the DRAM port; a cycle that fetch and write share counts for the fetch."""
    per_cycle = accelerator.dram.bandwidth_bytes_per_cycle * 8
    fetch, write = (_sum(steps, names) for names in (BITS[:3], BITS[3:]))
    steps["latency"] = np.where(fetch > 0, accelerator.dram.latency_cycles, 0)
    steps["fetch"] = ceil_div(fetch, per_cycle)
    steps["write"] = ceil_div(fetch + write, per_cycle) - steps["fetch"]


def _fill_waits(steps: NDArray[np.void], worked: NDArray[np.bool_], begins: NDArray[np.bool_]) -> None:
    """Fill in the cycles in which the array waits; `worked` and `begins` bool [step]."""
    busy = _sum(steps, WORK)
    transfer = steps["fetch"] + steps["write"]
    waiting = np.maximum(0, transfer + steps["latency"] - busy)
    transfer_wait = np.maximum(0, transfer - busy)
    steps["stall_dram_bandwidth"] = transfer_wait * worked
    steps["stall_dram_latency"] = (waiting - transfer_wait) * worked
    steps["prefetch"] = waiting * begins
    steps["writeback"] = waiting * ~(worked | begins)


def _sum(steps: NDArray[np.void], names: Sequence[str]) -> Ints:
    """Sum some fields of STEP: int64 [step]."""
    total: Ints = sum((steps[name] for name in names), np.zeros(len(steps), dtype=np.int64))
    return total
