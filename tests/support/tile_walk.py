"""The plain definition of a layer's tiles: every tile, fold and transfer as a list, nothing in closed form.

`layer` and `array` carry the fields of SHAPE and ARRAY (`hwsim.kernels.machine.tiling_search`) as Python
integers, `tiling` those of TILING.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from hwsim.kernels.machine.tiling_search import BY_PASS, CHANNELS, COUNTS, FILTERS, ORDERS, PIXELS


def plain(record: np.ndarray) -> SimpleNamespace:
    """A record of one entry with Python integers in its fields."""
    return SimpleNamespace(**{name: int(record[0][name]) for name in record.dtype.names})


def blocks(total: int, size: int) -> list[range]:
    """`total` indices in blocks of `size`, the last one with what is left."""
    return [range(first, min(first + size, total)) for first in range(0, total, size)]


def lines_read(out_lines: range, stride: int, span: int, padding: int, size: int) -> int:
    """Lines of a map, without padding, from the first to the last that these output lines reach."""
    reached = [line * stride + tap - padding for line in out_lines for tap in range(span)]
    return sum(0 <= line < size for line in range(min(reached), max(reached) + 1))


@dataclass
class Tile:
    """One tile of one group: its indices, and what happens when its turn comes."""

    place: tuple[int, int, int]
    images: range
    rows: range
    cols: range
    filters: range
    channels: range
    fetch: dict[str, int] = field(default_factory=lambda: {"ifmap": 0, "weight": 0, "psum": 0})
    outputs: int = 0
    spill: int = 0

    @property
    def pixels(self) -> int:
        return len(self.images) * len(self.rows) * len(self.cols)


def tiles_in_order(layer: SimpleNamespace, tiling: SimpleNamespace) -> list[Tile]:
    """All tiles of one group; pixels are cut into groups of images, these into rows, these into columns."""
    pixels = [
        (images, rows, cols)
        for images in blocks(layer.images, tiling.images)
        for rows in blocks(layer.out_rows, tiling.rows)
        for cols in blocks(layer.out_cols, tiling.cols)
    ]
    parts = pixels, blocks(layer.filters, tiling.filters), blocks(layer.channels, tiling.channels)
    loops = [int(loop) for loop in ORDERS[tiling.order]]
    found = []
    for outer in range(len(parts[loops[0]])):
        for middle in range(len(parts[loops[1]])):
            for inner in range(len(parts[loops[2]])):
                at = dict(zip(loops, (outer, middle, inner), strict=True))
                place = at[0], at[1], at[2]
                found.append(Tile(place, *pixels[at[0]], parts[1][at[1]], parts[2][at[2]]))
    return found


def walk(layer: SimpleNamespace, array: SimpleNamespace, tiling: SimpleNamespace) -> list[Tile]:
    """The tiles with what DRAM gives and takes at each: one tile of every operand is on chip at a time."""
    tiles = tiles_in_order(layer, tiling)
    last_k = max(tile.place[2] for tile in tiles)
    on_chip: dict[str, tuple[int, int] | None] = {"ifmap": None, "weight": None, "psum": None}
    begun: set[tuple[int, int]] = set()
    for before, tile in zip([None, *tiles], tiles, strict=False):
        m, n, k = tile.place
        if on_chip["ifmap"] != (m, k):
            lines = lines_read(tile.rows, layer.stride_h, layer.span_h, layer.top, layer.rows)
            lines *= lines_read(tile.cols, layer.stride_w, layer.span_w, layer.left, layer.cols)
            tile.fetch["ifmap"] = len(tile.images) * lines * len(tile.channels) * layer.a_bits
            if (m, k) == (0, 0):
                tile.fetch["ifmap"] += layer.mask_bits
        if on_chip["weight"] != (n, k):
            tile.fetch["weight"] = len(tile.channels) * layer.taps * len(tile.filters) * layer.w_bits
        if on_chip["psum"] != (m, n):
            if before is not None and before.place[2] != last_k:
                before.spill = before.pixels * len(before.filters) * array.psum_bits
            if (m, n) in begun:
                tile.fetch["psum"] = tile.pixels * len(tile.filters) * array.psum_bits
        if k == last_k:
            tile.outputs = tile.pixels * len(tile.filters) * layer.out_bits
        begun.add((m, n))
        on_chip = {"ifmap": (m, k), "weight": (n, k), "psum": (m, n)}
    return tiles


def traffic(tiles: list[Tile]) -> int:
    """Bits over the DRAM port for one group."""
    return sum(sum(tile.fetch.values()) + tile.outputs + tile.spill for tile in tiles)


@dataclass
class Fold:
    """One filling of the array: cycles in which operands stream, and words between scratchpads and array."""

    stream: int
    ifmap_reads: int
    weight_reads: int
    ofmap_writes: int


def folds(layer: SimpleNamespace, array: SimpleNamespace, tile: Tile) -> list[Fold]:
    """The folds of one tile, one after the other."""
    depth = blocks(len(tile.channels) * layer.taps, array.k_extent)
    filters = blocks(len(tile.filters), array.n_extent)
    pixels = blocks(tile.pixels, array.m_extent)
    if array.streamed == PIXELS:  # a block of weights stays, all pixels stream
        return [
            Fold(tile.pixels * array.wavefront_cycles, tile.pixels * len(k), len(k) * len(n), tile.pixels * len(n))
            for n in filters
            for k in depth
        ]
    if array.streamed == FILTERS:  # a block of inputs stays, all filters stream
        wide = len(tile.filters)
        return [
            Fold(wide * array.wavefront_cycles, len(m) * len(k), len(k) * wide, len(m) * wide)
            for m in pixels
            for k in depth
        ]
    if array.streamed == CHANNELS:  # a block of outputs stays, the whole reduction streams
        deep = len(tile.channels) * layer.taps
        turns = len(blocks(deep, array.products))
        return [
            Fold(turns * array.wavefront_cycles, len(m) * deep, deep * len(n), len(m) * len(n))
            for m in pixels
            for n in filters
        ]
    found = []  # rows stay: PEs take turns between filters and channels, while all output columns pass
    for _ in tile.images:
        for m in blocks(len(tile.rows), array.m_extent):
            for n in filters:
                for k in blocks(len(tile.channels), array.k_extent):
                    turns = len(blocks(len(n), array.n_spatial)) * len(blocks(len(k), array.k_spatial))
                    made, deep = len(m) * len(tile.cols), len(k) * layer.taps
                    rows = tile.rows[m.start : m.stop]
                    lines = lines_read(rows, layer.stride_h, layer.span_h, layer.top, layer.rows)
                    lines *= lines_read(tile.cols, layer.stride_w, layer.span_w, layer.left, layer.cols)
                    stream = len(tile.cols) * turns * array.wavefront_cycles
                    found.append(Fold(stream, lines * len(k), deep * len(n), made * len(n)))
    return found


def waiting(array: SimpleNamespace, folds_of_tile: list[Fold]) -> int:
    """Cycles that folds which are too short wait for the next stationary operand."""
    return (
        sum(max(0, array.min_fold_interval - fold.stream) for fold in folds_of_tile) if array.min_fold_interval else 0
    )


def timeline(fetches: list[int], leaving: list[int], work: list[int], bandwidth: int, latency: int) -> tuple[int, ...]:
    """Waits of a list of tiles: (prefetch, bandwidth, latency, write-back).

    While tile t is worked on, the port brings tile t + 1 and takes what tile t - 1 leaves behind.
    """
    first = -(-fetches[0] // bandwidth) + (latency if fetches[0] else 0)
    too_narrow = too_late = 0
    for t, busy in enumerate(work):
        brings = fetches[t + 1] if t + 1 < len(work) else 0
        takes = leaving[t - 1] if t > 0 else 0
        transfer = -(-(brings + takes) // bandwidth)
        end = transfer + (latency if brings else 0)
        wait = max(0, end - busy)
        too_narrow += max(0, transfer - busy)
        too_late += wait - max(0, transfer - busy)
    return first, too_narrow, too_late, -(-leaving[-1] // bandwidth)


def sizes(total: int) -> list[int]:
    """Sizes of tiles that the search tries: `total` in COUNTS equal parts, and single ones."""
    return sorted({1, *(-(-total // int(count)) for count in COUNTS if count <= total)})


def candidates(layer: SimpleNamespace, array: SimpleNamespace, whole_folds: bool) -> list[SimpleNamespace]:
    """All tilings that the search chooses from: whole images, rows of one image, or columns of one row.

    With `whole_folds` a tile's channels fill the rows of the array. Row stationary, tiles are made of whole
    passes.
    """
    unit = 1 if array.streamed == FILTERS else array.n_extent
    deep = max(1, array.k_extent // layer.taps) if whole_folds and array.streamed in (PIXELS, FILTERS) else 1
    pixels = [(images, layer.out_rows, layer.out_cols) for images in sizes(layer.images)]
    pixels += [(1, rows, layer.out_cols) for rows in sizes(layer.out_rows)]
    pixels += [(1, 1, cols) for cols in sizes(layer.out_cols)]
    if array.streamed == BY_PASS:
        pixels = [
            (images, min(-(-rows // array.m_extent) * array.m_extent, layer.out_rows), cols)
            for images, rows, cols in pixels
            if cols == layer.out_cols
        ]
    return [
        SimpleNamespace(
            images=images,
            rows=rows,
            cols=cols,
            filters=min(units * unit, layer.filters),
            channels=min(channels * deep, layer.channels),
            order=order,
        )
        for images, rows, cols in pixels
        for units in sizes(-(-layer.filters // unit))
        for channels in sizes(-(-layer.channels // deep))
        for order in range(len(ORDERS))
    ]


def fits(layer: SimpleNamespace, array: SimpleNamespace, tiles: list[Tile]) -> bool:
    """Does every tile fit half of each scratchpad? Sums wait in the ofmap one when a reduction takes several folds."""
    reduction = [k for tile in tiles if tile.place[:2] == (0, 0) for k in _parts_of_reduction(layer, array, tile)]
    bits_per_sum = array.psum_bits if len(reduction) > 1 else layer.out_bits
    for tile in tiles:
        lines = lines_read(tile.rows, layer.stride_h, layer.span_h, layer.top, layer.rows)
        lines *= lines_read(tile.cols, layer.stride_w, layer.span_w, layer.left, layer.cols)
        ifmap = len(tile.images) * lines * len(tile.channels) * layer.a_bits + layer.mask_bits
        weight = len(tile.channels) * layer.taps * len(tile.filters) * layer.w_bits
        ofmap = tile.pixels * len(tile.filters) * bits_per_sum
        if ifmap > array.ifmap_capacity or weight > array.weight_capacity or ofmap > array.ofmap_capacity:
            return False
    return True


def _parts_of_reduction(layer: SimpleNamespace, array: SimpleNamespace, tile: Tile) -> list[range]:
    if array.streamed == CHANNELS:
        return [range(1)]
    deep = len(tile.channels) * (layer.taps if array.streamed in (PIXELS, FILTERS) else 1)
    return blocks(deep, array.k_extent)
