"""Tiling search: tiles that fit the scratchpads, their cycles and DRAM traffic, and the best of them.

A tile is a block of output pixels (`m`: whole images, rows of one image, or columns of one row), of
filters (`n`) and of input channels (`k`, with all kernel taps). Three loops over tiles, in one of six
orders, visit all tiles of a layer. An operand's tile is fetched when its index changes from one step to
the next. Scratchpads are double buffered: one step takes the longer of the array's work on a tile and
the transfers of the next and the previous tile.

`tiles` lists the tiles of a given tiling, `waits` the cycles in which the array waits for DRAM, and
`search` returns the best tiling. The kernels know no dataflow by name: an ARRAY record says which loop
streams, how large a fold is, and what a fold costs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.compile import kernel

PIXELS, FILTERS, CHANNELS = range(3)
"""The loops over tiles: m, n and k."""

BY_PASS = -1
"""Value of ARRAY.streamed for row-stationary passes, in which no single loop streams."""


MIN_TRAFFIC, MIN_LATENCY, BALANCED = range(3)
"""Objectives of the search: fewest bits over DRAM; fewest cycles; fewest bits within TOLERANCE of the fewest cycles."""

TOLERANCE = 50
"""A balanced tiling takes at most one cycle in TOLERANCE more than the fewest cycles: 2 %.

Design choice: as small as the differences between timing models of one machine, which are 1 to 5 %. Cycles rise by
less than 1 % on the built-in networks.
"""


class ShapeFields(NamedTuple):
    """Fields of SHAPE: one layer."""

    images: int
    out_rows: int
    out_cols: int
    rows: int
    cols: int
    stride_h: int
    stride_w: int
    span_h: int  # rows of the map that one output row reads
    span_w: int
    top: int  # padding
    left: int
    channels: int  # of one group
    taps: int
    filters: int  # of one group
    groups: int
    a_bits: int
    w_bits: int
    out_bits: int
    mask_bits: int  # of a layer with region precision, for all images


SHAPE = np.dtype([(name, np.int64) for name in ShapeFields._fields], align=True)
"""One layer."""


class ArrayFields(NamedTuple):
    """Fields of ARRAY: one accelerator, at the operand widths of the layer."""

    streamed: int  # the loop that streams through the array, or BY_PASS
    m_extent: int  # pixels of one fold; by pass: output rows
    n_extent: int  # filters of one fold
    k_extent: int  # reduction (channels x taps) of one fold; by pass: channels
    n_spatial: int  # by pass: filters of one fold that different PEs work on
    k_spatial: int  # by pass: channels of one fold that different PEs work on
    products: int  # products along the reduction per wavefront and PE
    wavefront_cycles: int  # cycles of one wavefront, as PE and ports allow
    fold_overhead: int  # cycles of a fold besides streaming
    fold_overhead_cut: int  # further cycles of a fold where the channels are cut
    min_fold_interval: int  # least cycles between folds where loads are hidden, 0 where they are not
    first_load: int  # hidden loads: cycles before the first fold of the layer
    last_drain: int  # hidden loads: cycles after the last fold of the layer
    ifmap_capacity: int  # bits of half a scratchpad
    weight_capacity: int
    ofmap_capacity: int
    psum_bits: int
    bandwidth: int  # bits per cycle
    latency: int
    objective: int  # of the search: MIN_TRAFFIC, MIN_LATENCY or BALANCED


ARRAY = np.dtype([(name, np.int64) for name in ArrayFields._fields], align=True)
"""One accelerator, at the operand widths of the layer."""


class TilingFields(NamedTuple):
    """Fields of TILING: sizes of one tile, and the order of the loops."""

    images: int
    rows: int
    cols: int
    filters: int
    channels: int
    order: int  # index into ORDERS


TILING = np.dtype([(name, np.int64) for name in TilingFields._fields], align=True)
"""Sizes of one tile, and the order of the loops."""

ORDERS = np.array([(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)], dtype=np.int64)
"""Loops from outer to inner: PIXELS, FILTERS, CHANNELS."""


def _first_of_their_kind() -> NDArray[np.bool_]:
    """Return bool [cut loops as bits, order]: no earlier order runs through the cut loops alike."""
    first = np.zeros((8, len(ORDERS)), dtype=np.bool_)
    for cut in range(8):
        seen: set[tuple[int, ...]] = set()
        for index, order in enumerate(ORDERS.tolist()):
            loops = tuple(loop for loop in order if cut >> loop & 1)
            first[cut, index] = loops not in seen
            seen.add(loops)
    return first


FIRST_OF_KIND = _first_of_their_kind()
"""A loop of one iteration changes nothing: of orders that differ in such loops alone, only the first is tried."""

CANDIDATE = np.dtype([(name, np.int64) for name in ("traffic", "bound", "tiles", *(TILING.names or ()))], align=True)
"""A tiling with its bits over DRAM, a lower bound of its cycles, and its number of tiles in one group."""

COUNTS = np.array(sorted({b << i for i in range(20) for b in (1, 3)}), dtype=np.int64)
"""Numbers of tiles per dimension that are tried: 1, 2, 3, 4, 6, 8, 12 and so on."""

MAX_LISTED = 1 << 30
"""Largest number of tiles of a cut of the pixels that is described."""

LONGEST_CUT = 4096
"""Length of the longest axis that is cut into every number of tiles where no tiling of COUNTS fits."""

TILE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "m",  # index of the tile in each loop
            "n",
            "k",
            "ifmap_fetch",  # bits from DRAM
            "weight_fetch",
            "psum_fetch",
            "psum_spill",  # bits to DRAM
            "output_bits",
            "stream",  # cycles in which operands stream
            "wait",  # cycles in which streaming waits for the next stationary operand
            "folds",
            "n_stream",  # how often the tile's input streams through the array
            "ifmap_reads",  # codes from the scratchpads into the array
            "weight_reads",
            "ofmap_writes",  # psums and outputs back
        )
    ],
    align=True,
)
"""One tile of a layer and group, as `tiles` lists it."""

SIZE, CODES, STREAM, FOLDS, WAIT, LAST = range(6)
"""Columns of the blocks of one loop over tiles: pixels, filters or channels, codes of the map per channel, the factors
of the cycles, and the last of the equal blocks that follow."""

PIXEL_BLOCK = np.dtype(
    [
        (name, np.int64)
        for name in (
            "images",
            "rows",
            "cols",
            "largest_map",  # input codes per channel of the largest tile
            "first_map",  # of the first tile
            "fetched_map",  # of all tiles together
            "always_fetches",  # 1 where every tile reads at least one code
            "pixels",
            "last_pixels",
            "stream",
            "folds",
            "wait",
            "tiles",
        )
    ],
    align=True,
)
"""One way of cutting the output pixels, with sums over all tiles."""

BLOCK = np.dtype([(name, np.int64) for name in ("size", "last", "stream", "folds", "wait", "tiles")], align=True)
"""One way of cutting the filters or the channels, with sums over all tiles."""


@kernel()
def _ceil(a, b):  # type: ignore[no-untyped-def]
    return (a + b - 1) // b


@kernel()
def _last(total, block):  # type: ignore[no-untyped-def]
    """Return the size of the last block."""
    return total - (_ceil(total, block) - 1) * block


@kernel()
def _covered(first, count, stride, span, padding, size):  # type: ignore[no-untyped-def]
    """Count the lines of a map of `size` lines that `count` output lines from `first` on read."""
    low = max(first * stride - padding, 0)
    high = min((first + count - 1) * stride + span - padding, size)
    return max(high - low, 0)


@kernel()
def lines(total, tile, stride, span, padding, size):  # type: ignore[no-untyped-def]
    """Count the input lines of tiles of output lines: (most of one tile, fewest, sum over tiles, first tile)."""
    most, least, summed = 0, size, 0
    for first in range(0, total, tile):
        lines = _covered(first, min(tile, total - first), stride, span, padding, size)
        most, least = max(most, lines), min(least, lines)
        summed += lines
    return most, least, summed, _covered(0, min(tile, total), stride, span, padding, size)


# A tile's streaming cycles, folds and waits are products of one factor per loop. The loop that streams has one fold
# and as many wavefronts as it is long; the two loops that lie on the array have as many folds as the array is filled.


@kernel()
def _hidden_wait(a, wavefronts):  # type: ignore[no-untyped-def]
    """Cycles for which a fold of `wavefronts` waits for the next stationary operand: `FoldOverheads.hidden_wait`."""
    return max(0, a.min_fold_interval - wavefronts * a.wavefront_cycles)


@kernel()
def _pixels_part(a, images, rows, cols):  # type: ignore[no-untyped-def]
    """Factors (stream, folds, wait) of a block of output pixels."""
    pixels = images * rows * cols
    if a.streamed == PIXELS:
        return pixels, 1, _hidden_wait(a, pixels)
    if a.streamed == BY_PASS:
        passes = images * _ceil(rows, a.m_extent)
        return passes * cols, passes, 0
    folds = _ceil(pixels, a.m_extent)
    return folds, folds, folds


@kernel()
def _filters_part(a, filters):  # type: ignore[no-untyped-def]
    """Factors (stream, folds, wait) of a block of filters."""
    if a.streamed == FILTERS:
        return filters, 1, _hidden_wait(a, filters)
    folds = _ceil(filters, a.n_extent)
    if a.streamed == BY_PASS:
        whole, rest = filters // a.n_extent, filters % a.n_extent
        return whole * (a.n_extent // a.n_spatial) + _ceil(rest, a.n_spatial), folds, 0
    return folds, folds, folds


@kernel()
def _channels_part(a, channels, taps):  # type: ignore[no-untyped-def]
    """Factors (stream, folds, wait) of a block of input channels."""
    if a.streamed == CHANNELS:
        wavefronts = _ceil(channels * taps, a.products)
        return wavefronts, 1, _hidden_wait(a, wavefronts)
    if a.streamed == BY_PASS:
        whole, rest = channels // a.k_extent, channels % a.k_extent
        return whole * (a.k_extent // a.k_spatial) + _ceil(rest, a.k_spatial), _ceil(channels, a.k_extent), 0
    folds = _ceil(channels * taps, a.k_extent)
    return folds, folds, folds


@kernel(nogil=True)
def tiles(shapes, arrays, tilings, table):  # type: ignore[no-untyped-def]
    """Fill `table` (TILE, one row per tile) with the tiles of one group of a layer, in the order of the loops."""
    s, a, t = shapes[0], arrays[0], tilings[0]
    loops = ORDERS[t.order]
    down, across = _ceil(s.out_rows, t.rows), _ceil(s.out_cols, t.cols)
    size = np.array(
        [_ceil(s.images, t.images) * down * across, _ceil(s.filters, t.filters), _ceil(s.channels, t.channels)]
    )
    started = np.zeros((size[0], size[1]), dtype=np.uint8)
    index = np.zeros(3, dtype=np.int64)
    last_m = last_n = last_k = np.int64(-1)
    for step in range(len(table)):
        index[loops[2]] = step % size[loops[2]]
        index[loops[1]] = step // size[loops[2]] % size[loops[1]]
        index[loops[0]] = step // (size[loops[2]] * size[loops[1]])
        m, n, k = index[0], index[1], index[2]
        row, col = m // across % down * t.rows, m % across * t.cols
        images = min(t.images, s.images - m // (down * across) * t.images)
        rows, cols = min(t.rows, s.out_rows - row), min(t.cols, s.out_cols - col)
        filters, channels = min(t.filters, s.filters - n * t.filters), min(t.channels, s.channels - k * t.channels)
        pixels, depth = images * rows * cols, channels * s.taps
        tile = table[step]
        tile.m, tile.n, tile.k = m, n, k
        if m != last_m or k != last_k:
            lines = _covered(row, rows, s.stride_h, s.span_h, s.top, s.rows)
            lines *= _covered(col, cols, s.stride_w, s.span_w, s.left, s.cols)
            tile.ifmap_fetch = images * lines * channels * s.a_bits + (s.mask_bits if m == 0 and k == 0 else 0)
        if n != last_n or k != last_k:
            tile.weight_fetch = depth * filters * s.w_bits
        if m != last_m or n != last_n:
            if started[m, n]:
                tile.psum_fetch = pixels * filters * a.psum_bits
            if step > 0 and table[step - 1].output_bits == 0:  # partial sums of the previous tile leave for DRAM
                before = table[step - 1]
                before.psum_spill = _outputs(s, t, before.m, before.n, down, across) * a.psum_bits
        if k == size[2] - 1:
            tile.output_bits = pixels * filters * s.out_bits
        started[m, n] = 1
        last_m, last_n, last_k = m, n, k
        m_stream, m_folds, m_wait = _pixels_part(a, images, rows, cols)
        n_stream, n_folds, n_wait = _filters_part(a, filters)
        k_stream, k_folds, k_wait = _channels_part(a, channels, s.taps)
        tile.folds, tile.n_stream = m_folds * n_folds * k_folds, n_stream
        tile.stream = m_stream * n_stream * k_stream * a.wavefront_cycles
        tile.wait = m_wait * n_wait * k_wait if a.min_fold_interval else 0
        if a.streamed == BY_PASS:  # a pass reads each code of its map rows once; PEs pass it on to their neighbors
            across_map = _covered(col, cols, s.stride_w, s.span_w, s.left, s.cols)
            for first in range(row, row + rows, a.m_extent):
                lines_of_pass = min(a.m_extent, row + rows - first)
                down_map = _covered(first, lines_of_pass, s.stride_h, s.span_h, s.top, s.rows)
                tile.ifmap_reads += images * down_map * across_map * channels * n_folds
        else:
            tile.ifmap_reads = pixels * depth * n_folds
        tile.weight_reads = depth * filters * m_folds
        tile.ofmap_writes = pixels * filters * k_folds


@kernel()
def _outputs(s, t, m, n, down, across):  # type: ignore[no-untyped-def]
    """Count the outputs of the tile at block of pixels `m` and block of filters `n`."""
    images = min(t.images, s.images - m // (down * across) * t.images)
    rows = min(t.rows, s.out_rows - m // across % down * t.rows)
    cols = min(t.cols, s.out_cols - m % across * t.cols)
    return images * rows * cols * min(t.filters, s.filters - n * t.filters)


@kernel(nogil=True)
def waits(table, work, edges, groups, bandwidth, latency):  # type: ignore[no-untyped-def]
    """Compute the cycles in which the array waits for DRAM: int64 [sample, (prefetch, bandwidth, latency, write-back)].

    `work` int64 [sample, tile] are the cycles of the array on each tile of `table`, of one group or of
    all `groups` in their order; `edges` int64 [sample, 2] are further cycles on the first and on the last tile
    of all groups. The first tile is fetched before the array begins, and the last outputs
    are written after it has ended. In between, the work on a tile, the fetch of the next tile and the
    write-back of the previous tile overlap. A fetch begins with the latency of the DRAM.
    """
    found = np.zeros((len(work), 4), dtype=np.int64)
    alike = work.shape[1] == len(table)
    for sample in range(len(work)):
        if alike and groups > 3:  # the third group waits as long as every further one
            two = _waits_of(table, work[sample], edges[sample], 2, bandwidth, latency)
            three = _waits_of(table, work[sample], edges[sample], 3, bandwidth, latency)
            found[sample] = two + (groups - 2) * (three - two)
        else:
            found[sample] = _waits_of(table, work[sample], edges[sample], groups, bandwidth, latency)
    return found


@kernel()
def _waits_of(table, work, edges, groups, bandwidth, latency):  # type: ignore[no-untyped-def]
    """Compute `waits` of one sample: int64 [4]; `work` int64 [tile], `edges` int64 [2]."""
    found = np.zeros(4, dtype=np.int64)
    count = len(table)
    total = count * groups
    pending = np.int64(0)
    for step in range(total + 1):
        tile = table[step % count]
        fetch = tile.ifmap_fetch + tile.weight_fetch + tile.psum_fetch if step < total else 0
        delay = latency if fetch > 0 else 0
        transfer = _ceil(fetch + pending, bandwidth)
        if step == 0:
            found[0] = delay + transfer
            continue
        busy = work[(step - 1) % len(work)] + (edges[0] if step == 1 else 0) + (edges[1] if step == total else 0)
        transfer_wait = max(0, transfer - busy)
        found[1] += transfer_wait
        found[2] += max(0, transfer + delay - busy) - transfer_wait
        before = table[(step - 1) % count]
        pending = before.output_bits + before.psum_spill
    found[3] = _ceil(pending, bandwidth)
    return found


@kernel()
def cuts(size):  # type: ignore[no-untyped-def]
    """List the block sizes that cut `size` lines into COUNTS[i] or `size` blocks, each once, the largest first."""
    sizes = np.empty(len(COUNTS) + 1, dtype=np.int64)
    found = 0
    for count in COUNTS:
        block = _ceil(size, min(count, size))
        if found == 0 or block < sizes[found - 1]:
            sizes[found] = block
            found += 1
        if count >= size:
            break
    return sizes[:found]


@kernel()
def pixel_blocks(s, a):  # type: ignore[no-untyped-def]
    """List the ways of cutting the pixels, PIXEL_BLOCK: groups of images, rows of one image, columns of one row."""
    found = np.empty(3 * (len(COUNTS) + 1), dtype=PIXEL_BLOCK)
    count = 0
    for cut in range(2 if a.streamed == BY_PASS else 3):  # a pass takes whole rows
        size = s.images if cut == 0 else s.out_rows if cut == 1 else s.out_cols
        for block in cuts(size):
            if cut > 0 and block == size and (cut == 2 or s.images == 1):
                continue  # equal to a way that was listed before
            if cut > 0 and s.images * _ceil(size, block) > MAX_LISTED:
                continue  # more tiles than any layer may have
            images = block if cut == 0 else 1
            rows = s.out_rows if cut == 0 else block if cut == 1 else 1
            cols = block if cut == 2 else s.out_cols
            if a.streamed == BY_PASS:
                rows = min(_ceil(rows, a.m_extent) * a.m_extent, s.out_rows)
            _describe_pixels(s, a, images, rows, cols, found[count])
            count += 1
    return found[:count]


@kernel()
def _describe_pixels(s, a, images, rows, cols, b):  # type: ignore[no-untyped-def]
    """Fill in a PIXEL_BLOCK; the last block of at most one of images, rows and columns is smaller than the others."""
    rows_most, rows_least, rows_sum, rows_first = lines(s.out_rows, rows, s.stride_h, s.span_h, s.top, s.rows)
    cols_most, cols_least, cols_sum, cols_first = lines(s.out_cols, cols, s.stride_w, s.span_w, s.left, s.cols)
    b.images, b.rows, b.cols = images, rows, cols
    b.largest_map = images * rows_most * cols_most
    b.first_map = images * rows_first * cols_first
    b.fetched_map = s.images * rows_sum * cols_sum
    b.always_fetches = rows_least * cols_least > 0
    b.pixels = images * rows * cols
    b.last_pixels = _last(s.images, images) * _last(s.out_rows, rows) * _last(s.out_cols, cols)
    part = _pixels_part(a, images, rows, cols)
    last = _pixels_part(a, _last(s.images, images), _last(s.out_rows, rows), _last(s.out_cols, cols))
    image_blocks, row_blocks, col_blocks = _ceil(s.images, images), _ceil(s.out_rows, rows), _ceil(s.out_cols, cols)
    count = image_blocks * row_blocks * col_blocks
    rests = count // (image_blocks if s.images % images else row_blocks if s.out_rows % rows else col_blocks)
    whole = count - rests
    b.stream, b.folds = whole * part[0] + rests * last[0], whole * part[1] + rests * last[1]
    b.wait, b.tiles = whole * part[2] + rests * last[2], count


@kernel()
def filter_blocks(s, a):  # type: ignore[no-untyped-def]
    """List the ways of cutting the filters, BLOCK, in units of one fold."""
    unit = 1 if a.streamed == FILTERS else a.n_extent
    sizes = cuts(_ceil(s.filters, unit))
    found = np.empty(len(sizes), dtype=BLOCK)
    for i in range(len(sizes)):
        size = min(sizes[i] * unit, s.filters)
        rest = s.filters % size
        _sum_blocks(s.filters, size, _filters_part(a, size), _filters_part(a, rest if rest else size), found[i])
    return found


@kernel()
def channel_blocks(s, a, unit):  # type: ignore[no-untyped-def]
    """List the ways of cutting the channels, BLOCK, in units of `unit` channels."""
    sizes = cuts(_ceil(s.channels, unit))
    found = np.empty(len(sizes), dtype=BLOCK)
    for i in range(len(sizes)):
        size = min(sizes[i] * unit, s.channels)
        rest = s.channels % size
        part, last = _channels_part(a, size, s.taps), _channels_part(a, rest if rest else size, s.taps)
        _sum_blocks(s.channels, size, part, last, found[i])
    return found


@kernel()
def _sum_blocks(total, size, part, last, b):  # type: ignore[no-untyped-def]
    """Fill in a BLOCK: `part` and `last` are the factors (stream, folds, wait) of a whole and of the last block."""
    whole, rest = total // size, total % size
    if rest == 0:
        whole -= 1
    b.size, b.last, b.tiles = size, _last(total, size), whole + 1
    b.stream, b.folds, b.wait = whole * part[0] + last[0], whole * part[1] + last[1], whole * part[2] + last[2]


@kernel()
def _refetches(loops, x, y, counts):  # type: ignore[no-untyped-def]
    """Count how often each tile of an operand is fetched that the loops `x` and `y` index; `counts` int64 [loop]."""
    times = pending = 1
    for loop in loops:
        if loop != x and loop != y:
            pending *= counts[loop]
        elif counts[loop] > 1:
            times = pending
    return times


@kernel()
def _ifmap_bits(s, codes, channels):  # type: ignore[no-untyped-def]
    """Bits of a tile of the map, the mask of region precision included."""
    return codes * channels * s.a_bits + s.mask_bits


@kernel()
def ifmap_fits(s, a, p, c):  # type: ignore[no-untyped-def]
    """Return whether the largest input tile of the pixel and channel blocks fits half of the ifmap scratchpad."""
    return _ifmap_bits(s, p.largest_map, c.size) <= a.ifmap_capacity


@kernel()
def outputs_fit(s, a, p, f, c):  # type: ignore[no-untyped-def]
    """Return whether the weights and the outputs of the largest tile fit half of their scratchpads."""
    sum_bits = a.psum_bits if c.folds > 1 else s.out_bits
    return c.size * s.taps * f.size * s.w_bits <= a.weight_capacity and p.pixels * f.size * sum_bits <= a.ofmap_capacity


@kernel()
def dram_traffic(s, a, p, counts, loops):  # type: ignore[no-untyped-def]
    """Count the bits over DRAM of all groups for tiles visited in the order `loops`; `counts` int64 [loop] of tiles."""
    spills = _refetches(loops, PIXELS, FILTERS, counts) - 1
    bits = (p.fetched_map * s.channels * s.a_bits + s.mask_bits) * _refetches(loops, PIXELS, CHANNELS, counts)
    bits += s.channels * s.taps * s.filters * s.w_bits * _refetches(loops, FILTERS, CHANNELS, counts)
    bits += s.images * s.out_rows * s.out_cols * s.filters * (s.out_bits + 2 * a.psum_bits * spills)
    return bits * s.groups


@kernel()
def array_work(s, a, p, f, c):  # type: ignore[no-untyped-def]
    """Count the cycles of the array on all tiles of all groups, without waiting for DRAM."""
    overhead = a.fold_overhead + (a.fold_overhead_cut if c.tiles > 1 else 0)
    work = p.stream * f.stream * c.stream * a.wavefront_cycles + p.folds * f.folds * c.folds * overhead
    work *= s.groups
    if a.min_fold_interval:
        work += p.wait * f.wait * c.wait * s.groups + a.first_load + a.last_drain
        wavefronts = p.last_pixels if a.streamed == PIXELS else f.last
        if a.streamed == CHANNELS:
            wavefronts = _ceil(c.last * s.taps, a.products)
        work -= _hidden_wait(a, wavefronts)
    return work


@kernel()
def cycle_bound(s, a, p, f, c, traffic, work):  # type: ignore[no-untyped-def]
    """Return a lower bound of the cycles: prefetch, the longer of work and other transfers, and write-back."""
    first_bits = _ifmap_bits(s, p.first_map, c.size) + c.size * s.taps * f.size * s.w_bits
    last_bits = p.last_pixels * f.last * s.out_bits
    transfers = _ceil(traffic - first_bits - last_bits, a.bandwidth)
    if p.always_fetches:
        transfers += (p.tiles * f.tiles * c.tiles * s.groups - 1) * a.latency
    return a.latency + _ceil(first_bits, a.bandwidth) + _ceil(last_bits, a.bandwidth) + max(work, transfers)


@kernel()
def slowest(objective, fewest):  # type: ignore[no-untyped-def]
    """Return the most cycles that a tiling may take where the fewest are `fewest`."""
    return fewest + fewest // TOLERANCE if objective == BALANCED else fewest


@kernel()
def cycle_limit(a, p, f, c, groups, traffic, work):  # type: ignore[no-untyped-def]
    """Return an upper bound of the cycles: all work and all transfers one after the other."""
    steps = p.tiles * f.tiles * c.tiles * groups + 1
    return work + traffic // a.bandwidth + steps * (a.latency + 1) + 1


@kernel()
def candidates(s, a, max_tiles, k_unit):  # type: ignore[no-untyped-def]
    """List the tilings that fit, CANDIDATE [tiling]: all cuts of the three loops, in every order that differs.

    Tilings that cannot be the best are left out: where traffic counts first, all but those with the least
    traffic; otherwise those whose bound exceeds the cycles that another tiling surely keeps. Channels are cut
    in units of `k_unit`; tilings of more than `max_tiles` tiles are left out.
    """
    pixel_cuts, channel_cuts, filter_cuts = pixel_blocks(s, a), channel_blocks(s, a, k_unit), filter_blocks(s, a)
    options = np.empty(len(pixel_cuts) * len(channel_cuts) * len(filter_cuts) * len(ORDERS), dtype=CANDIDATE)
    counts = np.empty(3, dtype=np.int64)
    found, least, limit = 0, np.int64(1) << 62, np.int64(1) << 61
    for i in range(len(pixel_cuts)):
        p = pixel_cuts[i]
        for j in range(len(channel_cuts)):
            c = channel_cuts[j]
            if not ifmap_fits(s, a, p, c):
                continue
            for k in range(len(filter_cuts)):
                f = filter_cuts[k]
                counts[PIXELS], counts[FILTERS], counts[CHANNELS] = p.tiles, f.tiles, c.tiles
                if p.tiles * f.tiles * c.tiles > max_tiles or not outputs_fit(s, a, p, f, c):
                    continue
                work = array_work(s, a, p, f, c)
                cut_loops = (p.tiles > 1) + 2 * (f.tiles > 1) + 4 * (c.tiles > 1)
                for order in range(len(ORDERS)):
                    if not FIRST_OF_KIND[cut_loops, order]:
                        continue
                    traffic = dram_traffic(s, a, p, counts, ORDERS[order])
                    bound = cycle_bound(s, a, p, f, c, traffic, work)
                    if a.objective == MIN_TRAFFIC:
                        if traffic > least:
                            continue
                        if traffic < least:
                            found, least = 0, traffic
                    else:
                        if bound > slowest(a.objective, limit):
                            continue
                        limit = min(limit, cycle_limit(a, p, f, c, s.groups, traffic, work))
                    o = options[found]
                    o.traffic, o.bound = traffic, bound
                    o.tiles = p.tiles * f.tiles * c.tiles
                    o.images, o.rows, o.cols = p.images, p.rows, p.cols
                    o.filters, o.channels, o.order = f.size, c.size, order
                    found += 1
    return options[:found]


@kernel()
def _all_cuts(size):  # type: ignore[no-untyped-def]
    """List the block sizes that cut `size` lines into each number of blocks, largest first; of a long axis `cuts`."""
    if size > LONGEST_CUT:
        return cuts(size)
    sizes = np.empty(size, dtype=np.int64)
    found, block = 0, size
    while True:
        sizes[found] = block
        found += 1
        if block == 1:
            return sizes[:found]
        block = _ceil(size, _ceil(size, block - 1))


@kernel()
def finest(s, a, max_tiles):  # type: ignore[no-untyped-def]
    """List tilings for a layer whose `candidates` do not fit, CANDIDATE [tiling]; empty where no tile fits.

    All cuts of pixels and channels, each with the largest number of filters that fits, in every order that differs.
    """
    images, rows, cols, channels = (
        _all_cuts(s.images),
        _all_cuts(s.out_rows),
        _all_cuts(s.out_cols),
        _all_cuts(s.channels),
    )
    most = (len(images) + len(rows) + len(cols)) * len(channels) * len(ORDERS)
    options, counts = np.empty(most, dtype=CANDIDATE), np.empty(3, dtype=np.int64)
    ps, blocks = np.empty(1, dtype=PIXEL_BLOCK), np.empty(2, dtype=BLOCK)
    p, c, f = ps[0], blocks[0], blocks[1]
    found = 0
    for cut in range(2 if a.streamed == BY_PASS else 3):
        for size in images if cut == 0 else rows if cut == 1 else cols:
            count = _ceil(s.images, size) if cut == 0 else s.images * _ceil(s.out_rows, size if cut == 1 else 1)
            if count * (_ceil(s.out_cols, size) if cut == 2 else 1) > max_tiles:
                continue
            _describe_pixels(
                s,
                a,
                size if cut == 0 else 1,
                s.out_rows if cut == 0 else size if cut == 1 else 1,
                size if cut == 2 else s.out_cols,
                p,
            )
            for depth in channels:
                rest = s.channels % depth
                part, last = _channels_part(a, depth, s.taps), _channels_part(a, rest if rest else depth, s.taps)
                _sum_blocks(s.channels, depth, part, last, c)
                sum_bits = a.psum_bits if c.folds > 1 else s.out_bits
                filters = min(
                    a.weight_capacity // (depth * s.taps * s.w_bits), a.ofmap_capacity // (p.pixels * sum_bits)
                )
                if filters < 1 or not ifmap_fits(s, a, p, c):
                    continue
                filters = _ceil(s.filters, _ceil(s.filters, min(filters, s.filters)))
                rest = s.filters % filters
                _sum_blocks(
                    s.filters, filters, _filters_part(a, filters), _filters_part(a, rest if rest else filters), f
                )
                if p.tiles * f.tiles * c.tiles > max_tiles:
                    continue
                counts[PIXELS], counts[FILTERS], counts[CHANNELS] = p.tiles, f.tiles, c.tiles
                work = array_work(s, a, p, f, c)
                cut_loops = (p.tiles > 1) + 2 * (f.tiles > 1) + 4 * (c.tiles > 1)
                for order in range(len(ORDERS)):
                    if FIRST_OF_KIND[cut_loops, order]:
                        traffic = dram_traffic(s, a, p, counts, ORDERS[order])
                        bound = cycle_bound(s, a, p, f, c, traffic, work)
                        _describe(options[found], p, f, c, traffic, bound, order)
                        found += 1
    return options[:found]


@kernel()
def _describe(o, p, f, c, traffic, bound, order):  # type: ignore[no-untyped-def]
    """Fill in a CANDIDATE from a PIXEL_BLOCK and two BLOCKs."""
    o.traffic, o.bound, o.tiles = traffic, bound, p.tiles * f.tiles * c.tiles
    o.images, o.rows, o.cols = p.images, p.rows, p.cols
    o.filters, o.channels, o.order = f.size, c.size, order


@kernel()
def _pixels_axis(s, a, t, axis):  # type: ignore[no-untyped-def]
    """Fill `axis` int64 [tile, AXIS field] with the blocks of pixels of a CANDIDATE."""
    down, across = _ceil(s.out_rows, t.rows), _ceil(s.out_cols, t.cols)
    for m in range(len(axis)):
        row, col = m // across % down * t.rows, m % across * t.cols
        images = min(t.images, s.images - m // (down * across) * t.images)
        rows, cols = min(t.rows, s.out_rows - row), min(t.cols, s.out_cols - col)
        lines = _covered(row, rows, s.stride_h, s.span_h, s.top, s.rows)
        lines *= _covered(col, cols, s.stride_w, s.span_w, s.left, s.cols)
        axis[m, SIZE], axis[m, CODES] = images * rows * cols, images * lines
        axis[m, STREAM], axis[m, FOLDS], axis[m, WAIT] = _pixels_part(a, images, rows, cols)


@kernel()
def _mark_runs(axis):  # type: ignore[no-untyped-def]
    """Fill in the column LAST of `axis`: the last of the blocks that are equal to a block and follow it at once."""
    last = len(axis) - 1
    for i in range(last, -1, -1):
        for field in range(LAST):
            if axis[i, field] != axis[last, field]:
                last = i
                break
        axis[i, LAST] = last


@kernel()
def _axes(s, a, t):  # type: ignore[no-untyped-def]
    """List the blocks of the three loops of a CANDIDATE: int64 [block, AXIS field], and where each loop starts."""
    starts = np.zeros(4, dtype=np.int64)
    starts[1] = _ceil(s.images, t.images) * _ceil(s.out_rows, t.rows) * _ceil(s.out_cols, t.cols)
    starts[2] = starts[1] + _ceil(s.filters, t.filters)
    starts[3] = starts[2] + _ceil(s.channels, t.channels)
    blocks = np.zeros((starts[3], LAST + 1), dtype=np.int64)
    by_pixels, by_filters, by_channels = blocks[: starts[1]], blocks[starts[1] : starts[2]], blocks[starts[2] :]
    _pixels_axis(s, a, t, by_pixels)
    for n in range(len(by_filters)):
        size = min(t.filters, s.filters - n * t.filters)
        by_filters[n, SIZE] = size
        by_filters[n, STREAM], by_filters[n, FOLDS], by_filters[n, WAIT] = _filters_part(a, size)
    for k in range(len(by_channels)):
        size = min(t.channels, s.channels - k * t.channels)
        by_channels[k, SIZE] = size
        by_channels[k, STREAM], by_channels[k, FOLDS], by_channels[k, WAIT] = _channels_part(a, size, s.taps)
    _mark_runs(by_pixels)
    _mark_runs(by_filters)
    _mark_runs(by_channels[:-1])  # with the last channels, outputs leave instead of sums
    by_channels[-1, LAST] = len(by_channels) - 1
    return blocks, starts


@kernel()
def cycles_of(s, a, t, cutoff):  # type: ignore[no-untyped-def]
    """Compute the cycles of the whole layer with the tiling of a CANDIDATE, or any lower bound above `cutoff`.

    The cycles are those of `tiles` and `waits`. The blocks of a loop are alike but for the borders, and steps that
    follow three like tiles of the inner loop wait alike: one of each run is computed.
    """
    blocks, starts = _axes(s, a, t)
    loops = ORDERS[t.order]
    last_channels = starts[3] - starts[2] - 1
    overhead = a.fold_overhead + (a.fold_overhead_cut if last_channels > 0 else 0)
    work, folds, hidden = a.wavefront_cycles, np.int64(1), np.int64(1)
    for loop in range(3):
        axis = blocks[starts[loop] : starts[loop + 1]]
        work, folds, hidden = work * axis[:, STREAM].sum(), folds * axis[:, FOLDS].sum(), hidden * axis[:, WAIT].sum()
    cycles = work + folds * overhead
    first_edge = last_edge = np.int64(0)
    if a.min_fold_interval:
        cycles += hidden
        hidden_last = folds_last = np.int64(1)
        for loop in range(3):
            end = blocks[starts[loop + 1] - 1]
            hidden_last, folds_last = hidden_last * end[WAIT], folds_last * end[FOLDS]
        first_edge, last_edge = a.first_load, a.last_drain - hidden_last // folds_last
    cycles = cycles * s.groups + first_edge + last_edge
    outer, middle, inner = loops
    size = starts[1:] - starts[:-1]
    runs = blocks[starts[inner] : starts[inner + 1], LAST]
    index = np.zeros(3, dtype=np.int64)
    last_m = last_n = last_k = np.int64(-1)
    pending = leaving = sums = busy = np.int64(0)  # bits of the last tile but one, and of the last; its sums; its work
    started = False
    for group in range(min(s.groups, 3)):
        alike = s.groups - 2 if group == 1 and s.groups > 3 else 1  # the groups between the first and the last
        last_m = last_n = last_k = np.int64(-1)
        for i in range(size[outer]):
            index[outer] = i
            for j in range(size[middle]):
                index[middle] = j
                step = 0
                while step < size[inner]:
                    index[inner] = step
                    m, n, k = index[PIXELS], index[FILTERS], index[CHANNELS]
                    p, f, c = blocks[m], blocks[starts[1] + n], blocks[starts[2] + k]
                    run = runs[step] - step + 1 if step > 1 and runs[step - 2] == runs[step] else 1
                    new_m, new_n, new_k = m != last_m, n != last_n, k != last_k
                    fetch = np.int64(0)
                    if new_m or new_k:
                        fetch += p[CODES] * c[SIZE] * s.a_bits + (s.mask_bits if m == 0 and k == 0 else 0)
                    if new_n or new_k:
                        fetch += c[SIZE] * s.taps * f[SIZE] * s.w_bits
                    outputs = p[SIZE] * f[SIZE]
                    if new_m or new_n:
                        if k > 0:
                            fetch += outputs * a.psum_bits
                        leaving += sums * a.psum_bits
                    needs = _ceil(fetch + pending, a.bandwidth) + (a.latency if fetch > 0 else 0)
                    if started:
                        cycles += max(0, needs - busy) * run * alike
                    else:
                        cycles += needs
                    if cycles > cutoff:
                        return cycles
                    pending = leaving
                    leaving, sums = (outputs * s.out_bits, 0) if k == last_channels else (0, outputs)  # type: ignore[assignment]
                    busy = (
                        p[STREAM] * f[STREAM] * c[STREAM] * a.wavefront_cycles
                        + p[FOLDS] * f[FOLDS] * c[FOLDS] * overhead
                    )
                    if a.min_fold_interval:
                        busy += p[WAIT] * f[WAIT] * c[WAIT]
                    if not started:
                        busy += first_edge
                        started = True
                    step += run
                    index[inner] = step - 1
                    last_m, last_n, last_k = index[PIXELS], index[FILTERS], index[CHANNELS]
    cycles += max(0, _ceil(pending, a.bandwidth) - busy - last_edge)
    return cycles + _ceil(leaving, a.bandwidth)


@kernel(nogil=True)
def search(shapes, arrays, max_tiles, chosen):  # type: ignore[no-untyped-def]
    """Search the best tiling of the layer `shapes[0]` on `arrays[0]`, and write it to `chosen` TILING [1].

    Returns False, and writes nothing, where no tile fits. The channels fill whole folds, unless no such tile
    fits; then the filters need not fill a fold either. A tiling has at most `max_tiles` tiles. The best tiling
    is the first one by (DRAM traffic, cycles,
    number of tiles): with the objective MIN_TRAFFIC of all tilings, with MIN_LATENCY of those with the fewest
    cycles, with BALANCED of those with at most 2 % more cycles. Branch and bound: cycles are computed for those
    tilings alone whose bound leaves the outcome open.
    """
    s, a = shapes[0], arrays[0]
    folds_channels = a.streamed == PIXELS or a.streamed == FILTERS
    options = candidates(s, a, max_tiles, max(1, a.k_extent // s.taps) if folds_channels else 1)
    if len(options) == 0:
        options = candidates(s, a, max_tiles, 1)
    if len(options) == 0:
        options = finest(s, a, max_tiles)
    if len(options) == 0:
        return False
    _write_best(s, a, options, chosen[0])
    return True


@kernel()
def _write_tiling(option, tiling):  # type: ignore[no-untyped-def]
    """Fill in a TILING from a CANDIDATE."""
    tiling.images, tiling.rows, tiling.cols = option.images, option.rows, option.cols
    tiling.filters, tiling.channels, tiling.order = option.filters, option.channels, option.order


@kernel()
def _write_best(s, a, options, tiling):  # type: ignore[no-untyped-def]
    """Write the best of `options`, CANDIDATE [tiling], to a TILING.

    Tilings are visited by traffic. The fewest cycles of all lie between the least bound of those that are not
    computed and the fewest cycles of those that are: the tilings of the least bounds are computed until that
    decides whether the visited one is fast enough.
    """
    far = np.int64(1) << 62
    cycles = np.full(len(options), -1, dtype=np.int64)  # -1: not computed
    by_bound = np.argsort(options.bound, kind="mergesort")
    fewest, unseen = far, 0
    best = (far, far, far)
    for index in by_bound[np.argsort(options.traffic[by_bound], kind="mergesort")]:
        o = options[index]
        if o.traffic > best[0]:
            break
        if (o.traffic, o.bound, o.tiles) >= best:
            continue
        while a.objective != MIN_TRAFFIC:
            while unseen < len(by_bound) and cycles[by_bound[unseen]] >= 0:
                unseen += 1
            least = min(fewest, options[by_bound[unseen]].bound) if unseen < len(by_bound) else fewest
            known = cycles[index] if cycles[index] >= 0 else o.bound
            limit = slowest(a.objective, fewest)
            if known > limit or (cycles[index] >= 0 and known <= slowest(a.objective, least)):
                break
            # not decided: compute the most promising tiling first, then this one
            which = by_bound[unseen] if cycles[index] >= 0 or fewest == far else index
            cycles[which] = cycles_of(s, a, options[which], limit)
            fewest = min(fewest, cycles[which])
        if a.objective == MIN_TRAFFIC:
            cycles[index] = cycles_of(s, a, o, best[1] if o.traffic == best[0] else far)
        elif known > limit:
            continue
        if (o.traffic, cycles[index], o.tiles) < best:
            best = o.traffic, cycles[index], o.tiles
            _write_tiling(o, tiling)
