"""Convolutions and linear layers: by register blocks where the sums are proved to be exact, else by scalar products."""

from __future__ import annotations

import numpy as np

from hwsim.kernels.compile import kernel
from hwsim.kernels.inference.instructions import BLOCKS, Epilogue, OverflowPolicy
from hwsim.kernels.inference.microkernels import (
    LANES,
    PIXELS,
    Addend,
    PlaneSums,
    Reduction,
    Requantization,
    Target,
    byte_add_microkernel,
    byte_microkernel,
    int32_microkernel,
    requantize_planes,
    requantize_vector,
    sum_microkernel,
)
from hwsim.kernels.inference.requantize import apply_overflow, requantize_row, saturate

i32, i64, u8 = np.int32, np.int64, np.uint8
BYTES, BYTES_ADD, WIDE = int(Epilogue.BYTES), int(Epilogue.BYTES_ADD), int(Epilogue.WIDE)
INT32, LOGITS = int(Epilogue.INT32), int(Epilogue.LOGITS)
SATURATE_STEP = int(OverflowPolicy.SATURATE_STEP)
VECTOR_BYTES = 64


def _for_each_block(make):  # type: ignore[no-untyped-def]
    """Return a micro-kernel per register block, as five names: Numba needs a fixed callee at each call.

    On a CPU with fewer register blocks the last names repeat and are never called.
    """
    made = [make(*block) for block in BLOCKS]
    return [made[min(i, len(made) - 1)] for i in range(5)]


_sum_0, _sum_1, _sum_2, _sum_3, _sum_4 = _for_each_block(sum_microkernel)
_int32_0, _int32_1, _int32_2, _int32_3, _int32_4 = _for_each_block(int32_microkernel)
_byte_0, _byte_1, _byte_2, _byte_3, _byte_4 = _for_each_block(byte_microkernel)
_add_0, _add_1, _add_2, _add_3, _add_4 = _for_each_block(byte_add_microkernel)


@kernel()
def _sum_block(block, reduction, sums):  # type: ignore[no-untyped-def]
    if block == 0:
        _sum_0(reduction, sums)
    elif block == 1:
        _sum_1(reduction, sums)
    elif block == 2:
        _sum_2(reduction, sums)
    elif block == 3:
        _sum_3(reduction, sums)
    else:
        _sum_4(reduction, sums)


@kernel()
def _int32_block(block, reduction, bias, target):  # type: ignore[no-untyped-def]
    if block == 0:
        _int32_0(reduction, bias, target)
    elif block == 1:
        _int32_1(reduction, bias, target)
    elif block == 2:
        _int32_2(reduction, bias, target)
    elif block == 3:
        _int32_3(reduction, bias, target)
    else:
        _int32_4(reduction, bias, target)


@kernel()
def _byte_block(block, reduction, requantization, target):  # type: ignore[no-untyped-def]
    if block == 0:
        _byte_0(reduction, requantization, target)
    elif block == 1:
        _byte_1(reduction, requantization, target)
    elif block == 2:
        _byte_2(reduction, requantization, target)
    elif block == 3:
        _byte_3(reduction, requantization, target)
    else:
        _byte_4(reduction, requantization, target)


@kernel()
def _byte_add_block(block, reduction, requantization, target, addend):  # type: ignore[no-untyped-def]
    if block == 0:
        _add_0(reduction, requantization, target, addend)
    elif block == 1:
        _add_1(reduction, requantization, target, addend)
    elif block == 2:
        _add_2(reduction, requantization, target, addend)
    elif block == 3:
        _add_3(reduction, requantization, target, addend)
    else:
        _add_4(reduction, requantization, target, addend)


@kernel()
def store_code(arena, y, at, code, first_code):  # type: ignore[no-untyped-def]
    """Store one code at byte `at` of map `y`."""
    stored = (code - first_code) * y.unit
    arena[at] = u8(stored & 255)
    if y.planes == 2:
        arena[at + y.plane] = u8(stored >> 8)


@kernel()
def store_codes(arena, y, at, codes, first_code):  # type: ignore[no-untyped-def]
    """Store contiguous codes, int64 [code], from byte `at` of map `y` on."""
    unit, low = y.unit, arena[at:][: len(codes)]
    for c in range(len(codes)):
        low[c] = u8(((codes[c] - first_code) * unit) & 255)
    if y.planes == 2:
        high = arena[at + y.plane :][: len(codes)]
        for c in range(len(codes)):
            high[c] = u8(((codes[c] - first_code) * unit) >> 8)


@kernel()
def load_value(arena, x, at):  # type: ignore[no-untyped-def]
    """Return the value of the code at byte `at` of map `x`."""
    if x.planes == 2:
        return i64(arena[at]) + (i64(arena[at + x.plane]) << 8) + x.low
    return i64(arena[at]) + x.low


@kernel()
def load_values(arena, x, at, values):  # type: ignore[no-untyped-def]
    """Load the values of contiguous codes from byte `at` of map `x` on into `values`, int64 [code]."""
    low, base = arena[at:][: len(values)], x.low
    for c in range(len(values)):
        values[c] = i64(low[c]) + base
    if x.planes == 2:
        high = arena[at + x.plane :][: len(values)]
        for c in range(len(values)):
            values[c] += i64(high[c]) << 8


@kernel()
def _aligned_zeros(count):  # type: ignore[no-untyped-def]
    """Return at least `count` int32 zeros at an address that is a multiple of VECTOR_BYTES."""
    raw = np.zeros(count + LANES, i32)
    return raw[-raw.ctypes.data % VECTOR_BYTES // 4 :]


@kernel()
def pixel_group_offsets(step, x, y, other, samples):  # type: ignore[no-untyped-def]
    """Return the offsets of a step's pixel groups in x, y and other, int64 [group], three strides and their number.

    A group is PIXELS output pixels of one row. Where rows are shorter, it is the same pixel of PIXELS
    samples. Where there are fewer samples too, it is one pixel PIXELS times. The last group of a row or
    batch overlaps the group before it: values computed twice are equal.
    """
    if y.width >= PIXELS:
        across, sample_groups = (y.width + PIXELS - 1) // PIXELS, samples
        strides = (step.stride_w * x.pixel, y.pixel, other.pixel)
    elif samples >= PIXELS:
        across, sample_groups = y.width, (samples + PIXELS - 1) // PIXELS
        strides = (x.sample, y.sample, other.sample)
    else:
        across, sample_groups = y.width, samples
        strides = (i64(0), i64(0), i64(0))
    in_step = step.stride_w * x.pixel
    count = sample_groups * y.height * across
    padded = count + step.block_groups
    ins, outs, others = np.empty(padded, i64), np.empty(padded, i64), np.empty(padded, i64)
    column = np.empty(across, i64)  # of each group's first pixel
    for a in range(across):
        column[a] = min(a * PIXELS, y.width - PIXELS) if y.width >= PIXELS else a
    at = 0
    for s in range(sample_groups):
        sample = min(s * PIXELS, samples - PIXELS) if y.width < PIXELS <= samples else s
        for row in range(y.height):
            top = row * step.stride_h - step.pad_h
            in_row = x.origin + sample * x.sample + top * x.row - step.pad_w * x.pixel
            out_row = y.origin + sample * y.sample + row * y.row
            other_row = other.origin + sample * other.sample + row * other.row
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
def segment_offsets(step, x, longs):  # type: ignore[no-untyped-def]
    """Return the segments of a step, int64 [segment, 2] of (byte offset, words), for the plane distance of map `x`.

    `longs` contains them as (offset, plane, words): a layer with region precision reads the fine codes
    in one plane and the coarse codes in the other.
    """
    segments = np.empty((step.segment_count, 2), i64)
    for s in range(step.segment_count):
        at = step.segments + 3 * s
        segments[s, 0], segments[s, 1] = longs[at] + longs[at + 1] * x.plane, longs[at + 2]
    return segments


@kernel()
def store_sums(step, y, channel, totals, at, arena, constants, logits):  # type: ignore[no-untyped-def]
    """Store exact sums, bias included, of the channels from `channel` on as codes or logits.

    `totals` int64 [channel] is overwritten. `at` is a byte of map y, or an element of the output.
    """
    if step.epilogue == LOGITS:
        apply_overflow(totals, step.overflow, step.accumulator_bits)
        for c in range(len(totals)):
            logits[at + (channel + c) * y.plane] = i32(totals[c])
    else:
        requantize_row(step, channel, totals, constants)
        store_codes(arena, y, at + channel, totals, step.first_code)


@kernel()
def join_planes(step, sums, area, x_planes, totals):  # type: ignore[no-untyped-def]
    """Compute exact sums of a row of channels, `totals` int64, from int32 `sums` of byte planes, `area` apart."""
    totals[:] = 0
    for p in range(x_planes * step.weight_planes):
        x_plane, w_plane = divmod(p, step.weight_planes)
        shift, row = 8 * (x_plane + w_plane), sums[p * area :]
        for c in range(len(totals)):
            totals[c] += i64(row[c]) << shift


@kernel(nogil=True)
def gemm(step, x, y, other, arena, constants, logits, share):  # type: ignore[no-untyped-def]
    """Compute a thread's share of the (channel block, pixel block) pairs of a convolution or linear layer.

    `logits` is the flat output of these samples. Channel blocks are the outer loop, so that their weights
    stay in the cache during the loop over pixels.
    """
    longs, ints = constants.longs, constants.ints
    ins, outs, others, strides, count = pixel_group_offsets(step, x, y, other, share.samples)
    in_stride, out_stride, other_stride = strides
    width = LANES * step.vectors
    channel_blocks = (step.filters + width - 1) // width
    pixel_blocks = (count + step.block_groups - 1) // step.block_groups
    area = step.block_groups * PIXELS * width
    x_planes = 1 if step.split else x.planes
    planes = x_planes * step.weight_planes
    sums, totals = _aligned_zeros(4 * area), np.empty(width, i64)

    arena_at, longs_at, ints_at = arena.ctypes.data, longs.ctypes.data, ints.ctypes.data
    weights_at = constants.weights.ctypes.data + step.weights
    segments = segment_offsets(step, x, longs)  # addresses are taken inside the loop: Numba frees unused arrays early
    work = step.groups * channel_blocks * pixel_blocks
    for item in range(share.part * work // share.parts, (share.part + 1) * work // share.parts):
        block, pixel_block = divmod(item, pixel_blocks)
        group, channel_block = divmod(block, channel_blocks)
        first, inner = pixel_block * step.block_groups, channel_block * width  # first pixel group, filter of the group
        filters, channel = min(width, step.filters - inner), group * step.filters + inner
        at, lane = 8 * first, block * width
        x_at, in_at, segments_at = arena_at + group * step.depth, ins.ctypes.data + at, segments.ctypes.data
        if step.epilogue == INT32:
            w, bias = weights_at + block * step.weight_bytes, ints_at + 4 * (step.bias32 + lane)
            _int32_block(
                step.block,
                Reduction(x_at, in_at, in_stride, segments_at, step.segment_count, w),
                bias,
                Target(logits.ctypes.data + 4 * channel, outs.ctypes.data + at, out_stride, filters),
            )
            continue
        if step.epilogue == BYTES or step.epilogue == BYTES_ADD:
            w, out = weights_at + block * step.weight_bytes, arena_at + channel
            reduction = Reduction(x_at, in_at, in_stride, segments_at, step.segment_count, w)
            requantization = Requantization(
                ints_at + 4 * (step.bias32 + lane),
                ints_at + 4 * (step.multiplier32 + lane),
                longs_at + 8 * (step.half + lane),
                longs_at + 8 * (step.shift + lane),
                longs_at + 8 * step.scalars,
            )
            target = Target(out, outs.ctypes.data + at, out_stride, filters)
            if step.epilogue == BYTES:
                _byte_block(step.block, reduction, requantization, target)
            else:
                addend = Addend(out, others.ctypes.data + at, other_stride)
                _byte_add_block(step.block, reduction, requantization, target, addend)
            continue
        for p in range(planes):
            x_plane, w_plane = divmod(p, step.weight_planes)
            w = weights_at + (block * step.weight_planes + w_plane) * step.weight_bytes
            plane_at = x_at + x_plane * x.plane
            reduction = Reduction(plane_at, in_at, in_stride, segments_at, step.segment_count, w)
            _sum_block(step.block, reduction, sums.ctypes.data + 4 * p * area)
        if step.epilogue == WIDE:
            target = Target(arena_at + channel, outs.ctypes.data + at, out_stride, filters)
            requantize_block(step, y, sums, area, lane, longs, target)
            continue
        sign, bias = longs[step.table + channel :], longs[step.bias + channel :]
        for pixel in range(step.block_groups * PIXELS):
            target_at = outs[first + pixel // PIXELS] + pixel % PIXELS * out_stride
            row = totals[:filters]
            if planes == 1:  # the block's sums are right modulo 2^32
                for c in range(filters):
                    row[c] = i64(i32(i64(sums[pixel * width + c]) + bias[c]))
            else:
                join_planes(step, sums[pixel * width :], area, x_planes, row)
                for c in range(filters):
                    row[c] = row[c] * sign[c] + bias[c]
            store_sums(step, y, channel, row, target_at, arena, constants, logits)


@kernel()
def requantize_block(step, y, sums, area, lane, longs, target):  # type: ignore[no-untyped-def]
    """Join the planes of a block's `sums` and store its codes, by vectors of 64 bits.

    `sums` int32 [plane, group, pixel, channel], `area` per plane; `lane` is the block's first channel in the
    constants of `longs`.
    """
    longs_at, high_byte = longs.ctypes.data, y.plane if y.planes == 2 else i64(0)
    for group in range(step.block_groups):
        for v in range(step.vectors):
            if target.filters <= v * LANES:
                continue
            at = longs_at + 8 * (lane + v * LANES)
            first = sums.ctypes.data + 4 * (group * PIXELS * step.vectors + v) * LANES
            requantization = Requantization(
                at + 8 * step.bias,
                at + 8 * step.multiplier,
                at + 8 * step.half,
                at + 8 * step.shift,
                longs_at + 8 * step.scalars,
            )
            base, offsets = target.base + v * LANES, target.offsets + 8 * group
            requantize_planes(  # type: ignore[call-arg]
                PlaneSums(first, 4 * step.vectors * LANES, 4 * area, at + 8 * step.table),
                requantization,
                Target(base, offsets, target.stride, target.filters - v * LANES),
                high_byte,
            )


@kernel()
def depthwise(step, x, y, arena, constants, share):  # type: ignore[no-untyped-def]
    """Compute a convolution with one filter per channel, by vectors of channels: sums modulo 2^32."""
    longs, ints, weights = constants.longs, constants.ints, constants.weights
    channels = step.groups
    padded = (channels + LANES - 1) // LANES * LANES
    sums = np.empty((PIXELS, padded), i32)
    ins, outs, _, strides, count = pixel_group_offsets(step, x, y, y, share.samples)
    for group in range(share.part * count // share.parts, (share.part + 1) * count // share.parts):
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
            requantization = Requantization(
                ints.ctypes.data + 4 * (step.bias32 + c),
                ints.ctypes.data + 4 * (step.multiplier32 + c),
                longs.ctypes.data + 8 * (step.half + c),
                longs.ctypes.data + 8 * (step.shift + c),
                longs.ctypes.data + 8 * step.scalars,
            )
            target = Target(arena.ctypes.data + c, outs.ctypes.data + 8 * group, strides[1], channels - c)
            requantize_vector(sums.ctypes.data + 4 * c, 4 * padded, requantization, target)  # type: ignore[call-arg]


@kernel()
def gemm_int64(step, x, y, arena, constants, logits, share):  # type: ignore[no-untyped-def]
    """Compute a convolution or linear layer by scalar products in int64, in the order (row, column, channel).

    Weights are int64 [filter, kernel row, kernel column, channel] in `constants.longs` at `step.table`.
    """
    longs = constants.longs
    every_step = step.overflow == SATURATE_STEP
    taps = step.kernel_h * step.kernel_w * step.depth
    totals = np.empty(step.groups * step.filters, i64)
    pixels = share.samples * y.height * y.width
    for p in range(share.part * pixels // share.parts, (share.part + 1) * pixels // share.parts):
        n, inside = divmod(p, y.height * y.width)
        row, column = divmod(inside, y.width)
        top, left = row * step.stride_h - step.pad_h, column * step.stride_w - step.pad_w
        corner = x.origin + n * x.sample + top * x.row + left * x.pixel
        at = y.origin + n * y.sample + row * y.row + column * y.pixel
        for channel in range(len(totals)):
            total, w = longs[step.bias + channel], step.table + channel * taps
            if every_step:
                total = saturate(total, step.accumulator_bits)
            for ky in range(step.kernel_h):
                for kx in range(step.kernel_w):
                    start = corner + ky * step.dilation_h * x.row + kx * step.dilation_w * x.pixel
                    start += channel // step.filters * step.depth
                    for c in range(step.depth):
                        total += load_value(arena, x, start + c) * longs[w]
                        w += 1
                        if every_step:
                            total = saturate(total, step.accumulator_bits)
            totals[channel] = total
        store_sums(step, y, 0, totals, at, arena, constants, logits)
