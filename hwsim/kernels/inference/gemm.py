"""Convolutions and linear layers: by register tiles where sums are proved to fit, one product at a time elsewhere."""

from __future__ import annotations

import numpy as np

from hwsim.kernels.compile import kernel
from hwsim.kernels.inference.instructions import TILES, Emit, Fit
from hwsim.kernels.inference.microkernels import (
    LANES,
    PIXELS,
    adding_byte_tile,
    byte_tile,
    dot_tile,
    emit,
    emit_wide,
    int_tile,
)
from hwsim.kernels.inference.requantize import codes_of, fit_row, saturate

i32, i64, u8 = np.int32, np.int64, np.uint8
BYTES, BYTES_ADD, WIDE = int(Emit.BYTES), int(Emit.BYTES_ADD), int(Emit.WIDE)
INTS, LOGITS = int(Emit.INTS), int(Emit.LOGITS)
SATURATE_STEP = int(Fit.SATURATE_STEP)


def _five(make):  # type: ignore[no-untyped-def]
    """A tile of each kind: five names, so that Numba sees each call; a CPU with fewer tiles never picks the last."""
    made = [make(*tile) for tile in TILES]
    return [made[min(i, len(made) - 1)] for i in range(5)]


_sum_0, _sum_1, _sum_2, _sum_3, _sum_4 = _five(dot_tile)
_int_0, _int_1, _int_2, _int_3, _int_4 = _five(int_tile)
_byte_0, _byte_1, _byte_2, _byte_3, _byte_4 = _five(byte_tile)
_add_0, _add_1, _add_2, _add_3, _add_4 = _five(adding_byte_tile)


@kernel()
def _sum_tile(tile, x, offsets, stride, segments, count, w, sums):  # type: ignore[no-untyped-def]
    if tile == 0:
        _sum_0(x, offsets, stride, segments, count, w, sums)
    elif tile == 1:
        _sum_1(x, offsets, stride, segments, count, w, sums)
    elif tile == 2:
        _sum_2(x, offsets, stride, segments, count, w, sums)
    elif tile == 3:
        _sum_3(x, offsets, stride, segments, count, w, sums)
    else:
        _sum_4(x, offsets, stride, segments, count, w, sums)


@kernel()
def _int_tile(tile, x, ins, stride, segments, count, w, bias, out, outs, out_stride, n):  # type: ignore[no-untyped-def]
    if tile == 0:
        _int_0(x, ins, stride, segments, count, w, bias, out, outs, out_stride, n)
    elif tile == 1:
        _int_1(x, ins, stride, segments, count, w, bias, out, outs, out_stride, n)
    elif tile == 2:
        _int_2(x, ins, stride, segments, count, w, bias, out, outs, out_stride, n)
    elif tile == 3:
        _int_3(x, ins, stride, segments, count, w, bias, out, outs, out_stride, n)
    else:
        _int_4(x, ins, stride, segments, count, w, bias, out, outs, out_stride, n)


@kernel()
def _byte_tile(  # type: ignore[no-untyped-def]
    tile, x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, out_stride, n
):
    if tile == 0:
        _byte_0(x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, out_stride, n)
    elif tile == 1:
        _byte_1(x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, out_stride, n)
    elif tile == 2:
        _byte_2(x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, out_stride, n)
    elif tile == 3:
        _byte_3(x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, out_stride, n)
    else:
        _byte_4(x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, out_stride, n)


@kernel()
def _add_tile(  # type: ignore[no-untyped-def]
    tile, x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, to, n, other, others, ts
):
    if tile == 0:
        _add_0(x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, to, n, other, others, ts)
    elif tile == 1:
        _add_1(x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, to, n, other, others, ts)
    elif tile == 2:
        _add_2(x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, to, n, other, others, ts)
    elif tile == 3:
        _add_3(x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, to, n, other, others, ts)
    else:
        _add_4(x, ins, stride, segments, count, w, bias, mul, half, shift, scalars, out, outs, to, n, other, others, ts)


@kernel()
def store_code(arena, y, at, code, first_code):  # type: ignore[no-untyped-def]
    """Write one code at a byte of map `y`."""
    stored = (code - first_code) * y.unit
    arena[at] = u8(stored & 255)
    if y.planes == 2:
        arena[at + y.plane] = u8(stored >> 8)


@kernel()
def store_codes(arena, y, at, codes, first_code):  # type: ignore[no-untyped-def]
    """Write codes side by side from a byte of map `y` on."""
    unit, low = y.unit, arena[at:][: len(codes)]
    for c in range(len(codes)):
        low[c] = u8(((codes[c] - first_code) * unit) & 255)
    if y.planes == 2:
        high = arena[at + y.plane :][: len(codes)]
        for c in range(len(codes)):
            high[c] = u8(((codes[c] - first_code) * unit) >> 8)


@kernel()
def value_at(arena, x, at):  # type: ignore[no-untyped-def]
    """The value whose code stands at a byte of map `x`."""
    if x.planes == 2:
        return i64(arena[at]) + (i64(arena[at + x.plane]) << 8) + x.low
    return i64(arena[at]) + x.low


@kernel()
def lay_groups(step, x, y, other, images):  # type: ignore[no-untyped-def]
    """Where the pixel groups of a step begin: int64 offsets in x, y and other [group], and three strides.

    A group is PIXELS output pixels of one row; where rows are shorter, the same pixel of PIXELS
    samples; where there are fewer samples, one pixel as often as needed. The last group of a row or
    batch overlaps the one before it: what is computed twice has the same value twice.
    """
    if y.width >= PIXELS:
        across, samples = (y.width + PIXELS - 1) // PIXELS, images
        strides = (step.stride_w * x.pixel, y.pixel, other.pixel)
    elif images >= PIXELS:
        across, samples = y.width, (images + PIXELS - 1) // PIXELS
        strides = (x.image, y.image, other.image)
    else:
        across, samples = y.width, images
        strides = (i64(0), i64(0), i64(0))
    in_step = step.stride_w * x.pixel
    count = samples * y.height * across
    padded = count + step.tile_groups
    ins, outs, others = np.empty(padded, i64), np.empty(padded, i64), np.empty(padded, i64)
    column = np.empty(across, i64)  # of each group's first pixel
    for a in range(across):
        column[a] = min(a * PIXELS, y.width - PIXELS) if y.width >= PIXELS else a
    at = 0
    for s in range(samples):
        sample = min(s * PIXELS, images - PIXELS) if y.width < PIXELS <= images else s
        for row in range(y.height):
            top = row * step.stride_h - step.pad_h
            in_row = x.origin + sample * x.image + top * x.row - step.pad_w * x.pixel
            out_row = y.origin + sample * y.image + row * y.row
            other_row = other.origin + sample * other.image + row * other.row
            in_part, out_part, other_part = ins[at:][:across], outs[at:][:across], others[at:][:across]
            for a in range(across):
                in_part[a] = in_row + column[a] * in_step
                out_part[a] = out_row + column[a] * y.pixel
                other_part[a] = other_row + column[a] * other.pixel
            at += across
    for pad in range(count, padded):
        ins[pad], outs[pad], others[pad] = ins[count - 1], outs[count - 1], others[count - 1]
    return ins, outs, others, strides, count


@kernel()
def place_segments(step, x, words):  # type: ignore[no-untyped-def]
    """The segments of a step, int64 [count, (byte offset, four-byte words)], once it is known how far planes lie apart.

    They stand in `words` as (offset, plane, four-byte words): a layer with region precision walks
    through the fine codes in one plane and the coarse ones in the other.
    """
    placed = np.empty((step.segment_count, 2), i64)
    for s in range(step.segment_count):
        at = step.segments + 3 * s
        placed[s, 0], placed[s, 1] = words[at] + words[at + 1] * x.plane, words[at + 2]
    return placed


@kernel()
def finish(step, y, channel, totals, at, arena, words, floats, logits):  # type: ignore[no-untyped-def]
    """Emit exact sums, bias included, of the channels from `channel` on; `at` is a byte of y or an output."""
    if step.emit == LOGITS:
        fit_row(totals, step.fit, step.fit_bits)
        for c in range(len(totals)):
            logits[at + (channel + c) * y.plane] = i32(totals[c])
    else:
        codes_of(step, channel, totals, words, floats)
        store_codes(arena, y, at + channel, totals, step.first_code)


@kernel()
def values_of(arena, x, at, values):  # type: ignore[no-untyped-def]
    """The values of codes side by side from a byte of map `x` on."""
    low, base = arena[at:][: len(values)], x.low
    for c in range(len(values)):
        values[c] = i64(low[c]) + base
    if x.planes == 2:
        high = arena[at + x.plane :][: len(values)]
        for c in range(len(values)):
            values[c] += i64(high[c]) << 8


@kernel()
def add_planes(step, sums, area, x_planes, totals):  # type: ignore[no-untyped-def]
    """Exact sums of a row of channels from the int32 sums of its byte planes, `area` apart."""
    totals[:] = 0
    for p in range(x_planes * step.weight_planes):
        x_plane, w_plane = divmod(p, step.weight_planes)
        shift, row = 8 * (x_plane + w_plane), sums[p * area :]
        for c in range(len(totals)):
            totals[c] += i64(row[c]) << shift


@kernel(nogil=True)
def multiply(step, x, y, other, arena, words, ints, floats, weights, logits, images, part, parts):  # type: ignore[no-untyped-def]
    """A convolution or linear layer by register tiles; this part of all (channel tile, pixel tile) pairs.

    `logits` is the flat output of these samples. Channel tiles are the outer loop: their weights stay
    in the cache while all pixels pass.
    """
    ins, outs, others, strides, count = lay_groups(step, x, y, other, images)
    in_stride, out_stride, other_stride = strides
    width = LANES * step.vectors
    channel_tiles = (step.filters + width - 1) // width
    pixel_tiles = (count + step.tile_groups - 1) // step.tile_groups
    area = step.tile_groups * PIXELS * width
    x_planes = 1 if step.split else x.planes
    planes = x_planes * step.weight_planes
    raw = np.zeros(4 * area + LANES, i32)
    sums, totals = raw[-raw.ctypes.data % 64 // 4 :], np.empty(width, i64)  # at an address of whole vectors

    arena_at, words_at, ints_at = arena.ctypes.data, words.ctypes.data, ints.ctypes.data
    weights_at = weights.ctypes.data + step.weights
    placed = place_segments(step, x, words)  # addresses are taken in the loop only: Numba frees what is not named later
    work = step.groups * channel_tiles * pixel_tiles
    for item in range(part * work // parts, (part + 1) * work // parts):
        block, tile = divmod(item, pixel_tiles)
        group, channel_tile = divmod(block, channel_tiles)
        first, inner = tile * step.tile_groups, channel_tile * width  # first pixel group, first filter of the group
        filters, channel = min(width, step.filters - inner), group * step.filters + inner
        x_at, at, segments = arena_at + group * step.depth, 8 * first, placed.ctypes.data
        if step.emit == INTS:
            _int_tile(
                step.tile, x_at, ins.ctypes.data + at, in_stride, segments, step.segment_count,
                weights_at + block * step.weight_bytes, ints_at + 4 * (step.bias32 + block * width),
                logits.ctypes.data + 4 * channel, outs.ctypes.data + at, out_stride, filters,
            )  # fmt: skip
            continue
        if step.emit == BYTES or step.emit == BYTES_ADD:
            w, lane = weights_at + block * step.weight_bytes, block * width
            bias, multiplier = ints_at + 4 * (step.bias32 + lane), ints_at + 4 * (step.multiplier32 + lane)
            half, shift = words_at + 8 * (step.half + lane), words_at + 8 * (step.shift + lane)
            scalars, out = words_at + 8 * step.scalars, arena_at + channel
            if step.emit == BYTES:
                _byte_tile(
                    step.tile, x_at, ins.ctypes.data + at, in_stride, segments, step.segment_count, w, bias, multiplier,
                    half, shift, scalars, out, outs.ctypes.data + at, out_stride, filters,
                )  # fmt: skip
            else:
                _add_tile(
                    step.tile, x_at, ins.ctypes.data + at, in_stride, segments, step.segment_count, w, bias, multiplier,
                    half, shift, scalars, out, outs.ctypes.data + at, out_stride, filters, out,
                    others.ctypes.data + at, other_stride,
                )  # fmt: skip
            continue
        for p in range(planes):
            x_plane, w_plane = divmod(p, step.weight_planes)
            w = weights_at + (block * step.weight_planes + w_plane) * step.weight_bytes
            _sum_tile(
                step.tile, x_at + x_plane * x.plane, ins.ctypes.data + at, in_stride, segments, step.segment_count, w,
                sums.ctypes.data + 4 * p * area,
            )  # fmt: skip
        if step.emit == WIDE:
            emit_tile(step, y, outs[first:], out_stride, sums, area, block * width, channel, filters, arena, words)
            continue
        sign, bias = words[step.table + channel :], words[step.bias + channel :]
        for pixel in range(step.tile_groups * PIXELS):
            target = outs[first + pixel // PIXELS] + pixel % PIXELS * out_stride
            row = totals[:filters]
            if planes == 1:  # the tile's sums are right modulo 2^32
                for c in range(filters):
                    row[c] = i64(i32(i64(sums[pixel * width + c]) + bias[c]))
            else:
                add_planes(step, sums[pixel * width :], area, x_planes, row)
                for c in range(filters):
                    row[c] = row[c] * sign[c] + bias[c]
            finish(step, y, channel, row, target, arena, words, floats, logits)


@kernel()
def emit_tile(step, y, outs, out_stride, sums, area, lane, channel, filters, arena, words):  # type: ignore[no-untyped-def]
    """Join the planes of a tile's sums and write its codes, by vectors of 64 bits."""
    words_at, high_byte = words.ctypes.data, y.plane if y.planes == 2 else i64(0)
    for group in range(step.tile_groups):
        for v in range(step.vectors):
            if filters <= v * LANES:
                continue
            at = 8 * (lane + v * LANES)
            emit_wide(  # type: ignore[call-arg]
                sums.ctypes.data + 4 * (group * PIXELS * step.vectors + v) * LANES, 4 * step.vectors * LANES, 4 * area,
                words_at + 8 * step.table + at, words_at + 8 * step.bias + at, words_at + 8 * step.multiplier + at,
                words_at + 8 * step.half + at, words_at + 8 * step.shift + at, words_at + 8 * step.scalars,
                arena.ctypes.data + outs[group] + channel + v * LANES, high_byte, out_stride, filters - v * LANES,
            )  # fmt: skip


@kernel()
def depthwise(step, x, y, arena, words, ints, weights, images, part, parts):  # type: ignore[no-untyped-def]
    """A convolution with one filter per channel, by vectors of channels: sums modulo 2^32, one byte per code."""
    channels = step.groups
    padded = (channels + LANES - 1) // LANES * LANES
    sums = np.empty((PIXELS, padded), i32)
    ins, outs, _, strides, count = lay_groups(step, x, y, y, images)
    for group in range(part * count // parts, (part + 1) * count // parts):
        sums[:] = 0
        for ky in range(step.kernel_h):
            for kx in range(step.kernel_w):
                tap = weights[step.weights + (ky * step.kernel_w + kx) * padded :][:channels]
                start = ins[group] + ky * step.dilation_h * x.row + kx * step.dilation_w * x.pixel
                for pixel in range(PIXELS):
                    codes, row = arena[start + pixel * strides[0] :][:channels], sums[pixel]
                    for c in range(channels):
                        row[c] = i32(row[c] + i32(codes[c]) * i32(tap[c]))
        for c in range(0, channels, LANES):
            emit(  # type: ignore[call-arg]
                sums.ctypes.data + 4 * c, 4 * padded, ints.ctypes.data + 4 * (step.bias32 + c),
                ints.ctypes.data + 4 * (step.multiplier32 + c), words.ctypes.data + 8 * (step.half + c),
                words.ctypes.data + 8 * (step.shift + c), words.ctypes.data + 8 * step.scalars,
                arena.ctypes.data + c, outs.ctypes.data + 8 * group, strides[1], channels - c,
            )  # fmt: skip


@kernel()
def multiply_exactly(step, x, y, arena, words, floats, logits, images, part, parts):  # type: ignore[no-untyped-def]
    """A convolution or linear layer one product at a time in int64, in the order (row, column, channel).

    Weights int64 [filter, kernel row, kernel column, channel] stand in `words` at `table`.
    """
    steps = step.fit == SATURATE_STEP
    taps = step.kernel_h * step.kernel_w * step.depth
    totals = np.empty(step.groups * step.filters, i64)
    pixels = images * y.height * y.width
    for p in range(part * pixels // parts, (part + 1) * pixels // parts):
        n, inside = divmod(p, y.height * y.width)
        row, column = divmod(inside, y.width)
        top, left = row * step.stride_h - step.pad_h, column * step.stride_w - step.pad_w
        corner = x.origin + n * x.image + top * x.row + left * x.pixel
        at = y.origin + n * y.image + row * y.row + column * y.pixel
        for channel in range(len(totals)):
            total, w = words[step.bias + channel], step.table + channel * taps
            if steps:
                total = saturate(total, step.fit_bits)
            for ky in range(step.kernel_h):
                for kx in range(step.kernel_w):
                    start = corner + ky * step.dilation_h * x.row + kx * step.dilation_w * x.pixel
                    start += channel // step.filters * step.depth
                    for c in range(step.depth):
                        total += value_at(arena, x, start + c) * words[w]
                        w += 1
                        if steps:
                            total = saturate(total, step.fit_bits)
            totals[channel] = total
        finish(step, y, 0, totals, at, arena, words, floats, logits)
