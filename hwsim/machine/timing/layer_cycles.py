"""Cycles of a mapped layer by cause: the tiles of its schedule, summed. All integers.

Every cycle has exactly one cause. Where two hold at once, the order is: the array's own work, then a
scratchpad port, then DRAM bandwidth, then DRAM latency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.machine import tiling_search
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES
from hwsim.machine.mapping.mapping import Mapping
from hwsim.machine.timing.ideal_memory import ideal_cycles

Ints = NDArray[np.int64]

WORK = ("weight_load", "compute", "stall_rows", *(f"stall_{pad}_port" for pad in SCRATCHPADS), "fill_drain")
"""Causes of the cycles in which the array works on a tile."""

WAITS = ("prefetch", "stall_dram_bandwidth", "stall_dram_latency", "writeback")
"""Causes of the cycles in which the array waits for DRAM."""

_COLUMN = {name: column for column, name in enumerate(CAUSES)}
_WORK = {name: row for row, name in enumerate(WORK)}
_WORK_COLUMNS, _WAIT_COLUMNS = np.array([_COLUMN[name] for name in WORK]), np.array([_COLUMN[name] for name in WAITS])


@dataclass(frozen=True, eq=False)
class LayerTiming:
    """Cycles of one layer.

    Attributes
    ----------
    cycles : int64 [rows, cause], with one row for all samples or one per sample
    work : int64 [rows, tile], cycles of the array on each tile, ports included: of one group where all groups
        are alike, else of all groups. The edges of `edge_cycles` are not in it
    """

    cycles: Ints
    work: Ints

    def cause(self, name: str) -> Ints:
        """Cycles of one cause, int64 [rows]."""
        return self.cycles[:, _COLUMN[name]]

    @property
    def total(self) -> Ints:
        """Cycles of all causes, int64 [rows]."""
        total: Ints = self.cycles.sum(axis=1)
        return total

    @property
    def array_cycles(self) -> Ints:
        """Cycles in which the array is clocked, int64 [rows]; it is not while it waits for DRAM."""
        total: Ints = self.cycles[:, _WORK_COLUMNS].sum(axis=1)
        return total


@dataclass(frozen=True, eq=False)
class StreamCycles:
    """Streaming cycles that depend on the data.

    All arrays but the last are int64 [sample, group, block of pixels, block of filters, block of channels]. One
    block of filters stands for all blocks, and then for one fold's worth of filters.

    Attributes
    ----------
    compute : cycles of the busiest row of the array
    rows : further cycles in which rows of variable speed wait for each other
    port : further cycles because of the scratchpad ports
    wait : further cycles until the next stationary operand is loaded
    last_wait : int64 [sample], the part of `wait` that belongs to the last fold of all groups, which no fold
        follows
    """

    compute: Ints
    rows: Ints
    port: Ints
    wait: Ints
    last_wait: Ints


def time_layer(accelerator: Accelerator, mapping: Mapping, streams: StreamCycles | None = None) -> LayerTiming:
    """Compute the cycles of a layer with multiplications; `streams` are those that depend on the data.

    >>> from hwsim.registry import build
    >>> from hwsim.machine.mapping.mapping import derive_mapping
    >>> from hwsim.machine.mapping.tiling import Tiling
    >>> from hwsim.network.product import Product
    >>> tiny, product = build("accelerator", "tiny"), Product(pixels=37, reduction=4, filters=4)
    >>> mapping = derive_mapping(tiny, product, tiling=Tiling(rows=37, cols=1, filters=4, channels=4))
    >>> int(time_layer(tiny, mapping).array_cycles[0])  # M + 3N - 1
    48
    """
    if not accelerator.models_memory:
        table = np.zeros((1, len(CAUSES)), dtype=np.int64)
        for cause, cycles in ideal_cycles(accelerator, mapping).items():
            table[0, _COLUMN[cause]] = cycles
        return LayerTiming(table, np.zeros((1, len(mapping.tiles)), dtype=np.int64))
    by_tile = tile_cycles(accelerator, mapping, streams)
    groups, dram = mapping.product.groups, accelerator.dram
    work: Ints = by_tile.sum(axis=0)
    edges = edge_cycles(mapping, streams)
    table = np.zeros((len(work), len(CAUSES)), dtype=np.int64)
    table[:, _WORK_COLUMNS] = by_tile.sum(axis=2).T * (groups if streams is None else 1) + edges.sum(axis=2).T
    table[:, _WAIT_COLUMNS] = tiling_search.waits(
        mapping.tiles, work, edges.sum(axis=0), groups, dram.bandwidth_bytes_per_cycle * 8, dram.latency_cycles
    )
    return LayerTiming(table, work)


def tile_cycles(accelerator: Accelerator, mapping: Mapping, streams: StreamCycles | None = None) -> Ints:
    """Compute the cycles of the array on each tile by cause: int64 [cause of WORK, sample, tile].

    The tiles are those of one group where all groups are alike, and those of all groups with `streams`. Cycles
    that only the first or the last tile of the layer has are those of `edge_cycles`.
    """
    cycles = _streaming(mapping) if streams is None else _streaming_by_sample(mapping, streams)
    fold, count = mapping.fold, len(mapping.tiles)
    if fold.hidden:
        return cycles
    by_group = cycles.reshape(*cycles.shape[:2], cycles.shape[2] // count, count)  # a view
    load, drain = by_group[_WORK["weight_load"]], by_group[_WORK["fill_drain"]]
    folds = mapping.tiles["folds"]
    load += folds * fold.load
    drain += folds * fold.fill_drain
    if fold.load_stall:
        by_group[_WORK[f"stall_{accelerator.dataflow.load_port}_port"]] += folds * fold.load_stall
    if fold.drain_stall:
        by_group[_WORK["stall_ofmap_port"]] += folds * fold.drain_stall
    return cycles


def edge_cycles(mapping: Mapping, streams: StreamCycles | None = None) -> Ints:
    """Compute further cycles of the first and of the last tile of all groups: int64 [cause of WORK, sample, 2].

    Where loads are hidden, groups follow each other as folds do: only the first load of the layer and its last
    drain are visible, and the last fold waits for no other.
    """
    edges = np.zeros((len(WORK), 1 if streams is None else len(streams.compute), 2), dtype=np.int64)
    fold = mapping.fold
    if fold.hidden:
        load, drain = edges[_WORK["weight_load"]], edges[_WORK["fill_drain"]]
        load[:, 0] = fold.load
        load[:, 1] = -(_last_wait(mapping) if streams is None else streams.last_wait)
        drain[:, 1] = fold.fill_drain
    return edges


def _streaming(mapping: Mapping) -> Ints:
    """Cycles in which operands stream, where every operand pair takes the same: int64 [cause of WORK, 1, tile]."""
    stream, ports = mapping.tiles["stream"], mapping.ports
    cycles = np.zeros((len(WORK), 1, len(stream)), dtype=np.int64)
    cycles[_WORK["compute"]] = stream // ports.wavefront_cycles * mapping.own_cycles
    cycles[_WORK["weight_load"]] = mapping.tiles["wait"]
    if ports.limited_by:
        cycles[_WORK[f"stall_{ports.limited_by}_port"]] = stream - cycles[_WORK["compute"]]
    return cycles


def _streaming_by_sample(mapping: Mapping, streams: StreamCycles) -> Ints:
    """Cycles in which operands stream, where they depend on the data: int64 [cause of WORK, sample, tile]."""
    table = mapping.tiles
    samples, groups = streams.compute.shape[:2]
    cycles = np.zeros((len(WORK), samples, groups * len(table)), dtype=np.int64)
    for cause, values in (
        ("compute", streams.compute),
        ("stall_rows", streams.rows),
        (f"stall_{mapping.ports.limited_by or 'ifmap'}_port", streams.port),
        ("weight_load", streams.wait),
    ):
        if values.shape[3] == 1:  # one block of filters stands for all blocks
            by_tile = values[:, :, table["m"], 0, table["k"]] * table["n_stream"]
        else:
            by_tile = values[:, :, table["m"], table["n"], table["k"]]
        cycles[_WORK[cause]] = by_tile.reshape(samples, groups * len(table))
    return cycles


def _last_wait(mapping: Mapping) -> int:
    """Cycles that the last fold would wait for a fold behind it, where all groups are alike."""
    tile = mapping.tiles[-1]
    return int(tile["wait"]) // int(tile["folds"])
