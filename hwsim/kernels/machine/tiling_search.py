"""How a layer is cut into tiles that fit the scratchpads, and what the cut costs in cycles and DRAM traffic.

A tile is a block of output pixels (`m`: whole images, rows of one image, or columns of one row), of
filters (`n`) and of input channels (`k`, with all kernel taps). Three loops over tiles, in one of six
orders, walk through the layer; an operand's tile is fetched when its place changes from one step to the
next. While a tile is worked on, the next one is fetched and the outputs of the one before are written,
so one step takes the longer of work and transfer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.compile import kernel

WS, OS, IS, RS = range(4)
"""Dataflows."""

SHAPE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "images",
            "out_rows",
            "out_cols",
            "rows",
            "cols",
            "stride_h",
            "stride_w",
            "span_h",  # rows of the map that one output row reads
            "span_w",
            "top",  # padding
            "left",
            "channels",  # of one group
            "taps",
            "filters",  # of one group
            "groups",
            "a_bits",
            "w_bits",
            "out_bits",
            "mask_bits",  # of a region layer, for all images
        )
    ],
    align=True,
)
"""One layer."""

ARRAY = np.dtype(
    [
        (name, np.int64)
        for name in (
            "flow",
            "m_grain",  # pixels (os, is) or output rows (rs) of one fold
            "n_grain",  # filters of one fold
            "k_grain",  # reduction (ws, is) or channels (rs) of one fold
            "n_share",  # rs: filters of one fold that different PEs work on
            "k_share",  # rs: channels of one fold that different PEs work on
            "lanes",  # products along the reduction per step
            "steps",  # cycles per step, as ports allow
            "over",  # cycles of a fold besides streaming
            "over_cut",  # and more where channels are cut
            "period",  # least cycles from fold to fold while the next stationary operand comes, 0: not hidden
            "load",  # where it is hidden: cycles before the first fold of a group
            "drain",  # and after its last one
            "ifmap_room",  # bits of half a scratchpad
            "weight_room",
            "ofmap_room",
            "psum_bits",
            "bandwidth",  # bits per cycle
            "latency",
            "for_latency",  # search for fewest cycles instead of fewest bits
        )
    ],
    align=True,
)
"""One accelerator, at the operand widths of the layer."""

TILING = np.dtype([(name, np.int64) for name in ("images", "rows", "cols", "filters", "channels", "order")], align=True)
"""Sizes of one tile, and the order of the loops: an index into ORDERS."""

ORDERS = np.array([(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)], dtype=np.int64)
"""Loops from outer to inner: 0 pixels (m), 1 filters (n), 2 channels (k)."""


def _first_of_their_kind() -> NDArray[np.bool_]:
    """bool [cut dimensions as bits, order]: no earlier order runs through the dimensions that are cut alike."""
    first = np.zeros((8, len(ORDERS)), dtype=np.bool_)
    for cut in range(8):
        seen: set[tuple[int, ...]] = set()
        for index, order in enumerate(ORDERS.tolist()):
            loops = tuple(loop for loop in order if cut >> loop & 1)
            first[cut, index] = loops not in seen
            seen.add(loops)
    return first


FIRST_OF_KIND = _first_of_their_kind()
"""Loops of one turn change nothing, so that of orders that differ in them alone only the first is tried."""

CANDIDATE = np.dtype([(name, np.int64) for name in ("traffic", "bound", "tiles", *(TILING.names or ()))], align=True)
"""A tiling with its bits over DRAM, a lower bound of its cycles, and its number of tiles in one group."""

COUNTS = np.array(sorted({b << i for i in range(20) for b in (1, 3)}), dtype=np.int64)
"""Numbers of tiles per dimension that are tried: 1, 2, 3, 4, 6, 8, 12 and so on."""

TILE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "m",  # place of the tile: block of pixels, of filters, of channels
            "n",
            "k",
            "ifmap_fetch",  # bits from DRAM
            "weight_fetch",
            "psum_fetch",
            "psum_spill",  # bits to DRAM
            "output_bits",
            "stream",  # cycles in which operands stream
            "wait",  # cycles that streaming waits for the next stationary operand
            "folds",
            "n_stream",  # how often the tile's input streams through the array
            "ifmap_reads",  # codes from the scratchpads into the array
            "weight_reads",
            "ofmap_writes",  # psums and outputs back
        )
    ],
    align=True,
)
"""One tile of a layer and group, as `tiles` lays it out."""


@kernel()
def _ceil(a, b):  # type: ignore[no-untyped-def]
    return (a + b - 1) // b


@kernel()
def _last(total, block):  # type: ignore[no-untyped-def]
    """Size of the last block."""
    return total - (_ceil(total, block) - 1) * block


@kernel()
def _covered(first, count, stride, span, padding, size):  # type: ignore[no-untyped-def]
    """Lines of a map of `size` lines that `count` output lines from `first` on read."""
    low = max(first * stride - padding, 0)
    high = min((first + count - 1) * stride + span - padding, size)
    return max(high - low, 0)


@kernel()
def lines(total, tile, stride, span, padding, size):  # type: ignore[no-untyped-def]
    """(most, least) lines that a tile of output lines reads, lines that all tiles read, those of the first tile."""
    most, least, summed = 0, size, 0
    for first in range(0, total, tile):
        lines = _covered(first, min(tile, total - first), stride, span, padding, size)
        most, least = max(most, lines), min(least, lines)
        summed += lines
    return most, least, summed, _covered(0, min(tile, total), stride, span, padding, size)


@kernel()
def _pixels_part(a, images, rows, cols):  # type: ignore[no-untyped-def]
    """(stream, folds, wait) of a block of output pixels: its factors of the cycles, folds and waits of a tile."""
    pixels = images * rows * cols
    if a.flow == WS:
        return pixels, 1, max(0, a.period - pixels * a.steps)
    if a.flow == RS:
        passes = images * _ceil(rows, a.m_grain)
        return passes * cols, passes, 0
    folds = _ceil(pixels, a.m_grain)
    return folds, folds, folds if a.flow == IS else 0


@kernel()
def _filters_part(a, filters):  # type: ignore[no-untyped-def]
    """The same for a block of filters."""
    if a.flow == IS:
        return filters, 1, max(0, a.period - filters * a.steps)
    folds = _ceil(filters, a.n_grain)
    if a.flow == RS:
        whole, rest = filters // a.n_grain, filters % a.n_grain
        return whole * (a.n_grain // a.n_share) + _ceil(rest, a.n_share), folds, 0
    return folds, folds, folds if a.flow == WS else 0


@kernel()
def _channels_part(a, channels, taps):  # type: ignore[no-untyped-def]
    """The same for a block of input channels."""
    if a.flow == OS:
        return _ceil(channels * taps, a.lanes), 1
    if a.flow == RS:
        whole, rest = channels // a.k_grain, channels % a.k_grain
        return whole * (a.k_grain // a.k_share) + _ceil(rest, a.k_share), _ceil(channels, a.k_grain)
    folds = _ceil(channels * taps, a.k_grain)
    return folds, folds


@kernel()
def _all_pixels(a, s, images, rows, cols):  # type: ignore[no-untyped-def]
    """(stream, folds, wait, tiles) summed over all blocks of pixels; at most one of the three is cut."""
    stream = folds = wait = tiles = 0
    for image in range(0, s.images, images):
        for row in range(0, s.out_rows, rows):
            for col in range(0, s.out_cols, cols):
                part = _pixels_part(
                    a, min(images, s.images - image), min(rows, s.out_rows - row), min(cols, s.out_cols - col)
                )
                stream, folds, wait, tiles = stream + part[0], folds + part[1], wait + part[2], tiles + 1
    return stream, folds, wait, tiles


@kernel()
def _all_filters(a, s, filters):  # type: ignore[no-untyped-def]
    """(stream, folds, wait, tiles) summed over all blocks of filters."""
    whole, rest = s.filters // filters, s.filters % filters
    one, last = _filters_part(a, filters), _filters_part(a, rest)
    folds, wait = (last[1], last[2]) if rest else (0, 0)
    return whole * one[0] + last[0], whole * one[1] + folds, whole * one[2] + wait, whole + (rest > 0)


@kernel()
def _all_channels(a, s, channels):  # type: ignore[no-untyped-def]
    """(stream, folds, tiles) summed over all blocks of channels."""
    whole, rest = s.channels // channels, s.channels % channels
    one, last = _channels_part(a, channels, s.taps), _channels_part(a, rest, s.taps)
    return whole * one[0] + last[0], whole * one[1] + (last[1] if rest else 0), whole + (rest > 0)


@kernel()
def _refetches(loops, x, y, tiles):  # type: ignore[no-untyped-def]
    """How often each tile of an operand is fetched whose place the loops `x` and `y` choose."""
    times = pending = 1
    for loop in loops:
        if loop != x and loop != y:
            pending *= tiles[loop]
        elif tiles[loop] > 1:
            times = pending
    return times


@kernel()
def _cuts(size):  # type: ignore[no-untyped-def]
    """Sizes of blocks of lines that cut `size` lines into COUNTS[i] or `size` blocks, each once, the largest first."""
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
def tiles(shapes, arrays, tilings, table):  # type: ignore[no-untyped-def]
    """Fill `table` (TILE, one row per tile) with the tiles of one group of a layer, in the order of the loops."""
    s, a, t = shapes[0], arrays[0], tilings[0]
    loops = ORDERS[t.order]
    down, across = _ceil(s.out_rows, t.rows), _ceil(s.out_cols, t.cols)
    size = np.array(
        [_ceil(s.images, t.images) * down * across, _ceil(s.filters, t.filters), _ceil(s.channels, t.channels)]
    )
    started = np.zeros((size[0], size[1]), dtype=np.uint8)
    place = np.zeros(3, dtype=np.int64)
    last_m = last_n = last_k = np.int64(-1)
    for step in range(len(table)):
        place[loops[2]] = step % size[loops[2]]
        place[loops[1]] = step // size[loops[2]] % size[loops[1]]
        place[loops[0]] = step // (size[loops[2]] * size[loops[1]])
        m, n, k = place[0], place[1], place[2]
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
            if step > 0 and table[step - 1].output_bits == 0:  # unfinished outputs make room
                before = table[step - 1]
                before.psum_spill = _outputs(s, t, before.m, before.n, down, across) * a.psum_bits
        if k == size[2] - 1:
            tile.output_bits = pixels * filters * s.out_bits
        started[m, n] = 1
        last_m, last_n, last_k = m, n, k
        m_stream, m_folds, m_wait = _pixels_part(a, images, rows, cols)
        n_stream, n_folds, n_wait = _filters_part(a, filters)
        k_stream, k_folds = _channels_part(a, channels, s.taps)
        tile.folds, tile.n_stream = m_folds * n_folds * k_folds, n_stream
        tile.stream = m_stream * n_stream * k_stream * a.steps
        tile.wait = m_wait * n_wait * k_folds if a.period else 0
        if a.flow == RS:  # a pass gets each code of its map rows once; PEs hand it on and keep it for its neighbours
            across_map = _covered(col, cols, s.stride_w, s.span_w, s.left, s.cols)
            for first in range(row, row + rows, a.m_grain):
                lines_of_pass = min(a.m_grain, row + rows - first)
                down_map = _covered(first, lines_of_pass, s.stride_h, s.span_h, s.top, s.rows)
                tile.ifmap_reads += images * down_map * across_map * channels * n_folds
        else:
            tile.ifmap_reads = pixels * depth * n_folds
        tile.weight_reads = depth * filters * m_folds
        tile.ofmap_writes = pixels * filters * k_folds


@kernel()
def _outputs(s, t, m, n, down, across):  # type: ignore[no-untyped-def]
    """Outputs of the tile at block of pixels `m` and block of filters `n`."""
    images = min(t.images, s.images - m // (down * across) * t.images)
    rows = min(t.rows, s.out_rows - m // across % down * t.rows)
    cols = min(t.cols, s.out_cols - m % across * t.cols)
    return images * rows * cols * min(t.filters, s.filters - n * t.filters)


@kernel()
def waits(table, work, groups, bandwidth, latency):  # type: ignore[no-untyped-def]
    """Cycles in which the array waits for DRAM: int64 [sample, (prefetch, bandwidth, latency, write-back)].

    `work` int64 [sample, tile] are the cycles of the array on each tile of `table`, of one group or of
    all `groups`, which follow each other. The first tile's operands come before the array begins, the
    last outputs leave when it has ended; between, a tile's work, the next one's fetch and the
    write-back of the one before run side by side, and a fetch begins with the latency of the DRAM.
    """
    found = np.zeros((len(work), 4), dtype=np.int64)
    count = len(table)
    total = count * groups
    for sample in range(len(work)):
        pending = np.int64(0)
        for step in range(total + 1):
            tile = table[step % count]
            fetch = tile.ifmap_fetch + tile.weight_fetch + tile.psum_fetch if step < total else 0
            delay = latency if fetch > 0 else 0
            transfer = _ceil(fetch + pending, bandwidth)
            if step == 0:
                found[sample, 0] = delay + transfer
                continue
            busy = work[sample, (step - 1) % work.shape[1]]
            late = max(0, transfer - busy)
            found[sample, 1] += late
            found[sample, 2] += max(0, transfer + delay - busy) - late
            before = table[(step - 1) % count]
            pending = before.output_bits + before.psum_spill
        found[sample, 3] = _ceil(pending, bandwidth)
    return found


@kernel()
def _layer_cycles(s, a, table, work):  # type: ignore[no-untyped-def]
    """Cycles of the whole layer with the tiles of `table`; `work` int64 [1, tile] is room for those of the array."""
    over = a.over + (a.over_cut if table[len(table) - 1].k > 0 else 0)
    for step in range(len(table)):
        work[0, step] = table[step].stream + table[step].wait + table[step].folds * over
    if a.period:
        last = table[len(table) - 1]
        work[0, 0] += a.load
        work[0, len(table) - 1] += a.drain - last.wait // last.folds
    return work.sum() * s.groups + waits(table, work, s.groups, a.bandwidth, a.latency).sum()


@kernel()
def candidates(s, a, most_tiles, k_unit):  # type: ignore[no-untyped-def]
    """The tilings that fit, CANDIDATE [tiling]: COUNTS tiles per dimension, in every order of the loops that matters.

    Where traffic counts first, only those with the least of it. Channels are cut in units of `k_unit`.
    The bound of the cycles is prefetch, work or the other transfers (each tile with the latency of its
    fetch), whichever is longer, and write-back.
    """
    tiles = np.empty(3, dtype=np.int64)
    n_unit = 1 if a.flow == IS else a.n_grain
    n_units = _ceil(s.filters, n_unit)
    blocks = len(_cuts(s.images)) + len(_cuts(s.out_rows)) + len(_cuts(s.out_cols))
    channel_cuts, filter_cuts = _cuts(_ceil(s.channels, k_unit)), _cuts(n_units)
    options = np.empty(blocks * len(channel_cuts) * len(filter_cuts) * len(ORDERS), dtype=CANDIDATE)
    found, least = 0, np.int64(1) << 62
    for cut in range(3):  # into groups of images, into rows of one image, into columns of one row
        size = s.images if cut == 0 else s.out_rows if cut == 1 else s.out_cols
        for block in _cuts(size):
            if cut > 0 and block == size and (cut == 2 or s.images == 1):
                continue  # the same as not cutting
            images = block if cut == 0 else 1
            rows = s.out_rows if cut == 0 else block if cut == 1 else 1
            cols = block if cut == 2 else s.out_cols
            if a.flow == RS:  # whole passes only
                if cut == 2:
                    break
                rows = min(_ceil(rows, a.m_grain) * a.m_grain, s.out_rows)
            rows_most, rows_least, rows_sum, rows_first = lines(s.out_rows, rows, s.stride_h, s.span_h, s.top, s.rows)
            cols_most, cols_least, cols_sum, cols_first = lines(s.out_cols, cols, s.stride_w, s.span_w, s.left, s.cols)
            if images * rows_most * cols_most * s.a_bits + s.mask_bits > a.ifmap_room:
                continue
            m_stream, m_folds, m_wait, tiles[0] = _all_pixels(a, s, images, rows, cols)
            map_bits = s.images * rows_sum * cols_sum * s.channels * s.a_bits + s.mask_bits
            pixels = images * rows * cols
            last_pixels = _last(s.images, images) * _last(s.out_rows, rows) * _last(s.out_cols, cols)
            for units_of_channels in channel_cuts:
                channels = min(units_of_channels * k_unit, s.channels)
                map_tile = images * rows_most * cols_most * channels * s.a_bits + s.mask_bits
                if map_tile > a.ifmap_room:
                    continue
                k_stream, k_folds, tiles[2] = _all_channels(a, s, channels)
                waits = k_folds > 1
                for units in filter_cuts:
                    filters = min(units * n_unit, s.filters)
                    weight_tile = channels * s.taps * filters * s.w_bits
                    out_tile = pixels * filters * (a.psum_bits if waits else s.out_bits)
                    if weight_tile > a.weight_room or out_tile > a.ofmap_room:
                        continue
                    n_stream, n_folds, n_wait, tiles[1] = _all_filters(a, s, filters)
                    folds = m_folds * n_folds * k_folds
                    wait = m_wait * n_wait * k_folds if a.period else 0
                    over = a.over + (a.over_cut if tiles[2] > 1 else 0)
                    work = m_stream * n_stream * k_stream * a.steps + folds * over + wait
                    if a.period:
                        streamed = last_pixels if a.flow == WS else _last(s.filters, filters)
                        work += a.load + a.drain - max(0, a.period - streamed * a.steps)
                    work *= s.groups
                    first_bits = images * rows_first * cols_first * channels * s.a_bits + s.mask_bits + weight_tile
                    last_bits = last_pixels * _last(s.filters, filters) * s.out_bits
                    cut_loops = (tiles[0] > 1) + 2 * (tiles[1] > 1) + 4 * (tiles[2] > 1)
                    for order in range(len(ORDERS)):
                        if not FIRST_OF_KIND[cut_loops, order]:
                            continue
                        loops = ORDERS[order]
                        spills = _refetches(loops, 0, 1, tiles) - 1
                        traffic = map_bits * _refetches(loops, 0, 2, tiles)
                        traffic += s.channels * s.taps * s.filters * s.w_bits * _refetches(loops, 1, 2, tiles)
                        outputs = s.images * s.out_rows * s.out_cols * s.filters
                        traffic += outputs * (s.out_bits + 2 * a.psum_bits * spills)
                        traffic *= s.groups
                        count = tiles[0] * tiles[1] * tiles[2]
                        if count > most_tiles or (traffic > least and not a.for_latency):
                            continue
                        if traffic < least and not a.for_latency:
                            found, least = 0, traffic
                        o = options[found]
                        o.traffic, o.tiles = traffic, count
                        rest = _ceil(traffic - first_bits - last_bits, a.bandwidth)
                        if rows_least * cols_least > 0:  # then every tile begins with a fetch
                            rest += (count * s.groups - 1) * a.latency
                        o.bound = a.latency + _ceil(first_bits, a.bandwidth) + _ceil(last_bits, a.bandwidth)
                        o.bound += max(work, rest)
                        o.images, o.rows, o.cols, o.filters, o.channels, o.order = (
                            images,
                            rows,
                            cols,
                            filters,
                            channels,
                            order,
                        )
                        found += 1
    return options[:found]


@kernel()
def _value(option, cycles, for_latency):  # type: ignore[no-untyped-def]
    """What a tiling is judged by, the smaller the better, when it takes so many cycles."""
    if for_latency:
        return cycles, option.traffic, option.tiles
    return option.traffic, cycles, option.tiles


@kernel()
def search(shapes, arrays, most_tiles):  # type: ignore[no-untyped-def]
    """The best tiling of the layer `shapes[0]` on `arrays[0]`: (found, images, rows, cols, filters, channels, order).

    Its channels fill whole folds, unless no such tile fits. Least DRAM traffic, then fewest cycles (or
    the other way round), then fewest tiles. The tiling with the best bound is walked through first, of
    the others only those whose bound is better than the best so far. `found` is 0 when no tile fits, or
    only in more than `most_tiles` tiles.
    """
    s, a = shapes[0], arrays[0]
    options = candidates(s, a, most_tiles, max(1, a.k_grain // s.taps) if a.flow == WS or a.flow == IS else 1)
    if len(options) == 0:
        options = candidates(s, a, most_tiles, 1)
    chosen = (0, 0, 0, 0, 0, 0, 0)
    if len(options) == 0:
        return chosen
    lowest = 0
    for index in range(len(options)):
        if _value(options[index], options[index].bound, a.for_latency) < _value(
            options[lowest], options[lowest].bound, a.for_latency
        ):
            lowest = index
    best = (np.int64(1) << 62, np.int64(1) << 62, np.int64(1) << 62)
    tiling = np.zeros(1, dtype=TILING)
    for turn in range(len(options) + 1):
        o = options[lowest if turn == 0 else turn - 1]
        if _value(o, o.bound, a.for_latency) >= best:
            continue
        t = tiling[0]
        t.images, t.rows, t.cols, t.filters, t.channels, t.order = (
            o.images,
            o.rows,
            o.cols,
            o.filters,
            o.channels,
            o.order,
        )
        table = np.zeros(o.tiles, dtype=TILE)
        tiles(shapes, arrays, tiling, table)
        value = _value(o, _layer_cycles(s, a, table, np.empty((1, o.tiles), dtype=np.int64)), a.for_latency)
        if value < best:
            best = value
            chosen = (1, o.images, o.rows, o.cols, o.filters, o.channels, o.order)
    return chosen
