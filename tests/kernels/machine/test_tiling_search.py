"""Tiles, waits and the search against `tile_walk`, the definition that lists every tile and every fold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernels.machine import tiling_search
from hwsim.kernels.machine.tiling_search import (
    ARRAY,
    BALANCED,
    BY_PASS,
    CHANNELS,
    FILTERS,
    MIN_LATENCY,
    MIN_TRAFFIC,
    ORDERS,
    PIXELS,
    SHAPE,
    TILE,
    TILING,
)
from tests.support.tile_walk import candidates, fits, folds, plain, timeline, traffic, waiting, walk

Draw = st.DrawFn
ROOMY = 1 << 40
ANY_ROOM = st.just(ROOMY)
NO_LIMIT = 1 << 30
RUN: dict[str, Any] = {"deadline": None, "derandomize": True}


def record(dtype: np.dtype, **fields: int) -> np.ndarray:
    made = np.zeros(1, dtype=dtype)
    for name, value in fields.items():
        made[0][name] = value
    return made


@st.composite
def layers(draw: Draw, most_lines: int = 9, most: int = 7) -> np.ndarray:
    """Convolutions of any stride, dilation and padding whose kernel fits the padded map, and plain products."""
    sides = []
    for _ in range(2):
        taps, dilation, stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)))
        span = dilation * (taps - 1) + 1
        begin, end = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
        size = draw(st.integers(max(1, span - begin - end), span + most_lines))
        out = (size + begin + end - span) // stride + 1
        sides.append((out, size, stride, span, begin, taps))
    (out_rows, rows, stride_h, span_h, top, taps_h), (out_cols, cols, stride_w, span_w, left, taps_w) = sides
    return record(
        SHAPE,
        images=draw(st.integers(1, 3)),
        out_rows=out_rows,
        out_cols=out_cols,
        rows=rows,
        cols=cols,
        stride_h=stride_h,
        stride_w=stride_w,
        span_h=span_h,
        span_w=span_w,
        top=top,
        left=left,
        channels=draw(st.integers(1, most)),
        taps=taps_h * taps_w,
        filters=draw(st.integers(1, most)),
        groups=draw(st.integers(1, 3)),
        a_bits=draw(st.integers(1, 8)),
        w_bits=draw(st.integers(1, 8)),
        out_bits=draw(st.sampled_from([2, 8, 32])),
        mask_bits=draw(st.sampled_from([0, 0, 5])),
    )


@st.composite
def arrays(draw: Draw, room: st.SearchStrategy[int] = ANY_ROOM) -> np.ndarray:
    """Arrays of every dataflow, with and without a second register for the stationary operand."""
    streamed = draw(st.sampled_from([PIXELS, CHANNELS, FILTERS, BY_PASS]))
    n_spatial, k_spatial = (draw(st.integers(1, 3)), draw(st.integers(1, 3))) if streamed == BY_PASS else (1, 1)
    load, drain = draw(st.sampled_from([(0, 0), (4, 5), (15, 25)])) if streamed in (PIXELS, FILTERS) else (0, 0)
    return record(
        ARRAY,
        streamed=streamed,
        m_extent=1 if streamed == PIXELS else draw(st.integers(1, 5)),
        n_extent=ROOMY if streamed == FILTERS else n_spatial * draw(st.integers(1, 3)),
        k_extent=ROOMY if streamed == CHANNELS else k_spatial * draw(st.integers(1, 5)),
        n_spatial=n_spatial,
        k_spatial=k_spatial,
        products=1 if streamed == BY_PASS else draw(st.sampled_from([1, 2, 4])),
        wavefront_cycles=draw(st.integers(1, 5)),
        fold_overhead=0 if load else draw(st.integers(0, 12)),
        min_fold_interval=load + drain,
        first_load=load,
        last_drain=drain,
        ifmap_capacity=draw(room),
        weight_capacity=draw(room),
        ofmap_capacity=draw(room),
        psum_bits=draw(st.sampled_from([16, 32])),
        bandwidth=draw(st.sampled_from([8, 32, 100])),
        latency=draw(st.sampled_from([0, 7])),
        objective=draw(st.sampled_from([MIN_TRAFFIC, MIN_LATENCY, BALANCED])),
    )


@st.composite
def tilings(draw: Draw, layer: np.void) -> np.ndarray:
    limits = {
        "images": "images",
        "rows": "out_rows",
        "cols": "out_cols",
        "filters": "filters",
        "channels": "channels",
    }
    sizes = {part: draw(st.integers(1, int(layer[whole]))) for part, whole in limits.items()}
    return record(TILING, **sizes, order=draw(st.integers(0, 5)))


def lay_out(layer: np.ndarray, array: np.ndarray, tiling: np.ndarray) -> np.ndarray:
    shape, cut = plain(layer), plain(tiling)
    pixels = -(-shape.images // cut.images) * -(-shape.out_rows // cut.rows) * -(-shape.out_cols // cut.cols)
    table = np.zeros(pixels * -(-shape.filters // cut.filters) * -(-shape.channels // cut.channels), dtype=TILE)
    tiling_search.tiles(layer, array, tiling, table.view(np.recarray))
    return table


@settings(max_examples=250, **RUN)
@given(st.data(), layers(), arrays())
def test_tiles_equal_the_definition(data: st.DataObject, layer: np.ndarray, array: np.ndarray) -> None:
    tiling = data.draw(tilings(layer[0]))
    table = lay_out(layer, array, tiling)
    shape, machine = plain(layer), plain(array)
    expected = walk(shape, machine, plain(tiling))
    assert len(expected) == len(table)
    for tile, found in zip(expected, table, strict=True):
        folding = folds(shape, machine, tile)
        assert (found["m"], found["n"], found["k"]) == tile.place
        assert (found["ifmap_fetch"], found["weight_fetch"], found["psum_fetch"]) == tuple(tile.fetch.values())
        assert (found["output_bits"], found["psum_spill"]) == (tile.outputs, tile.spill)
        assert found["folds"] == len(folding)
        assert found["stream"] == sum(fold.stream for fold in folding)
        assert found["wait"] == waiting(machine, folding)
        assert found["weight_reads"] == sum(fold.weight_reads for fold in folding)
        assert found["ifmap_reads"] == sum(fold.ifmap_reads for fold in folding)
        assert found["ofmap_writes"] == sum(fold.ofmap_writes for fold in folding)


@settings(max_examples=100, **RUN)
@given(st.data(), layers(), arrays())
def test_every_psum_that_leaves_comes_back_and_every_output_leaves_once(
    data: st.DataObject, layer: np.ndarray, array: np.ndarray
) -> None:
    table = lay_out(layer, array, data.draw(tilings(layer[0])))
    shape = plain(layer)
    outputs = shape.images * shape.out_rows * shape.out_cols * shape.filters
    assert table["psum_spill"].sum() == table["psum_fetch"].sum()
    assert table["output_bits"].sum() == outputs * shape.out_bits
    made = {(int(t["m"]), int(t["n"]), int(t["k"])) for t in table}
    assert len(made) == len(table)


@settings(max_examples=150, **RUN)
@given(st.data(), layers(), arrays(), st.integers(1, 7), st.booleans())
def test_waits_equal_the_timeline(
    data: st.DataObject, layer: np.ndarray, array: np.ndarray, groups: int, alike: bool
) -> None:
    table = lay_out(layer, array, data.draw(tilings(layer[0])))
    samples, length = 2, len(table) if alike else len(table) * groups
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 20)))
    work = rng.integers(0, data.draw(st.sampled_from([1, 20, 400])), (samples, length))
    bandwidth, latency = int(array[0]["bandwidth"]), int(array[0]["latency"])
    edges = rng.integers(0, 30, (samples, 2))
    found = tiling_search.waits(table.view(np.recarray), work, edges, groups, bandwidth, latency)
    fetches = [int(t["ifmap_fetch"] + t["weight_fetch"] + t["psum_fetch"]) for t in table] * groups
    leaving = [int(t["output_bits"] + t["psum_spill"]) for t in table] * groups
    for sample in range(samples):
        busy = work[sample].tolist() * (groups if alike else 1)
        busy[0] += int(edges[sample, 0])
        busy[-1] += int(edges[sample, 1])
        assert tuple(found[sample].tolist()) == timeline(fetches, leaving, busy, bandwidth, latency)


def cycles_of(layer: np.ndarray, array: np.ndarray, table: np.ndarray) -> int:
    """Cycles of all groups, tile by tile: work of the array and waits for DRAM."""
    shape, machine = plain(layer), plain(array)
    work = (table["stream"] + table["wait"] + table["folds"] * machine.fold_overhead).tolist() * shape.groups
    if (
        machine.min_fold_interval
    ):  # the loads hide behind the streams, but for the first one; nothing comes after the last fold
        work[0] += machine.first_load
        work[-1] += machine.last_drain - int(table[-1]["wait"] // table[-1]["folds"])
    fetches = (table["ifmap_fetch"] + table["weight_fetch"] + table["psum_fetch"]).tolist() * shape.groups
    leaving = (table["output_bits"] + table["psum_spill"]).tolist() * shape.groups
    return sum(work) + sum(timeline(fetches, leaving, work, machine.bandwidth, machine.latency))


def moved(layer: np.ndarray, table: np.ndarray) -> int:
    names = ("ifmap_fetch", "weight_fetch", "psum_fetch", "psum_spill", "output_bits")
    return int(layer[0]["groups"]) * sum(int(table[name].sum()) for name in names)


SMALL = layers(most_lines=3, most=4)
TIGHT = arrays(room=st.sampled_from([40, 150, 600, 3000]))


def best_by_definition(layer: np.ndarray, array: np.ndarray) -> tuple[int, int] | None:
    """(bits over DRAM, cycles) of the best candidate; None when none fits.

    Tiles whose channels fill whole folds come first.
    """
    shape, machine = plain(layer), plain(array)
    for whole_folds in (True, False):
        found = []
        for tiling in candidates(shape, machine, whole_folds):
            tiles = walk(shape, machine, tiling)
            if fits(shape, machine, tiles):
                table = lay_out(layer, array, record(TILING, **vars(tiling)))
                found.append((shape.groups * traffic(tiles), cycles_of(layer, array, table)))
        if found:
            fewest = min(cycles for _, cycles in found)
            share = {MIN_TRAFFIC: None, MIN_LATENCY: 100, BALANCED: 102}[machine.objective]
            return min((bits, cycles) for bits, cycles in found if share is None or 100 * cycles <= share * fewest)
    return None


def fitting(layer: np.ndarray, array: np.ndarray) -> Iterator[np.ndarray]:
    """All tilings that fit, by trying every size of a tile; a row-stationary pass takes whole rows."""
    shape, machine = plain(layer), plain(array)
    limits = (shape.images, shape.out_rows, shape.out_cols, shape.filters, shape.channels)
    for sizes in product(*(range(1, limit + 1) for limit in limits)):
        if machine.streamed == BY_PASS and sizes[2] < shape.out_cols:
            continue
        tiling = record(TILING, **dict(zip(TILING.names or (), (*sizes, 0), strict=True)))
        if fits(shape, machine, walk(shape, machine, plain(tiling))):
            yield tiling


SLIVERS = arrays(room=st.integers(8, 120))


@settings(max_examples=150, **RUN)
@given(SMALL, SLIVERS)
def test_a_tiling_is_found_wherever_any_fits(layer: np.ndarray, array: np.ndarray) -> None:
    """In scratchpads of a few codes: also where a tile has fewer filters than the array."""
    any_fits = next(fitting(layer, array), None) is not None
    chosen = np.zeros(1, dtype=TILING)
    assert bool(tiling_search.search(layer, array, NO_LIMIT, chosen)) == any_fits
    if any_fits:
        shape, machine = plain(layer), plain(array)
        assert fits(shape, machine, walk(shape, machine, plain(chosen)))


@settings(max_examples=60, **RUN)
@given(SMALL, TIGHT, st.integers(1, 3))
def test_closed_forms_of_candidates_equal_the_walk(layer: np.ndarray, array: np.ndarray, k_unit: int) -> None:
    """Traffic and number of tiles exactly; the bound never exceeds the cycles."""
    shape, machine = plain(layer), plain(array)
    options = tiling_search.candidates(layer.view(np.recarray)[0], array.view(np.recarray)[0], NO_LIMIT, k_unit)
    for option in options[:: max(1, len(options) // 50)]:
        tiling = record(TILING, **{name: int(option[name]) for name in TILING.names or ()})
        tiles, table = walk(shape, machine, plain(tiling)), lay_out(layer, array, tiling)
        assert fits(shape, machine, tiles)
        assert (option["traffic"], option["tiles"]) == (shape.groups * traffic(tiles), len(tiles))
        assert option["bound"] <= cycles_of(layer, array, table)


@settings(max_examples=200, **RUN)
@given(st.data(), layers(most_lines=9, most=24), arrays())
def test_cycles_of_a_tiling_equal_the_walk(data: st.DataObject, layer: np.ndarray, array: np.ndarray) -> None:
    """One of each run of like steps is enough; where the cycles exceed the cutoff, so does the result."""
    tiling = data.draw(tilings(layer[0]))
    expected = cycles_of(layer, array, lay_out(layer, array, tiling))
    option = record(tiling_search.CANDIDATE, **{name: int(tiling[0][name]) for name in TILING.names or ()})
    records = [part.view(np.recarray)[0] for part in (layer, array, option)]
    assert tiling_search.cycles_of(*records, 1 << 60) == tiling_search.cycles_of(*records, expected) == expected
    assert expected - 1 < tiling_search.cycles_of(*records, expected - 1) <= expected
    cutoff = data.draw(st.integers(0, expected - 1))
    assert cutoff < tiling_search.cycles_of(*records, cutoff) <= expected


@settings(max_examples=90, **RUN)
@given(SMALL, TIGHT)
def test_search_finds_the_best_of_all_candidates(layer: np.ndarray, array: np.ndarray) -> None:
    chosen = np.zeros(1, dtype=TILING)
    any_fits = tiling_search.search(layer, array, NO_LIMIT, chosen)
    best = best_by_definition(layer, array)
    if best is None:
        assert any_fits == any(True for _ in fitting(layer, array))
        return
    table = lay_out(layer, array, chosen)
    assert (moved(layer, table), cycles_of(layer, array, table)) == best


def matrix(rows: int, filters: int, channels: int, cols: int = 1) -> np.ndarray:
    """A product of single pixels: 8-bit inputs and outputs, 4-bit weights."""
    ones = dict.fromkeys(("images", "stride_h", "stride_w", "span_h", "span_w", "taps", "groups"), 1)
    sizes = {"out_rows": rows, "out_cols": cols, "rows": rows, "cols": cols, "channels": channels, "filters": filters}
    return record(SHAPE, **ones, **sizes, a_bits=8, w_bits=4, out_bits=8)


def single_pe(room: tuple[int, int, int] = (ROOMY, ROOMY, ROOMY)) -> np.ndarray:
    """One weight-stationary PE with 32-bit partial sums and `room` bits for ifmap, weights and ofmap."""
    ones = dict.fromkeys(
        ("m_extent", "n_extent", "k_extent", "n_spatial", "k_spatial", "products", "wavefront_cycles"), 1
    )
    rooms = dict(zip(("ifmap_capacity", "weight_capacity", "ofmap_capacity"), room, strict=True))
    return record(ARRAY, streamed=PIXELS, **ones, **rooms, psum_bits=32, bandwidth=8)


def test_a_reduction_that_is_cut_costs_psums_both_ways() -> None:
    # 2 pixels, 2 filters, 2 channels, each a tile of its own; channels outermost: all four sums leave and come back
    order = [tuple(loops) for loops in ORDERS.tolist()].index((2, 0, 1))
    cut = record(TILING, images=1, rows=1, cols=1, filters=1, channels=1, order=order)
    table = lay_out(matrix(rows=2, filters=2, channels=2), single_pe(), cut)
    assert table[["m", "n", "k"]].tolist() == [(m, n, k) for k in range(2) for m in range(2) for n in range(2)]
    assert table["ifmap_fetch"].tolist() == [8, 0] * 4
    assert table["weight_fetch"].tolist() == [4] * 8
    assert table["psum_spill"].tolist() == [32] * 4 + [0] * 4
    assert table["psum_fetch"].tolist() == [0] * 4 + [32] * 4
    assert table["output_bits"].tolist() == [0] * 4 + [8] * 4


def found(layer: np.ndarray, array: np.ndarray, max_tiles: int) -> bool:
    """Whether the search finds a tiling of at most `max_tiles` tiles."""
    return bool(tiling_search.search(layer, array, max_tiles, np.zeros(1, dtype=TILING)))


@pytest.mark.parametrize("size", [1, 2, 5, 9, 55, 56, 64])
@pytest.mark.parametrize("part", ["rows", "cols", "filters", "channels"])
def test_tiles_of_one_are_always_tried(part: str, size: int) -> None:
    """However long a dimension is, room for single lines, filters and channels is enough."""
    layer = matrix(**{"rows": 1, "filters": 1, "channels": 1, part: size})
    assert found(layer, single_pe((8, 4, 32)), NO_LIMIT)
    assert not found(layer, single_pe((7, 4, 32)), NO_LIMIT)


def test_more_tiles_than_allowed_are_not_found() -> None:
    layer, array = matrix(rows=8, filters=1, channels=1), single_pe((16, 4, 64))
    assert found(layer, array, 4)
    assert not found(layer, array, 3)


@settings(max_examples=60, **RUN)
@given(SMALL, TIGHT)
def test_the_factors_of_a_pixel_cut_are_summed_over_its_blocks(layer: np.ndarray, array: np.ndarray) -> None:
    s, a = layer[0], array[0]
    for cut in tiling_search.pixel_blocks(s, a):
        parts = [
            tiling_search._pixels_part(
                a,
                min(cut["images"], s["images"] - image),
                min(cut["rows"], s["out_rows"] - row),
                min(cut["cols"], s["out_cols"] - col),
            )
            for image in range(0, s["images"], cut["images"])
            for row in range(0, s["out_rows"], cut["rows"])
            for col in range(0, s["out_cols"], cut["cols"])
        ]
        summed = [sum(int(part[factor]) for part in parts) for factor in range(3)]
        assert [cut["stream"], cut["folds"], cut["wait"], cut["tiles"]] == [*summed, len(parts)]
