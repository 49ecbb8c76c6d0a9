"""What array, DRAM port and vector unit do at each moment, and the same as a trace file that Perfetto opens.

The timeline is made of the same tiles and the same double-buffer rule as the cycles: see
`hwsim.machine.timing.tile_schedule`. Where a scratchpad's port is slow, a tile streams slowly; where DRAM is late, the
array waits. All folds of a tile are drawn together: first their loads, then their streams, then their
fills. With a second weight register (`array.weight_buffers = 2`) the loads are hidden, and a group's only
load and fill are drawn with its first and last tile.
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

from hwsim.errors import BadInput
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES
from hwsim.machine.mapping.mapping import Mapping as LayerMapping
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.machine.timing.tile_schedule import BITS, MOVES, STEP, WAITS, WORK, Line, lines, step_count, tile_steps
from hwsim.network.graph import Network
from hwsim.network.product import Product

TRACKS = ("layers", "array", "dram", "vector")
"""`layers` has one event per layer; the others say what array, DRAM port and vector unit do."""

MOST_EVENTS = 20_000
SPLIT_TILES = 64
"""In a layer with at most so many tiles each tile is drawn in parts: load, stream, fill and drain."""

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
    """Something that takes `cycles` cycles from `start_cycle` on.

    `arguments` names the layer and what the event is made of: on `layers`, `array` and `vector` cycles by
    cause (`hwsim.machine.CAUSES`), on `dram` bits. `tiles` or `samples` above 1 says that so many
    neighbours are drawn as one: sums are exact, and what happens first within them is drawn first.
    """

    track: str
    name: str
    start_cycle: int
    cycles: int
    arguments: Arguments

    @property
    def end_cycle(self) -> int:
        """The cycle behind the last one."""
        return self.start_cycle + self.cycles


def timeline(
    accelerator: Accelerator,
    workload: Network | Iterable[tuple[str, Product]],
    batch: int = 1,
    most_events: int = MOST_EVENTS,
) -> list[Event]:
    """What happens on `accelerator` while it runs `batch` samples of `workload`, layer after layer, by start.

    On each track events follow each other without overlap; they end after as many cycles as
    `hwsim.machine.layer_report` counts. Neighbouring tiles are drawn as one when there would be more than
    `most_events` events; every layer keeps one step at least. Raises Infeasible, naming the layer, when one
    cannot run, and BadInput when nothing runs or a number is below 1.

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
    return timeline_of(accelerator, lines(accelerator, workload, batch), batch, most_events)


def timeline_of(
    accelerator: Accelerator, layers: Sequence[Line], batch: int = 1, most_events: int = MOST_EVENTS
) -> list[Event]:
    """The same of layers that are mapped already, such as those of `hwsim.machine.simulate.sample_lines`."""
    if most_events < 1:
        raise BadInput("most_events", most_events, "1 or more")
    if not layers:
        raise BadInput("workload", None, "one layer or more")
    runs = _runs([_length(accelerator, line, batch) for line in layers], most_events - len(layers))
    events: list[Event] = []
    start = 0
    for line in layers:
        own = _layer(accelerator, line, batch, start, runs)
        end = max((event.end_cycle for event in own), default=start)
        events.append(Event("layers", line.name, start, end - start, _summary(own, batch)))
        events += own
        start = end
    return events


def write_trace(events: Sequence[Event], accelerator: Accelerator, path: Path) -> None:
    """Write `events` as a JSON file in the Trace Event Format, which ui.perfetto.dev and chrome://tracing open.

    Times are microseconds at the accelerator's clock, rounded to nanoseconds as the viewers do, so that
    neighbours never overlap; the exact `start_cycle` and `cycles` are among the arguments. Raises BadInput
    when there are no events. The same events give the same bytes.
    """
    if not events:
        raise BadInput("events", None, "the events of a timeline")
    rows = [*_names(accelerator), *(_complete(event, accelerator.clock_hz) for event in events)]
    head = {"displayTimeUnit": "ns", "otherData": _about(events, accelerator)}
    text = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{json.dumps(head)[:-1]}, "traceEvents": [\n{text}\n]}}\n')


def _length(accelerator: Accelerator, line: Line, batch: int) -> int:
    """Steps of a layer before neighbours are joined."""
    if line.mapping is None:
        return batch if line.cycles else 0
    return step_count(line.mapping) if accelerator.timing == "rtl" else 1


def _runs(lengths: Sequence[int], most_events: int) -> int:
    """Into how many steps a layer is drawn at most, so that all layers make at most `most_events` events."""
    runs = max([1, *lengths])
    while runs > 1 and sum(min(length, runs) for length in lengths) * _EVENTS_PER_STEP > most_events:
        runs = max(1, runs * 3 // 4)
    return runs


def _layer(accelerator: Accelerator, line: Line, batch: int, start: int, runs: int) -> list[Event]:
    if line.mapping is None:
        return _vector(accelerator, line, batch, start, runs)
    if accelerator.timing == "rtl":
        return _tiles(accelerator, line, line.mapping, start, runs)
    return _ideal(accelerator, line.name, line.mapping, start)


Parts = Iterable[tuple[str, int, dict[str, int]]]
"""Name, cycles, and what they are made of."""


def _in_line(track: str, start: int, place: Arguments, parts: Parts) -> list[Event]:
    """The parts one behind the other from `start` on; those of no cycles are left out."""
    events = []
    for name, cycles, made_of in parts:
        if cycles:
            events.append(Event(track, name, start, cycles, {**place, **{k: v for k, v in made_of.items() if v}}))
        start += cycles
    return events


def _by_cause(cycles: Mapping[str, int], names: Mapping[str, Sequence[str]]) -> Parts:
    """Parts with these names, each made of the cycles of its causes."""
    for name, causes in names.items():
        made_of = {cause: cycles[cause] for cause in causes}
        yield name, sum(made_of.values()), made_of


def _tiles(accelerator: Accelerator, line: Line, mapping: LayerMapping, start: int, runs: int) -> list[Event]:
    """A layer with multiplications, step by step; what runs beside the array for longer comes last."""
    total, events = step_count(mapping), []
    names = _work_names(accelerator, split=total - 2 <= SPLIT_TILES) | {_WAIT_NAMES[c]: (c,) for c in WAITS}
    for first, behind in pairwise(_bounds(total, runs)):
        steps = tile_steps(accelerator, mapping, first, behind, line.streams)
        step = {name: int(steps[name].sum()) for name in STEP.names or ()}
        place: Arguments = {"layer": line.name, **_place(mapping, steps["tile"])}
        events += _in_line("array", start, place, _by_cause(step, names))
        fits = step["write"] == 0  # what is written leaves in the last cycle of the fetch
        moved = {"latency": (), "fetch": BITS if fits else BITS[:3], "write": BITS[3:]}
        parts = [(name, step[name], {kind: step[kind] for kind in moved[name]}) for name in MOVES]
        events += _in_line("dram", start, place, parts)
        start += sum(step[cause] for cause in (*WORK, *WAITS))
    beside = [
        (
            "wait for the multipliers beside the array",
            line.outlier_unit_cycles,
            {"stall_rows": line.outlier_unit_cycles},
        )
    ]
    return events + _in_line("array", start, {"layer": line.name}, beside)


def _bounds(total: int, runs: int) -> list[int]:
    """Bounds of the steps that are drawn as one: the first and the last alone, those between in equal parts."""
    if runs < 3:
        return [0, total]
    inner = min(runs, total) - 2
    return [0, *(1 + (total - 2) * i // inner for i in range(inner + 1)), total]


def _work_names(accelerator: Accelerator, split: bool) -> dict[str, tuple[str, ...]]:
    """How the work on a tile is drawn: names of its parts, each with its causes."""
    if not split:
        return {"tile": WORK}
    loads: tuple[str, ...] = ("weight_load",)
    if accelerator.dataflow in ("ws", "is"):  # the port of what stays in the PEs is used by the load only
        loads = ("weight_load", "stall_ifmap_port" if accelerator.dataflow == "is" else "stall_weight_port")
    return {
        "load inputs" if accelerator.dataflow == "is" else "load weights": loads,
        "stream": tuple(cause for cause in WORK if cause not in (*loads, "fill_drain")),
        "fill and drain": ("fill_drain",),
    }


def _place(mapping: LayerMapping, tiles: NDArray[np.int64]) -> dict[str, int]:
    """Where an event belongs: the place of one tile in the loops, or the first of several tiles and their number."""
    worked, of_group = tiles[tiles >= 0].tolist(), len(mapping.tiles)
    if not worked:
        return {}
    if len(worked) > 1:
        return {"tile": worked[0], "tiles": len(worked)}
    group = {"group": worked[0] // of_group} if mapping.product.groups > 1 else {}
    tile = mapping.tiles[worked[0] % of_group]
    return {"tile": worked[0], **group, **{name: int(tile[name]) for name in ("m", "n", "k", "folds")}}


def _ideal(accelerator: Accelerator, layer: str, mapping: LayerMapping, start: int) -> list[Event]:
    """The profiles of other simulators have closed forms over a whole layer, and no memory."""
    cycles = dict(zip(CAUSES, time_layer(accelerator, mapping).cycles[0].tolist(), strict=True))
    return _in_line("array", start, {"layer": layer}, _by_cause(cycles, _work_names(accelerator, split=True)))


def _vector(accelerator: Accelerator, line: Line, batch: int, start: int, runs: int) -> list[Event]:
    """The vector unit takes one sample after the other, and streams along with DRAM from its first word on."""
    names = {_WAIT_NAMES["prefetch"]: ("prefetch",), "work": ("vector",)}
    names |= {_WAIT_NAMES["stall_dram_bandwidth"]: ("stall_dram_bandwidth",)}
    each = {cause: int(line.cycles.get(cause, 0)) for (cause,) in names.values()}
    bits = {f"{way}_bits": int(line.counts.get(f"dram_{way}_bits", 0)) for way in ("read", "write")}
    transfer = -(-sum(bits.values()) // (accelerator.dram.bandwidth_bytes_per_cycle * 8))
    moves = [("latency", accelerator.dram.latency_cycles), ("stream", transfer)]
    drawn, events = min(batch, runs), []
    for first, behind in pairwise(batch * i // drawn for i in range(drawn + 1)):
        samples = behind - first
        joined = {"samples": samples} if samples > 1 else {}
        place: Arguments = {"layer": line.name, "sample": first, **joined}
        cycles = {cause: value * samples for cause, value in each.items()}
        events += _in_line("vector", start, place, _by_cause(cycles, names))
        if each["prefetch"]:  # else memory is not modelled
            moved = {"latency": {}, "stream": {name: value * samples for name, value in bits.items()}}
            events += _in_line("dram", start, place, [(name, n * samples, moved[name]) for name, n in moves])
        start += sum(cycles.values())
    return events


def _summary(events: Sequence[Event], batch: int) -> Arguments:
    """Arguments of a layer: samples of the batch, then cycles by cause."""
    summed: dict[str, int | str] = {"batch": batch}
    for cause in CAUSES:
        cycles = sum(int(e.arguments.get(cause, 0)) for e in events if e.track != "dram")
        if cycles:
            summed[cause] = cycles
    return summed


def _nanoseconds(cycle: int, clock_hz: float) -> int:
    return round(cycle * 1e9 / clock_hz)


def _complete(event: Event, clock_hz: float) -> dict[str, Any]:
    """A complete event ("X"): start and duration in microseconds."""
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
    """Metadata events ("M"): the accelerator is the process, tracks are its threads."""
    yield {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": accelerator.describe()}}
    for number, track in enumerate(TRACKS, start=1):
        for name, value in (("thread_name", {"name": track}), ("thread_sort_index", {"sort_index": number})):
            yield {"name": name, "ph": "M", "pid": 1, "tid": number, "args": value}


def _about(events: Sequence[Event], accelerator: Accelerator) -> Arguments:
    joined = sum(bool({"tiles", "samples"} & set(event.arguments)) for event in events)
    return {
        "accelerator": accelerator.describe(),
        "clock": accelerator.clock,
        "total_cycles": max(event.end_cycle for event in events),
        "joined_events": joined,
        "note": f"{joined} events stand for several neighbouring tiles or samples each: their sums are exact"
        if joined
        else "every tile has its own events",
    }
