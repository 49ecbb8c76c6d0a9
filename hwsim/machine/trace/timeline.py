"""Timeline of array, DRAM port and vector unit, and its trace file for Perfetto.

The events follow `hwsim.machine.timing.tile_schedule`. Where a scratchpad port is slow, a tile streams
slowly; where the next tile is not there yet, the array waits. All folds of a tile are drawn together: first their
loads, then their streams, then their fills. With a second weight register (`array.weight_buffers = 2`) the loads are
hidden, and the only load and fill of a layer are drawn with its first and last tile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput, Infeasible
from hwsim.files import writing
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES
from hwsim.machine.mapping.mapping import Mapping as LayerMapping
from hwsim.machine.timing.layer_cycles import WAITS, WORK, time_layer
from hwsim.machine.timing.mapped_layers import MappedLayer, Workload, map_layers
from hwsim.machine.timing.tile_schedule import BITS, MOVES, STEP, step_count, tile_steps

TRACKS = ("layers", "array", "dram", "vector")
"""Tracks: one event per layer, and the events of array, DRAM port and vector unit."""

MAX_STEPS = 1 << 26
"""Largest number of steps of a layer whose timeline is drawn."""

MAX_EVENTS = 20_000
SPLIT_TILES = 64
"""Largest number of tiles of a layer whose tiles are drawn in parts: load, stream, fill and drain."""

_EVENTS_PER_STEP = 8  # three parts of the work, two waits, three moves of DRAM

_WAIT_NAMES = {
    "prefetch": "wait for the first tile",
    "stall_dram_bandwidth": "wait for DRAM bandwidth",
    "stall_dram_latency": "wait for DRAM latency",
    "writeback": "wait for the last write",
}


Arguments = Mapping[str, int | str]


@dataclass(frozen=True)
class Event:
    """An event of `cycles` cycles from `start_cycle` on.

    `arguments` contains the layer and the parts of the event: on `layers`, `array` and `vector` cycles by cause
    (`hwsim.machine.CAUSES`), on `dram` bits. Arguments `tiles` or `samples` above 1 count neighbors that are drawn as
    one event: sums are exact, and their parts are drawn in order.
    """

    track: str
    name: str
    start_cycle: int
    cycles: int
    arguments: Arguments

    @property
    def end_cycle(self) -> int:
        """The cycle after the last one."""
        return self.start_cycle + self.cycles


def timeline(
    accelerator: Accelerator,
    workload: Workload,
    batch: int = 1,
    max_events: int = MAX_EVENTS,
) -> list[Event]:
    """Return the events of `batch` samples of `workload` on `accelerator`, layer after layer, by start.

    On each track events follow each other without overlap; they end after as many cycles as
    `hwsim.machine.layer_report.layer_reports` counts. Neighboring tiles are drawn as one when there would be more than
    `max_events` events; every layer keeps one step at least. Raises Infeasible, naming the layer, when one
    cannot run, and BadInput when nothing runs or a number is below 1.

    >>> from hwsim.network.product import Product
    >>> from hwsim.registry import build
    >>> fc = Product(pixels=1, reduction=4, filters=4)
    >>> for event in timeline(build("accelerator", "tiny"), [("fc", fc)]):
    ...     print(f"{event.start_cycle:2} {event.cycles:2} {event.track:6} {event.name}")
     0 22 layers fc
     0  9 array  wait for the first tile
     0  4 dram   latency
     4  5 dram   fetch
     9  4 array  load weights
    13  1 array  stream
    14  7 array  fill and drain
    21  1 array  wait for the last write
    21  1 dram   write
    """
    return timeline_of(accelerator, map_layers(workload, accelerator, batch), batch, max_events)


def timeline_of(
    accelerator: Accelerator, layers: Sequence[MappedLayer], batch: int = 1, max_events: int = MAX_EVENTS
) -> list[Event]:
    """Return the events of mapped layers, such as those of `hwsim.machine.simulate.layers_of_sample`."""
    if max_events < 1:
        raise BadInput("max_events", max_events, "1 or more")
    if not layers:
        raise BadInput("workload", None, "one layer or more")
    lengths = [_length(accelerator, mapped, batch) for mapped in layers]
    for mapped, length in zip(layers, lengths, strict=True):
        if length > MAX_STEPS:
            raise Infeasible(f"layer {mapped.name!r}: {length:,} steps; a timeline has at most {MAX_STEPS:,}")
    runs = _runs(lengths, max_events - len(layers))
    events: list[Event] = []
    start = 0
    for mapped in layers:
        own = _layer(accelerator, mapped, batch, start, runs)
        end = max((event.end_cycle for event in own), default=start)
        events.append(Event("layers", mapped.name, start, end - start, _summary(own, batch)))
        events += own
        start = end
    return events


def write_trace(events: Sequence[Event], accelerator: Accelerator, path: Path, force: bool = False) -> None:
    """Write `events` as a JSON file in the Trace Event Format, which ui.perfetto.dev and chrome://tracing open.

    Times are microseconds at the accelerator's clock, rounded to nanoseconds as the viewers do, so that
    neighbors never overlap; the exact `start_cycle` and `cycles` are among the arguments. Raises BadInput
    when there are no events. The same events give the same bytes. A file that hwsim did not write is replaced only with
    `force`.
    """
    if not events:
        raise BadInput("events", None, "the events of a timeline")
    rows = [*_names(accelerator), *(_complete(event, accelerator.clock_hz) for event in events)]
    head = {"displayTimeUnit": "ns", "otherData": _about(events, accelerator)}
    text = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    writing.write_file(path, f'{json.dumps(head)[:-1]}, "traceEvents": [\n{text}\n]}}\n', writing.TRACE, force)


def _length(accelerator: Accelerator, mapped: MappedLayer, batch: int) -> int:
    """Count the steps of a layer before neighbors are joined."""
    if mapped.mapping is None:
        return batch if mapped.cycles else 0
    return step_count(mapped.mapping) if accelerator.models_memory else 1


def _runs(lengths: Sequence[int], max_events: int) -> int:
    """Return the largest number of steps drawn per layer so that all layers make at most `max_events` events."""
    runs = max([1, *lengths])
    while runs > 1 and sum(min(length, runs) for length in lengths) * _EVENTS_PER_STEP > max_events:
        runs = max(1, runs * 3 // 4)
    return runs


def _layer(accelerator: Accelerator, mapped: MappedLayer, batch: int, start: int, runs: int) -> list[Event]:
    if mapped.mapping is None:
        return _vector(accelerator, mapped, batch, start, runs)
    if accelerator.models_memory:
        return _tiles(accelerator, mapped, mapped.mapping, start, runs)
    return _ideal(accelerator, mapped.name, mapped.mapping, start)


Parts = Iterable[tuple[str, int, dict[str, int]]]
"""Name, cycles, and their parts."""


def _in_line(track: str, start: int, place: Arguments, parts: Parts) -> list[Event]:
    """Return the parts one after the other from `start` on; parts without cycles are left out."""
    events = []
    for name, cycles, made_of in parts:
        if cycles:
            events.append(Event(track, name, start, cycles, {**place, **{k: v for k, v in made_of.items() if v}}))
        start += cycles
    return events


def _by_cause(cycles: Mapping[str, int], names: Mapping[str, Sequence[str]]) -> Parts:
    """Yield parts with these names, each made of the cycles of its causes."""
    for name, causes in names.items():
        made_of = {cause: cycles[cause] for cause in causes}
        yield name, sum(made_of.values()), made_of


def _tiles(accelerator: Accelerator, mapped: MappedLayer, mapping: LayerMapping, start: int, runs: int) -> list[Event]:
    """Return the events of a layer with multiplications, step by step; the outlier unit comes last."""
    total, events = step_count(mapping), []
    names = _work_names(accelerator, split=total - 2 <= SPLIT_TILES) | {_WAIT_NAMES[c]: (c,) for c in WAITS}
    for first, behind in pairwise(_bounds(total, runs)):
        steps = tile_steps(accelerator, mapping, first, behind, mapped.streams)
        step = {name: int(steps[name].sum()) for name in STEP.names or ()}
        place: Arguments = {"layer": mapped.name, **_place(mapping, steps["tile"])}
        events += _in_line("array", start, place, _by_cause(step, names))
        fits = step["write"] == 0  # what is written leaves in the last cycle of the fetch
        moved = {"latency": (), "fetch": BITS if fits else BITS[:3], "write": BITS[3:]}
        parts = [(name, step[name], {kind: step[kind] for kind in moved[name]}) for name in MOVES]
        events += _in_line("dram", start, place, parts)
        start += sum(step[cause] for cause in (*WORK, *WAITS))
    stall = mapped.outlier_stall_cycles
    waiting = [("wait for the outlier unit", stall, {"stall_rows": stall})]
    return events + _in_line("array", start, {"layer": mapped.name}, waiting)


def _bounds(total: int, runs: int) -> list[int]:
    """Return the bounds of the steps drawn as one: the first and the last alone, the steps between in equal parts."""
    if runs < 3:
        return [0, total]
    inner = min(runs, total) - 2
    return [0, *(1 + (total - 2) * i // inner for i in range(inner + 1)), total]


def _work_names(accelerator: Accelerator, split: bool) -> dict[str, tuple[str, ...]]:
    """Return the parts of the work on a tile: names, each with its causes."""
    if not split:
        return {"tile": WORK}
    loads: tuple[str, ...] = ("weight_load",)
    load_port = accelerator.dataflow.load_port
    if load_port:  # only the load uses the port of the stationary operand
        loads = ("weight_load", f"stall_{load_port}_port")
    return {
        "load inputs" if load_port == "ifmap" else "load weights": loads,
        "stream": tuple(cause for cause in WORK if cause not in (*loads, "fill_drain")),
        "fill and drain": ("fill_drain",),
    }


def _place(mapping: LayerMapping, tiles: NDArray[np.int64]) -> dict[str, int]:
    """Return the place of an event: the indices of one tile, or the first of several tiles and their number."""
    worked, of_group = tiles[tiles >= 0].tolist(), len(mapping.tiles)
    if not worked:
        return {}
    if len(worked) > 1:
        return {"tile": worked[0], "tiles": len(worked)}
    group = {"group": worked[0] // of_group} if mapping.product.groups > 1 else {}
    tile = mapping.tiles[worked[0] % of_group]
    return {"tile": worked[0], **group, **{name: int(tile[name]) for name in ("m", "n", "k", "folds")}}


def _ideal(accelerator: Accelerator, layer: str, mapping: LayerMapping, start: int) -> list[Event]:
    """Return the events of a layer with ideal memory, whose cycles are closed forms."""
    cycles = dict(zip(CAUSES, time_layer(accelerator, mapping).cycles[0].tolist(), strict=True))
    return _in_line("array", start, {"layer": layer}, _by_cause(cycles, _work_names(accelerator, split=True)))


def _vector(accelerator: Accelerator, mapped: MappedLayer, batch: int, start: int, runs: int) -> list[Event]:
    """Return the events of the vector unit: one sample after the other, streaming along with DRAM."""
    names = {_WAIT_NAMES["prefetch"]: ("prefetch",), "work": ("vector",)}
    names |= {_WAIT_NAMES["stall_dram_bandwidth"]: ("stall_dram_bandwidth",)}
    each = {cause: int(mapped.cycles.get(cause, 0)) for (cause,) in names.values()}
    bits = {f"{way}_bits": int(mapped.counts.get(f"dram_{way}_bits", 0)) for way in ("read", "write")}
    transfer = ceil_div(sum(bits.values()), accelerator.dram.bandwidth_bytes_per_cycle * 8)
    moves = [("latency", accelerator.dram.latency_cycles), ("stream", transfer)]
    drawn, events = min(batch, runs), []
    for first, behind in pairwise(batch * i // drawn for i in range(drawn + 1)):
        samples = behind - first
        joined = {"samples": samples} if samples > 1 else {}
        place: Arguments = {"layer": mapped.name, "sample": first, **joined}
        cycles = {cause: value * samples for cause, value in each.items()}
        events += _in_line("vector", start, place, _by_cause(cycles, names))
        if each["prefetch"]:  # else memory is not modeled
            moved = {"latency": {}, "stream": {name: value * samples for name, value in bits.items()}}
            events += _in_line("dram", start, place, [(name, n * samples, moved[name]) for name, n in moves])
        start += sum(cycles.values())
    return events


def _summary(events: Sequence[Event], batch: int) -> Arguments:
    """Return the arguments of a layer: samples of the batch, then cycles by cause."""
    summed: dict[str, int | str] = {"batch": batch}
    for cause in CAUSES:
        cycles = sum(int(e.arguments.get(cause, 0)) for e in events if e.track != "dram")
        if cycles:
            summed[cause] = cycles
    return summed


def _nanoseconds(cycle: int, clock_hz: float) -> int:
    return round(cycle * 1e9 / clock_hz)


def _complete(event: Event, clock_hz: float) -> dict[str, Any]:
    """Return a complete event ("X"): start and duration in microseconds."""
    start, end = _nanoseconds(event.start_cycle, clock_hz), _nanoseconds(event.end_cycle, clock_hz)
    return {
        "name": event.name,
        "cat": event.track,
        "ph": "X",
        "ts": start / 1000,
        "dur": (end - start) / 1000,
        "pid": 1,
        "tid": TRACKS.index(event.track) + 1,
        "args": {"start_cycle": event.start_cycle, "cycles": event.cycles, **event.arguments},
    }


def _names(accelerator: Accelerator) -> Iterator[dict[str, Any]]:
    """Yield metadata events ("M"): the accelerator is the process, tracks are its threads."""
    yield {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": accelerator.describe()}}
    for number, track in enumerate(TRACKS, start=1):
        for name, value in (("thread_name", {"name": track}), ("thread_sort_index", {"sort_index": number})):
            yield {"name": name, "ph": "M", "pid": 1, "tid": number, "args": value}


def _about(events: Sequence[Event], accelerator: Accelerator) -> Arguments:
    joined = sum(bool({"tiles", "samples"} & set(event.arguments)) for event in events)
    return {
        "generator": writing.GENERATOR,
        "accelerator": accelerator.describe(),
        "clock": accelerator.clock,
        "total_cycles": max(event.end_cycle for event in events),
        "joined_events": joined,
        "note": f"{joined} events represent several neighboring tiles or samples each: their sums are exact"
        if joined
        else "every tile has its own events",
    }
