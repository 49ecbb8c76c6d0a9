"""Cycles of one layer by cause, and what moves: from its tiles, all integers.

Every cycle has exactly one cause. Where two hold at once, the order is: the array's own work, then a
scratchpad port, then DRAM bandwidth, then DRAM latency.
"""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.machine import tiling_search
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES
from hwsim.machine.mapping.mapping import Mapping

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerTiming:
    """Cycles of one layer: int64 [rows, cause], with one row for all samples or one per sample.

    `work` int64 [rows, tile] are the cycles of the array on each tile, ports included: of one group where
    all are alike, else of all groups.
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
        """Cycles in which the array is clocked: it is not while it waits for DRAM."""
        total: Ints = self.cycles[:, _CLOCKED].sum(axis=1)
        return total


PORTS = ("ifmap", "weight", "ofmap")
_CLOCKED = [
    CAUSES.index(name)
    for name in ("compute", "fill_drain", "weight_load", "stall_rows", *(f"stall_{pad}_port" for pad in PORTS))
]
_COLUMN = {name: column for column, name in enumerate(CAUSES)}


@dataclass(frozen=True, eq=False)
class StreamCycles:
    """Streaming cycles that depend on the data.

    int64 [sample, group, block of pixels, block of filters, block of channels] each; one block of
    filters stands for all, and for one fold's worth of them: `compute` what the busiest row of the array
    takes, `rows` what the others' waiting for each other adds, `port` what the scratchpads add, and
    `wait` what the next stationary operand adds; `last_wait` int64 [sample, group] is the part of it
    that belongs to the last fold, behind which nothing comes.
    """

    compute: Ints
    rows: Ints
    port: Ints
    wait: Ints
    last_wait: Ints


def time_layer(accelerator: Accelerator, mapping: Mapping, streams: StreamCycles | None = None) -> LayerTiming:
    """Cycles of a layer with multiplications, with those of its streams that depend on the data.

    >>> from hwsim.registry import build
    >>> from hwsim.machine.mapping.mapping import Tiling, derive_mapping
    >>> from hwsim.network.product import Product
    >>> tiny, product = build("accelerator", "tiny"), Product(pixels=37, reduction=4, filters=4)
    >>> mapping = derive_mapping(tiny, product, tiling=Tiling(rows=37, cols=1, filters=4, channels=4))
    >>> int(time_layer(tiny, mapping).array_cycles[0])  # M + 3N - 1
    48
    """
    if accelerator.timing != "rtl":
        return _ideal(accelerator, mapping)
    groups, fold, ports = mapping.product.groups, mapping.fold, mapping.ports
    by_cause, work = _static(mapping) if streams is None else _varying(mapping, streams)
    folds = mapping.totals["folds"]
    if fold.period:
        load = fold.load * ports.load
        last = _last_wait(mapping) if streams is None else streams.last_wait  # [sample, group]
        by_cause["fill_drain"] = fold.fill_drain * groups
        by_cause["weight_load"] = by_cause["weight_load"] + load * groups - _over_groups(last, groups)
        count = len(mapping.tiles)
        each = work.reshape(len(work), work.shape[1] // count, count)  # the array drains between groups
        each[:, :, 0] += load
        each[:, :, -1] += fold.fill_drain - last
    else:
        load = fold.load + ports.pass_load
        by_cause["fill_drain"] = folds * fold.fill_drain
        by_cause["weight_load"] = folds * load
        slow = _load_port(accelerator)
        by_cause[slow] = by_cause[slow] + folds * fold.load * (ports.load - 1)
        by_cause["stall_ofmap_port"] = by_cause["stall_ofmap_port"] + folds * mapping.drain_stall_cycles
        of_fold = fold.fill_drain + fold.load * ports.load + ports.pass_load + mapping.drain_stall_cycles
        over = mapping.tiles["folds"] * of_fold
        each = work.reshape(len(work), work.shape[1] // len(over), len(over))  # [sample, group, tile]
        work = (each + over).reshape(work.shape)
    dram = accelerator.dram
    waits = tiling_search.waits(mapping.tiles, work, groups, dram.bandwidth_bytes_per_cycle * 8, dram.latency_cycles)
    for column, name in enumerate(("prefetch", "stall_dram_bandwidth", "stall_dram_latency", "writeback")):
        by_cause[name] = waits[:, column]
    return LayerTiming(_stack(by_cause, len(work)), work)


def _static(mapping: Mapping) -> tuple[dict[str, int | Ints], Ints]:
    """Causes and work of the streams when every operand pair takes the same steps."""
    table, total, ports = mapping.tiles, mapping.totals, mapping.ports
    own = mapping.row_stationary_pass.own_steps if mapping.row_stationary_pass else mapping.rate.interval
    causes: dict[str, int | Ints] = {f"stall_{pad}_port": 0 for pad in PORTS}
    causes["compute"] = total["stream"] // ports.steps * own
    causes["weight_load"] = total["wait"]
    if ports.slow:
        causes[f"stall_{ports.slow}_port"] = total["stream"] - total["stream"] // ports.steps * own
    return causes, (table["stream"] + table["wait"])[None, :]


def _varying(mapping: Mapping, streams: StreamCycles) -> tuple[dict[str, int | Ints], Ints]:
    """The same from streams by sample."""
    tiles = stream_causes(mapping, streams)
    causes: dict[str, int | Ints] = {f"stall_{pad}_port": 0 for pad in PORTS}
    causes |= {name: values.sum(axis=1) for name, values in tiles.items()}
    return causes, sum(tiles.values(), np.zeros_like(tiles["compute"]))


def stream_causes(mapping: Mapping, streams: StreamCycles) -> dict[str, Ints]:
    """Cycles of streams that depend on the data, by cause: int64 [sample, tile], group after group."""
    table = mapping.tiles

    def spread(values: Ints) -> Ints:
        if values.shape[3] == 1:
            by_tile: Ints = values[:, :, table["m"], 0, table["k"]] * table["n_stream"]
        else:
            by_tile = values[:, :, table["m"], table["n"], table["k"]]
        return by_tile.reshape(len(values), values.shape[1] * len(table))

    parts = {"compute": streams.compute, "stall_rows": streams.rows, "weight_load": streams.wait}
    parts[f"stall_{mapping.ports.slow or 'ifmap'}_port"] = streams.port
    return {name: spread(values) for name, values in parts.items()}


def _last_wait(mapping: Mapping) -> Ints:
    """Cycles that the last fold of a group would wait for the one behind it, where all groups are alike: [1, 1]."""
    tile = mapping.tiles[-1]
    return np.array([[tile["wait"] // tile["folds"]]])


def _over_groups(values: Ints, groups: int) -> Ints:
    """Sum over all groups of int64 [sample, group], or [sample, 1] where they are alike."""
    total: Ints = values.sum(axis=1) * (groups // values.shape[1])
    return total


def _load_port(accelerator: Accelerator) -> str:
    return "stall_ifmap_port" if accelerator.dataflow == "is" else "stall_weight_port"


def _ideal(accelerator: Accelerator, mapping: Mapping) -> LayerTiming:
    """The profiles of other simulators: closed forms over the whole layer, memory for nothing."""
    product, rate, batch = mapping.product, mapping.rate, mapping.batch
    rows, cols, pixels = accelerator.array.rows, accelerator.array.cols, product.pixels * batch
    depth, n_folds = -(-product.reduction // rate.products), -(-product.filters // cols)
    k_folds, fold = -(-depth // rows), mapping.fold
    folds, stream = {
        "ws": (k_folds * n_folds, pixels),
        "is": (k_folds * -(-pixels // cols), product.filters),
        "os": (-(-pixels // rows) * n_folds, depth),
    }[accelerator.dataflow]
    fill = (
        _stonne_fill(rows, cols, pixels, product.filters) if accelerator.timing == "stonne" else folds * fold.fill_drain
    )
    causes: dict[str, int | Ints] = {
        "compute": folds * stream * rate.interval * product.groups,
        "fill_drain": fill * product.groups,
        "weight_load": folds * fold.load * product.groups,
    }
    return LayerTiming(_stack(causes, 1), np.zeros((1, len(mapping.tiles)), dtype=np.int64))


def _stonne_fill(rows: int, cols: int, pixels: int, filters: int) -> int:
    """STONNE's output-stationary mesh charges the used part: rows + columns + 3 per fold, 2 where one of them is 1."""
    total = 0
    for count, down in _parts(pixels, rows):
        for times, across in _parts(filters, cols):
            total += count * times * (down + across + (2 if 1 in (down, across) else 3))
    return total


def _parts(total: int, size: int) -> list[tuple[int, int]]:
    """(how often, used part of the array) of the whole folds and of the rest."""
    return [(total // size, size), *([(1, total % size)] if total % size else [])]


def _stack(causes: Table[str, int | Ints], rows: int) -> Ints:
    table = np.zeros((rows, len(CAUSES)), dtype=np.int64)
    for name, cycles in causes.items():
        table[:, _COLUMN[name]] = cycles
    return table
