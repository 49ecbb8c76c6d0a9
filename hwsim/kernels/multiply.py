"""Convolutions and linear layers: by register tiles where sums are proved to fit, one product at a time elsewhere."""

from __future__ import annotations

import numpy as np

from hwsim.kernels.compile import kernel
from hwsim.kernels.rounding import code_of, fit, saturate
from hwsim.kernels.tiles import LANES, PIXELS, dot_tile, emit, emit_add
from hwsim.kernels.words import TILES, Emit, Fit

i32, i64, u8 = np.int32, np.int64, np.uint8
BYTES, BYTES_ADD, LOGITS = int(Emit.BYTES), int(Emit.BYTES_ADD), int(Emit.LOGITS)
SATURATE_STEP = int(Fit.SATURATE_STEP)

_tiles = [dot_tile(*tile) for tile in TILES]
# four names, so that each call is one that Numba can see; a CPU with fewer tiles never picks the last ones
_tile_0, _tile_1, _tile_2, _tile_3 = (_tiles[min(i, len(_tiles) - 1)] for i in range(4))


@kernel()
def _multiply_tile(tile, x, offsets, stride, segments, count, weights, sums):  # type: ignore[no-untyped-def]
    if tile == 0:
        _tile_0(x, offsets, stride, segments, count, weights, sums)
    elif tile == 1:
        _tile_1(x, offsets, stride, segments, count, weights, sums)
    elif tile == 2:
        _tile_2(x, offsets, stride, segments, count, weights, sums)
    else:
        _tile_3(x, offsets, stride, segments, count, weights, sums)


@kernel()
def store_code(arena, y, at, code, first_code):  # type: ignore[no-untyped-def]
    """Write one code at a byte of map `y`."""
    stored = (code - first_code) * y.unit
    arena[at] = u8(stored & 255)
    if y.planes == 2:
        arena[at + y.plane] = u8(stored >> 8)


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
    count = samples * y.height * across
    padded = count + step.tile_groups
    ins, outs, others = np.empty(padded, i64), np.empty(padded, i64), np.empty(padded, i64)
    at = 0
    for s in range(samples):
        sample = min(s * PIXELS, images - PIXELS) if y.width < PIXELS <= images else s
        for row in range(y.height):
            for a in range(across):
                column = min(a * PIXELS, y.width - PIXELS) if y.width >= PIXELS else a
                top, left = row * step.stride_h - step.pad_h, column * step.stride_w - step.pad_w
                ins[at] = x.origin + sample * x.image + top * x.row + left * x.pixel
                outs[at] = y.origin + sample * y.image + row * y.row + column * y.pixel
                others[at] = other.origin + sample * other.image + row * other.row + column * other.pixel
                at += 1
    for pad in range(count, padded):
        ins[pad], outs[pad], others[pad] = ins[count - 1], outs[count - 1], others[count - 1]
    return ins, outs, others, strides, count


@kernel()
def finish(step, y, channel, total, at, arena, words, floats, logits):  # type: ignore[no-untyped-def]
    """Emit one exact sum, bias included, of output channel `channel`; `at` is a byte of y or an output."""
    if step.emit == LOGITS:
        logits[at + channel * y.plane] = i32(fit(total, step.fit, step.fit_bits))
    else:
        store_code(arena, y, at + channel, code_of(step, channel, total, words, floats), step.first_code)


@kernel()
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
    planes = x.planes * step.weight_planes
    sums = np.empty(planes * area, i32)

    arena_at, sums_at, words_at, ints_at = arena.ctypes.data, sums.ctypes.data, words.ctypes.data, ints.ctypes.data
    segments = words_at + 8 * step.segments
    work = step.groups * channel_tiles * pixel_tiles
    for item in range(part * work // parts, (part + 1) * work // parts):
        block, tile = divmod(item, pixel_tiles)
        group, channel_tile = divmod(block, channel_tiles)
        first = tile * step.tile_groups
        for p in range(planes):
            x_plane, w_plane = divmod(p, step.weight_planes)
            w = weights.ctypes.data + step.weights + (block * step.weight_planes + w_plane) * step.weight_bytes
            x_at = arena_at + group * step.depth + x_plane * x.plane
            _multiply_tile(
                step.tile, x_at, ins.ctypes.data + 8 * first, in_stride, segments, step.segment_count, w,
                sums_at + 4 * p * area,
            )  # fmt: skip
        inner = channel_tile * width  # first filter of this tile within its group
        for g in range(step.tile_groups):
            for v in range(step.vectors):
                filters = min(i64(LANES), step.filters - inner - v * LANES)
                if filters <= 0:
                    continue
                lane, channel = block * width + v * LANES, group * step.filters + inner + v * LANES
                place = (g * PIXELS * step.vectors + v) * LANES
                if step.emit == BYTES or step.emit == BYTES_ADD:
                    out, at = arena_at + outs[first + g] + channel, sums_at + 4 * place
                    bias, multiplier = ints_at + 4 * (step.bias32 + lane), ints_at + 4 * (step.multiplier32 + lane)
                    half, shift = words_at + 8 * (step.half + lane), words_at + 8 * (step.shift + lane)
                    scalars = words_at + 8 * step.scalars
                    if step.emit == BYTES:
                        emit(at, 4 * width, bias, multiplier, half, shift, scalars, out, out_stride, filters)
                    else:
                        residual = arena_at + others[first + g] + channel
                        emit_add(
                            at, 4 * width, bias, multiplier, half, shift, scalars, out, out_stride, filters, residual,
                            other_stride,
                        )  # fmt: skip
                    continue
                for pixel in range(PIXELS):
                    at = outs[first + g] + pixel * out_stride
                    for c in range(filters):
                        total = i64(0)
                        for p in range(planes):
                            x_plane, w_plane = divmod(p, step.weight_planes)
                            total += i64(sums[p * area + place + pixel * width + c]) << (8 * (x_plane + w_plane))
                        total = total * words[step.table + channel + c] + words[step.bias + channel + c]
                        if planes == 1:
                            total = i64(i32(total))  # the tile's sum is one modulo 2^32
                        finish(step, y, channel + c, total, at, arena, words, floats, logits)


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
            emit(
                sums.ctypes.data + 4 * c, 4 * padded, ints.ctypes.data + 4 * (step.bias32 + c),
                ints.ctypes.data + 4 * (step.multiplier32 + c), words.ctypes.data + 8 * (step.half + c),
                words.ctypes.data + 8 * (step.shift + c), words.ctypes.data + 8 * step.scalars,
                arena.ctypes.data + outs[group] + c, strides[1], min(i64(LANES), channels - c),
            )  # fmt: skip


@kernel()
def multiply_exactly(step, x, y, arena, words, floats, logits, images, part, parts):  # type: ignore[no-untyped-def]
    """A convolution or linear layer one product at a time in int64, in the order (row, column, channel).

    Weights int64 [filter, kernel row, kernel column, channel] stand in `words` at `table`.
    """
    steps = step.fit == SATURATE_STEP
    taps = step.kernel_h * step.kernel_w * step.depth
    pixels = images * y.height * y.width
    for p in range(part * pixels // parts, (part + 1) * pixels // parts):
        n, inside = divmod(p, y.height * y.width)
        row, column = divmod(inside, y.width)
        top, left = row * step.stride_h - step.pad_h, column * step.stride_w - step.pad_w
        corner = x.origin + n * x.image + top * x.row + left * x.pixel
        at = y.origin + n * y.image + row * y.row + column * y.pixel
        for channel in range(step.groups * step.filters):
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
            finish(step, y, channel, total, at, arena, words, floats, logits)
