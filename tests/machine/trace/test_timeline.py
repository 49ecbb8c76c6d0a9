"""The timeline adds up to the cycles of the analysis, cause by cause, and its trace file is what viewers read."""

from __future__ import annotations

import json
from collections import defaultdict
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cli.accelerator_options import accelerator_from_options
from hwsim.errors import BadInput, Infeasible
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES
from hwsim.machine.layer_report import layer_reports
from hwsim.machine.simulate import layers_of_sample, simulate
from hwsim.machine.trace.timeline import SPLIT_TILES, TRACKS, Event, timeline, timeline_of, write_trace
from hwsim.network.layer import Geometry, Region
from hwsim.network.product import Product, conv_product
from hwsim.registry import build
from tests.support.array_layers import ACCELERATORS, LAYERS, SAME
from tests.support.small_network import small_network


def check(accelerator: Accelerator, workload, batch: int, events: list[Event]) -> None:
    """Everything that must hold between a timeline and the analysis of the same workload."""
    reports = layer_reports(accelerator, workload, batch)
    tracks: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        tracks[event.track].append(event)
        assert event.cycles >= 0
    for name, own in tracks.items():
        assert name in TRACKS
        own.sort(key=lambda event: event.start_cycle)
        assert all(before.end_cycle <= after.start_cycle for before, after in pairwise(own)), name
    layers = tracks["layers"]
    assert [event.name for event in layers] == [report.layer for report in reports]
    assert [event.cycles for event in layers] == [report.total_cycles for report in reports]
    starts = {}
    now = 0
    for event in layers:
        assert event.start_cycle == now
        starts[event.name] = event
        now = event.end_cycle
    assert max((event.end_cycle for event in events), default=0) == sum(report.total_cycles for report in reports)
    spent: dict[str, dict[str, int]] = {report.layer: defaultdict(int) for report in reports}
    moved: dict[str, int] = defaultdict(int)
    for event in events:
        if event.track == "layers":
            continue
        layer = starts[event.arguments["layer"]]
        assert layer.start_cycle <= event.start_cycle <= event.end_cycle <= layer.end_cycle
        for key, value in event.arguments.items():
            if event.track == "dram" and key.endswith("_bits"):
                moved[layer.name] += value
            elif key in reports[0].cycles:
                spent[layer.name][key] += value
        if event.track in ("array", "vector"):
            causes = [v for k, v in event.arguments.items() if k in reports[0].cycles]
            assert sum(causes) == event.cycles
    for report in reports:
        wanted = {cause: cycles for cause, cycles in report.cycles.items() if cycles}
        assert dict(spent[report.layer]) == wanted, report.layer
        summary = starts[report.layer].arguments
        assert {k: v for k, v in summary.items() if k != "batch"} == wanted
        assert summary["batch"] == batch
        if accelerator.timing == "rtl":
            assert -(-moved[report.layer] // 8) == report.dram_bytes


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("accelerator", ACCELERATORS, ids=lambda a: a.describe().split(",")[0] + "-" + str(a.dataflow))
def test_it_adds_up_to_the_analysis_by_cause_on_every_accelerator(accelerator: Accelerator, batch: int) -> None:
    events = timeline(accelerator, LAYERS, batch)
    check(accelerator, LAYERS, batch, events)
    check(accelerator, LAYERS, batch, timeline(accelerator, LAYERS, batch, max_events=50))


@pytest.mark.parametrize("accelerator", ACCELERATORS[:6], ids=lambda a: a.describe().split(",")[0])
@pytest.mark.parametrize("batch", [1, 5])
def test_layers_of_the_vector_unit_have_their_own_track(accelerator: Accelerator, batch: int) -> None:
    network = small_network()
    events = timeline(accelerator, network, batch)
    check(accelerator, network, batch, events)
    vector = [event for event in events if event.track == "vector"]
    assert {event.arguments["layer"] for event in vector} == {"pool"}
    assert sum(event.name == "work" for event in vector) == batch
    assert [event.cycles for event in events if event.track == "layers" and event.name == "flat"] == [0]


@settings(max_examples=40, deadline=None)
@given(
    pixels=st.integers(1, 40),
    channels=st.integers(1, 12),
    filters=st.integers(1, 12),
    groups=st.integers(1, 3),
    kernel=st.integers(1, 3),
    bandwidth=st.sampled_from([1, 4, 64]),
    latency=st.sampled_from([0, 7, 300]),
    buffers=st.sampled_from([1, 2]),
    dataflow=st.sampled_from(["ws", "is", "os"]),
    max_events=st.sampled_from([1, 10, 100, 20_000]),
)
def test_any_layer_adds_up(
    pixels, channels, filters, groups, kernel, bandwidth, latency, buffers, dataflow, max_events
) -> None:
    geometry = Geometry((kernel, kernel), (1, 1), (1, 1), groups=groups)
    product = conv_product(channels * groups, filters * groups, pixels + 1, 5, geometry)
    accelerator = build(
        "accelerator",
        "tiny",
        dataflow=dataflow,
        array={"weight_buffers": buffers},
        dram={"bandwidth_bytes_per_cycle": bandwidth, "latency_cycles": latency},
    )
    work = [("one", product), ("two", product)]
    check(accelerator, work, 2, timeline(accelerator, work, 2, max_events))


def test_one_tile_by_hand() -> None:
    """M = 1 vector through a 4x4 array of 4 filters; 4 + 16 codes come at 4 bytes per cycle, 4 codes leave."""
    events = timeline(build("accelerator", "tiny"), [("fc", Product(pixels=1, reduction=4, filters=4))])
    assert [(e.track, e.name, e.start_cycle, e.cycles) for e in events] == [
        ("layers", "fc", 0, 22),
        ("array", "wait for the first tile", 0, 9),
        ("dram", "latency", 0, 4),
        ("dram", "fetch", 4, 5),
        ("array", "load weights", 9, 4),
        ("array", "stream", 13, 1),
        ("array", "fill and drain", 14, 7),
        ("array", "wait for the last write", 21, 1),
        ("dram", "write", 21, 1),
    ]
    assert events[3].arguments == {"layer": "fc", "ifmap_bits": 32, "weight_bits": 128}


def test_the_next_fetch_and_the_last_write_run_beside_the_work() -> None:
    """While the array works on tile i, DRAM fetches tile i + 1, then writes the outputs of tile i - 1."""
    tiny = build("accelerator", "tiny")
    events = timeline(tiny, [("conv", conv_product(2, 16, 12, 12, SAME))])
    begins = [e.start_cycle for e in events if e.name == "load weights"]
    assert len(begins) >= 3
    fetches = [e.start_cycle for e in events if e.name == "latency"]
    assert fetches == [0, *begins[:-1]]
    writes = [e for e in events if e.name == "write"]
    assert writes[-1].start_cycle >= begins[-1]
    assert sum(e.arguments["output_bits"] for e in writes) == 144 * 16 * 8


def test_input_stationary_arrays_load_inputs() -> None:
    events = timeline(build("accelerator", "tpu_like", dataflow="is"), LAYERS[1:2])
    names = {event.name for event in events if event.track == "array"}
    assert "load inputs" in names
    assert "load weights" not in names


def test_a_layer_of_many_tiles_has_one_event_per_tile() -> None:
    tiny = build("accelerator", "tiny")
    events = [e for e in timeline(tiny, LAYERS[:2]) if e.track == "array" and not e.name.startswith("wait")]
    by_layer = {layer: [e for e in events if e.arguments["layer"] == layer] for layer in ("conv1", "conv2")}
    assert all(len(own) > SPLIT_TILES for own in by_layer.values())
    assert {event.name for own in by_layer.values() for event in own} == {"tile"}
    for own in by_layer.values():
        assert [event.arguments["tile"] for event in own] == list(range(len(own)))
        assert all({"m", "n", "k", "folds", "compute"} <= set(event.arguments) for event in own)


@pytest.mark.parametrize("max_events", [1, 40, 300, 5000])
def test_the_number_of_events_is_bounded(max_events: int) -> None:
    events = timeline(build("accelerator", "tiny"), LAYERS, max_events=max_events)
    assert len(events) <= max(max_events, 8 * len(LAYERS) + len(LAYERS))
    joined = [event for event in events if event.arguments.get("tiles", 1) > 1]
    assert joined


def test_bad_input_is_named() -> None:
    tiny = build("accelerator", "tiny")
    with pytest.raises(BadInput, match="workload is missing"):
        timeline(tiny, [])
    with pytest.raises(BadInput, match="batch: got 0"):
        timeline(tiny, LAYERS, batch=0)
    with pytest.raises(BadInput, match="max_events: got 0"):
        timeline(tiny, LAYERS, max_events=0)
    with pytest.raises(Infeasible, match="layer 'wide'"):
        timeline(tiny, [("wide", Product(1, 4, 4, a_bits=16))])


def read_as_perfetto(path) -> tuple[dict, dict[int, list[tuple[int, int]]]]:
    """The file, and (start, end) in whole nanoseconds of the complete events of each thread."""
    content = json.loads(path.read_text())
    threads: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in content["traceEvents"]:
        if row["ph"] == "X":
            start, length = round(row["ts"] * 1000.0), round(row["dur"] * 1000.0)
            threads[row["tid"]].append((start, start + length))
    return content, threads


def test_the_trace_file_has_the_fields_of_the_format(tmp_path) -> None:
    accelerator = build("accelerator", "tpu_like")
    events = timeline(accelerator, LAYERS)
    write_trace(events, accelerator, tmp_path / "trace.json")
    content, threads = read_as_perfetto(tmp_path / "trace.json")
    assert set(content) == {"traceEvents", "displayTimeUnit", "otherData"}
    assert content["displayTimeUnit"] in ("ms", "ns")
    rows = content["traceEvents"]
    names = {row["tid"]: row["args"]["name"] for row in rows if row["name"] == "thread_name"}
    assert list(names.values()) == list(TRACKS)
    assert [row["args"]["name"] for row in rows if row["name"] == "process_name"] == [accelerator.describe()]
    assert {row["ph"] for row in rows} == {"M", "X"}
    complete = [row for row in rows if row["ph"] == "X"]
    assert len(complete) == len(events)
    for row, event in zip(complete, events, strict=True):
        assert set(row) == {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"}
        assert names[row["tid"]] == event.track
        assert row["args"] == {"start_cycle": event.start_cycle, "cycles": event.cycles, **event.arguments}
        exact = Fraction(event.start_cycle * 10, 7)  # 700 MHz, nanoseconds
        assert abs(round(row["ts"] * 1000) - exact) <= Fraction(1, 2)
    assert set(threads) <= set(names)
    assert content["otherData"]["total_cycles"] == sum(r.total_cycles for r in layer_reports(accelerator, LAYERS))
    assert content["otherData"]["joined_events"] == 0


@pytest.mark.parametrize("clock", ["700 MHz", "3 GHz", "977.3 MHz", "100 kHz"])
def test_no_two_events_of_a_thread_overlap_after_rounding(tmp_path, clock: str) -> None:
    accelerator = build("accelerator", "tpu_like", clock=clock)
    write_trace(timeline(accelerator, LAYERS), accelerator, tmp_path / "trace.json")
    _, threads = read_as_perfetto(tmp_path / "trace.json")
    for spans in threads.values():
        spans.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_joined_tiles_are_told_and_bytes_are_stable(tmp_path) -> None:
    accelerator, _ = accelerator_from_options("tiny")
    for name in ("a.json", "b.json"):
        write_trace(timeline(accelerator, LAYERS, max_events=100), accelerator, tmp_path / name)
    about = json.loads((tmp_path / "a.json").read_text())["otherData"]
    assert about["joined_events"] > 0
    assert "sums are exact" in about["note"]
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_no_events_no_file(tmp_path) -> None:
    with pytest.raises(BadInput, match="events is missing"):
        write_trace([], build("accelerator", "tiny"), tmp_path / "trace.json")
    assert not (tmp_path / "trace.json").exists()


DATA_DEPENDENT = {
    "regions in lock-step": build("accelerator", "drq_like"),
    "regions on a small array": build("accelerator", "drq_like", array={"rows": 4, "cols": 4}),
    "elastic regions": build("accelerator", "drq_like", array={"rows": 4, "cols": 4, "row_fifo_depth": 2}),
    "zero skipping": build("accelerator", "tiny", pe={"name": "fixed", "skip_zeros": True}),
    "loads hidden": build("accelerator", "tiny", pe={"name": "fixed", "skip_zeros": True}, array={"weight_buffers": 2}),
    "outliers": build("accelerator", "olaccel"),
    "no data": build("accelerator", "tpu_like"),
}


@pytest.mark.parametrize("kind", DATA_DEPENDENT)
def test_the_timeline_of_a_sample_has_the_cycles_of_its_run(kind: str) -> None:
    accelerator = DATA_DEPENDENT[kind]
    region = Region(2, 2, 30 * 16, np.ones((8, 1, 3, 3), np.int8)) if accelerator.pe.regions else None
    network, rng = small_network(region), np.random.default_rng(1)
    codes = rng.integers(0, 256, (3, 1, 8, 8)) >> rng.integers(0, 8, (3, 1, 1, 1))
    run = simulate(network, accelerator, codes)
    for sample in range(3):
        events = timeline_of(accelerator, layers_of_sample(network, accelerator, codes[sample]))
        row = run.cycles[min(sample, len(run.cycles) - 1)]
        layers = [event for event in events if event.track == "layers"]
        assert [event.name for event in layers] == list(run.layers)
        assert max(event.end_cycle for event in events) == row.sum()
        for event, causes in zip(layers, row, strict=True):
            expected = {name: int(n) for name, n in zip(CAUSES, causes, strict=True) if n}
            assert {name: n for name, n in event.arguments.items() if name != "batch"} == expected
