"""PE utilization over time: the state of every PE in every cycle, counted exactly from the folds of each tile.

A fold streams S cycles through the r x c PEs that it uses. PE (i, j) begins i + j cycles after the first
one, so that the busy part of the array grows to a plateau, stays, and shrinks: the picture of fill and
drain. Each PE is in one state in each cycle, and the PE cycles of a state, over a whole layer, are those of its
causes in `hwsim.machine.CAUSES` times all PEs:

    busy, unused   compute: a product, or a place in the array that this fold leaves empty
    port           stall_*_port while operands stream: the PEs pause evenly within every wavefront
    fill_drain     fill_drain
    load           weight_load, and stall_*_port while the stationary operand loads
    wait           prefetch, stall_dram_*, writeback: the array stands still
    vector         vector

The folds of a tile follow each other with the reduction innermost; the totals do not depend on that order.
In a row-stationary array the passes of a tile are not distinguished: their work is spread evenly over its
streams. Without data, as in `hwsim.machine.layer_report`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput
from hwsim.kernels.machine.tiling_search import CHANNELS, FILTERS, PIXELS
from hwsim.machine.dataflow.base import loop_lengths
from hwsim.machine.dataflow.hardware import STONNE
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.layer_report import layer_reports
from hwsim.machine.mapping.mapping import Mapping
from hwsim.machine.timing.ideal_memory import stonne_fill
from hwsim.machine.timing.layer_cycles import WAITS, WORK, time_layer
from hwsim.machine.timing.mapped_layers import MappedLayer, Workload, map_layers
from hwsim.machine.timing.tile_schedule import step_count, tile_steps
from hwsim.network.graph import Network

Ints = NDArray[np.int64]

STATES = ("busy", "unused", "port", "fill_drain", "load", "wait", "vector")
"""States of a PE; see above."""

MAX_FOLDS = 1 << 23
"""Largest number of folds of a group of a layer; each takes about 100 bytes of memory."""

_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class PEUtilization:
    """PE cycles by state over time.

    Attributes
    ----------
    edges : int64 [bin + 1], cycles between which the bins lie
    pe_cycles : int64 [state, bin]
    layers : names
    starts : int64 [layer + 1], first cycle of each layer, and the end
    """

    edges: Ints
    pe_cycles: Ints
    layers: tuple[str, ...]
    starts: Ints

    @property
    def shares(self) -> NDArray[np.float64]:
        """Shares of all PE cycles of a bin: float64 [state, bin], which add up to 1."""
        shares: NDArray[np.float64] = self.pe_cycles / self.pe_cycles.sum(axis=0)
        return shares


def pe_utilization(
    accelerator: Accelerator,
    workload: Workload,
    batch: int = 1,
    bins: int = 600,
    cycles: tuple[int, int] | None = None,
) -> PEUtilization:
    """Count the PE cycles by state over time, in at most `bins` parts of `cycles` (first, end; default all).

    All bins have the same number of cycles; the last one may be shorter. Raises Infeasible, naming the
    layer, when one cannot run, and BadInput when nothing runs, for bins or cycles outside the run, and for
    a layer of more than MAX_FOLDS folds.

    >>> from hwsim.network.product import Product
    >>> from hwsim.registry import build
    >>> from hwsim.network.product import Product
    >>> fc = Product(pixels=1, reduction=4, filters=4)
    >>> pe_utilization(build("accelerator", "tiny"), [("fc", fc)], cycles=(12, 22)).pe_cycles[0].tolist()  # busy
    [0, 1, 2, 3, 4, 3, 2, 1, 0, 0]
    """
    if bins < 1:
        raise BadInput("bins", bins, "1 or more")
    work = workload if isinstance(workload, Network) else list(workload)
    layers = map_layers(work, accelerator, batch)
    starts = np.cumsum([0, *(report.total_cycles for report in layer_reports(accelerator, work, batch))])
    end = int(starts[-1])
    if end == 0:
        raise BadInput("workload", "no layer that takes time", "one or more")
    first, last = (0, end) if cycles is None else cycles
    if not 0 <= first < last <= end:
        raise BadInput("cycles", (first, last), f"first before end, within 0 to {end}")
    width = ceil_div(last - first, bins)
    edges = np.append(np.arange(first, last, width, dtype=np.int64), last)
    spent = np.zeros((len(STATES), len(edges) - 1), dtype=np.int64)
    for mapped, start, behind in zip(layers, starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        local, where = np.unique(np.clip(edges - start, 0, behind - start), return_inverse=True)
        if len(local) > 1:
            spent += np.diff(_layer(accelerator, mapped)(local)[:, where], axis=1)
    return PEUtilization(edges, spent, tuple(mapped.name for mapped in layers), starts)


Until = Callable[[Ints], Ints]
"""From cycles since the start of a layer to the PE cycles spent until then: int64 [state, cycle]."""


def _layer(accelerator: Accelerator, mapped: MappedLayer) -> Until:
    """Return a function of the cycle: PE cycles by state until then."""
    if mapped.mapping is None:
        return _vector(accelerator, mapped)
    count = int(mapped.mapping.tiles["folds"].sum())
    if count > MAX_FOLDS:
        raise BadInput(f"layer {mapped.name!r}", f"{count:,} folds", f"at most {MAX_FOLDS:,} to look at one by one")
    folds = _Folds.of(accelerator, mapped.mapping)
    busy, waits = _steps(accelerator, mapped.mapping)
    begins = np.cumsum(busy + waits) - (busy + waits)
    worked = np.cumsum(busy) - busy

    def until(cycles: Ints) -> Ints:
        step = np.searchsorted(begins, cycles, side="right") - 1
        clocked = worked[step] + np.minimum(cycles - begins[step], busy[step])
        spent = folds.until(clocked)
        spent[STATES.index("wait")] = (cycles - clocked) * accelerator.pes
        return spent

    return until


def _vector(accelerator: Accelerator, mapped: MappedLayer) -> Until:
    """Return the same function for the vector unit: each sample waits, works, and waits again."""
    before, work, after = (int(mapped.cycles.get(name, 0)) for name in ("prefetch", "vector", "stall_dram_bandwidth"))

    def until(cycles: Ints) -> Ints:
        samples, rest = np.divmod(cycles, before + work + after)
        spent = np.zeros((len(STATES), len(cycles)), dtype=np.int64)
        working = samples * work + np.clip(rest - before, 0, work)
        spent[STATES.index("vector")] = working * accelerator.pes
        spent[STATES.index("wait")] = (cycles - working) * accelerator.pes
        return spent

    return until


def _steps(accelerator: Accelerator, mapping: Mapping) -> tuple[Ints, Ints]:
    """Return the clocked cycles of every step, and the cycles of waiting after them: int64 [step] each."""
    if not accelerator.models_memory:
        return time_layer(accelerator, mapping).total, np.zeros(1, dtype=np.int64)
    total = step_count(mapping)
    parts = [tile_steps(accelerator, mapping, i, min(i + _CHUNK, total)) for i in range(0, total, _CHUNK)]
    busy, waits = ([sum(part[name] for name in names) for part in parts] for names in (WORK, WAITS))
    return np.concatenate(busy), np.concatenate(waits)


@dataclass(frozen=True, eq=False)
class _Folds:
    """Folds of one group in clocked cycles, int64 [fold] each.

    A fold begins at `begin`, loads until `start`, streams `stream` cycles through `rows` x `cols` PEs, and then
    every PE is idle for `wait` cycles until its next operand is loaded. In the last `drain_stall` cycles of each
    fold only the ofmap port works.
    """

    array: tuple[int, int]
    groups: int
    length: int  # cycles of a group
    own: int  # cycles of a wavefront in which PEs work
    steps: int  # cycles of a wavefront
    even: bool  # row stationary: no skew, `busy` spread over the stream
    begin: Ints
    start: Ints
    stream: Ints
    wait: Ints
    rows: Ints
    cols: Ints
    busy: Ints
    skew: Ints  # cycles that the last PE begins after the first one
    drain_stall: int

    @classmethod
    def of(cls, accelerator: Accelerator, mapping: Mapping) -> _Folds:
        """Return the folds of a layer."""
        rows, cols, stream, busy = (
            _passes(accelerator, mapping) if mapping.row_stationary_pass else _array_folds(accelerator, mapping)
        )
        groups = mapping.product.groups
        if mapping.fold.hidden:  # groups follow each other without a drain, so that their folds are those of one group
            rows, cols, stream, busy = (np.tile(part, groups) for part in (rows, cols, stream, busy))
            groups = 1
        load, wait, drain = _overheads(accelerator, mapping, stream, rows, cols)
        length = load + stream + wait + drain
        begin = np.cumsum(length) - length
        array = accelerator.array
        full = np.full(len(rows), array.rows + array.cols - 2)
        return cls(
            array=(array.rows, array.cols),
            groups=groups,
            length=int(length.sum()),
            own=mapping.own_cycles,
            steps=mapping.ports.wavefront_cycles,
            even=mapping.row_stationary_pass is not None,
            begin=begin,
            start=begin + load,
            stream=stream,
            wait=wait,
            rows=rows,
            cols=cols,
            busy=busy,
            skew=rows + cols - 2 if accelerator.timing == STONNE else full,
            drain_stall=mapping.fold.drain_stall,
        )

    def until(self, clocked: Ints) -> Ints:
        """Count the PE cycles by state until each of `clocked` cycles of all groups: int64 [state, cycle]."""
        group, cycle = np.divmod(clocked, self.length)
        whole = self._of_group(np.array([self.length]))
        return whole * group + self._of_group(cycle)

    def _of_group(self, cycles: Ints) -> Ints:
        """Count the PE cycles by state until each of `cycles` of one group."""
        now = np.searchsorted(self.begin, cycles, side="right") - 1
        past = np.maximum(now - 1, 0)  # with hidden loads, the fold before may not have drained yet
        done = self._whole[:, past] + np.where(now > 0, self._partly(past, cycles), 0) + self._partly(now, cycles)
        busy, live, window, waited = done
        pes = self.array[0] * self.array[1]
        loading = np.minimum(cycles - self.begin[now], self.start[now] - self.begin[now])
        loaded = (self._loads[now] + loading) * pes + waited
        spent = np.zeros((len(STATES), len(cycles)), dtype=np.int64)
        spent[STATES.index("busy")] = busy
        spent[STATES.index("unused")] = live - busy
        end = np.append(self.begin[1:], self.length)[now]
        drained = (now * self.drain_stall + np.clip(cycles - (end - self.drain_stall), 0, self.drain_stall)) * pes
        spent[STATES.index("port")] = window - live + drained
        spent[STATES.index("load")] = loaded
        spent[STATES.index("fill_drain")] = cycles * pes - window - loaded - drained
        return spent

    @cached_property
    def _loads(self) -> Ints:
        """Cycles of the loads before each fold: int64 [fold]."""
        loads = self.start - self.begin
        before: Ints = np.cumsum(loads) - loads
        return before

    @cached_property
    def _whole(self) -> Ints:
        """PE cycles of all folds before each fold, in the order of `_partly`: int64 [4, fold]."""
        pes = self.array[0] * self.array[1]
        parts = np.stack([self.busy, self.stream // self.steps * self.own * pes, self.stream * pes, self.wait * pes])
        before: Ints = np.cumsum(parts, axis=1) - parts
        return before

    def _partly(self, fold: Ints, cycles: Ints) -> Ints:
        """Count the PE cycles of a fold until a cycle: int64 [4, cycle]; see `_whole` for the order."""
        elapsed, stream = cycles - self.start[fold], self.stream[fold]
        rows, cols = self.array
        if self.even:
            through = np.clip(elapsed, 0, stream)
            live = stream // self.steps * self.own * rows * cols
            size = np.maximum(stream, 1)
            nothing = np.zeros_like(through)
            return np.stack([self.busy[fold] * through // size, live * through // size, through * rows * cols, nothing])
        diagonal = np.arange(rows + cols - 1)
        own_time = elapsed[:, None] - np.minimum(diagonal, self.skew[fold][:, None])
        window = np.clip(own_time, 0, stream[:, None])
        live = window // self.steps * self.own + np.minimum(window % self.steps, self.own)
        waited = np.clip(own_time - stream[:, None], 0, self.wait[fold][:, None])
        used, all_pes = _on_diagonal(diagonal, self.rows[fold], self.cols[fold]), _on_diagonal(diagonal, rows, cols)
        return np.stack([(live * used).sum(axis=1), *((part * all_pes).sum(axis=1) for part in (live, window, waited))])


def _on_diagonal(diagonal: Ints, rows: int | Ints, cols: int | Ints) -> Ints:
    """Count the PEs (i, j) of rows x cols with i + j = diagonal: int64 [case, diagonal]."""
    r, c = np.atleast_1d(rows)[:, None], np.atleast_1d(cols)[:, None]
    count: Ints = np.maximum(0, np.minimum(np.minimum(diagonal + 1, r + c - 1 - diagonal), np.minimum(r, c)))
    return count


def _overheads(
    accelerator: Accelerator, mapping: Mapping, stream: Ints, rows: Ints, cols: Ints
) -> tuple[Ints, Ints, Ints]:
    """Return (load before, wait after, fill and drain) of each fold of a group: int64 [fold] each."""
    fold = mapping.fold
    load = np.full(len(stream), fold.load + fold.load_stall)
    wait, drain = np.zeros_like(load), np.full(len(stream), fold.fill_drain + fold.drain_stall)
    if accelerator.timing == STONNE:
        drain = np.array([stonne_fill(r, c) for r, c in zip(rows.tolist(), cols.tolist(), strict=True)], dtype=np.int64)
    elif fold.hidden:
        load[1:] = drain[:-1] = 0
        wait = fold.hidden_wait(stream)
        wait[-1] = 0
    if mapping.row_stationary_pass:  # the passes of a tile are taken together
        load, drain = load * mapping.tiles["folds"], drain * mapping.tiles["folds"]
    return load, wait, drain


def _passes(accelerator: Accelerator, mapping: Mapping) -> tuple[Ints, Ints, Ints, Ints]:
    """Return (rows, cols, stream, busy PE cycles) of each tile of a row-stationary array, taken as one fold."""
    pixels, filters, depth = _tile_sizes(accelerator, mapping)
    one = np.ones(len(pixels), dtype=np.int64)
    return one, one, mapping.tiles["stream"].copy(), pixels * filters * depth * mapping.rate.interval


def _array_folds(accelerator: Accelerator, mapping: Mapping) -> tuple[Ints, Ints, Ints, Ints]:
    """Return (used rows, used columns, stream, busy PE cycles) of each fold of a group: int64 [fold] each."""
    rows, cols, flow = accelerator.array.rows, accelerator.array.cols, accelerator.dataflow
    pixels, filters, depth = _tile_sizes(accelerator, mapping)
    sizes = {PIXELS: pixels, FILTERS: filters, CHANNELS: ceil_div(depth, mapping.rate.products)}
    down, across, through = sizes[flow.rows_loop], sizes[flow.cols_loop], sizes[flow.streamed]
    row_folds, col_folds = ceil_div(down, rows), ceil_div(across, cols)
    rows_inner = flow.rows_loop == CHANNELS
    inner, outer = (row_folds, col_folds) if rows_inner else (col_folds, row_folds)
    tile = np.repeat(np.arange(len(pixels)), inner * outer)
    number = np.arange(len(tile)) - np.repeat(np.cumsum(inner * outer) - inner * outer, inner * outer)
    i, o = number % inner[tile], number // inner[tile]
    row, col = (i, o) if rows_inner else (o, i)
    used_rows, used_cols = np.minimum(rows, down[tile] - row * rows), np.minimum(cols, across[tile] - col * cols)
    stream = (through * mapping.ports.wavefront_cycles)[tile]
    return (
        used_rows,
        used_cols,
        stream,
        used_rows * used_cols * (stream // mapping.ports.wavefront_cycles * mapping.rate.interval),
    )


def _tile_sizes(accelerator: Accelerator, mapping: Mapping) -> tuple[Ints, Ints, Ints]:
    """Return (output pixels, filters, length of the reduction) of each tile of a group: int64 [tile] each."""
    product, tiling, table = mapping.product, mapping.tiling, mapping.tiles
    if not accelerator.models_memory:  # closed forms over the whole layer
        lengths = loop_lengths(product, mapping.batch)
        return np.array([lengths[PIXELS]]), np.array([lengths[FILTERS]]), np.array([lengths[CHANNELS]])
    taps = product.convolution.taps
    filters = np.minimum(tiling.filters, product.filters - table["n"] * tiling.filters)
    channels = np.minimum(tiling.channels, product.reduction // taps - table["k"] * tiling.channels)
    if mapping.row_stationary_pass:
        passes = ceil_div(channels, mapping.row_stationary_pass.channels)
        return table["ofmap_writes"] // (filters * passes), filters, channels * taps
    times = ceil_div(filters, mapping.extents.filters)
    pixels = table["ifmap_reads"] // (channels * taps * times)
    return pixels, filters, channels * taps
