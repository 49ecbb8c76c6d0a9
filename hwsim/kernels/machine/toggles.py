"""How many bits toggle in a weight-stationary array: Hamming distances between what neighbouring cycles hold.

Two counts per sample. The operand count weighs the bits that change in an activation register with a
number per register: it needs one look at every code. The psum count needs every partial sum of the
array, as many as there are products, so it is made for blocks of PEs and cycles that the caller
chooses. `hwsim.machine.activity.toggles` knows which registers, weights and blocks these are.

`ones` and `prefix_toggles` are written in numpy, which is what they mean; compiled code gets the same
as straight vector instructions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined]
from numba.extending import intrinsic, overload

from hwsim.kernels.barrier import begin_call, end_call
from hwsim.kernels.compile import kernel
from hwsim.kernels.llvm import constant, load, splat, store

LANES = 16
"""Columns of a block of PEs."""

PIXELS = 4
"""Neighbouring cycles of a block: between them lie PIXELS - 1 transitions."""

i64 = np.int64
i64_type = ir.IntType(64)


def ones(word):  # type: ignore[no-untyped-def]
    """How many bits of an unsigned integer are 1, in its own type."""
    return np.bitwise_count(word)


def on_wires(code, zero, mask):  # type: ignore[no-untyped-def]
    """The bits `mask` of code - zero; all of one unsigned type."""
    return type(code)((int(code) - int(zero)) & int(mask))


def borrow(array):  # type: ignore[no-untyped-def]
    """The same C-contiguous array without a share in its memory, which the caller has to keep.

    Slices of an array that threads share count its owners, and threads fight over that counter: it
    costs ten times as much as these kernels' work.
    """
    return array


def decode(codes, at, decoding, values, to, count):  # type: ignore[no-untyped-def]
    """The values of so many codes from `at` on, into `values` from `to` on: unit * (code ^ flip) - offset."""
    flip, unit, offset = decoding
    values[to : to + count] = unit * (codes[at : at + count].astype(values.dtype) ^ flip) - offset


def prefix_toggles(operands, weights, mask, below):  # type: ignore[no-untyped-def]
    """Bits that change in the partial sums of a block of PEs, counted where they leave a PE and where they enter.

    `operands` [plane, PIXELS, row] and `weights` [plane, row, LANES] are both int32 or both int64. Row r
    holds the sum of the products of the rows up to r, of all planes, modulo 2^32 or 2^64; the bits
    in `mask` count. Every distance counts twice, because the sum that leaves a row enters the next
    one; that of the last row counts 2 + `below` times.
    """
    products = (operands[:, :, :, None] * weights[:, None]).sum(axis=0, dtype=weights.dtype)
    sums = np.cumsum(products, axis=1, dtype=weights.dtype)
    changed = (sums[1:] ^ sums[:-1]).view(f"u{weights.itemsize}") & np.uint64(mask)
    distances = np.bitwise_count(changed).astype(np.int64)
    return 2 * distances.sum() + below * distances[:, -1].sum()


@kernel(nogil=True)
def share_of_toggles(  # type: ignore[no-untyped-def]
    worker, workers, counts, wires, sensitive, zero, mask, entries, groups, ones_met, low_ones_met, codes, decoding,
    where, channels, blocks, weights, psum_mask, rows, asked, served, call,
):  # fmt: skip
    """The share of one of `workers` threads in `array_toggles`; the last three are those of `kernels.barrier`."""
    begin_call(asked, call, worker, workers)
    first, end = worker * len(counts) // workers, (worker + 1) * len(counts) // workers
    array_toggles(
        first, end, counts, wires, sensitive, zero, mask, entries, groups, ones_met, low_ones_met, codes, decoding,
        where, channels, blocks, weights, psum_mask, rows,
    )  # fmt: skip
    end_call(asked, served, call, worker, workers)


@kernel(nogil=True)
def array_toggles(  # type: ignore[no-untyped-def]
    first, end, counts, wires, sensitive, zero, mask, entries, groups, ones_met, low_ones_met, codes, decoding, where,
    channels, blocks, weights, psum_mask, rows,
):  # fmt: skip
    """Both counts of the samples from `first` to `end` into `counts` int64 [sample, 1 + block].

    First `operand_toggles`, or `region_operand_toggles` where `sensitive` has a row for each sample,
    then `psum_toggles` of each block: a sample's codes are still in the cache then. `wires` and
    `sensitive` are [sample, code], `codes` [plane, sample, code].
    """
    for n in range(first, end):
        row = borrow(counts)[n]
        if len(sensitive) == 0:
            row[0] = operand_toggles(borrow(wires)[n], zero, mask, borrow(entries), borrow(groups), borrow(ones_met))
        else:
            row[0] = region_operand_toggles(
                borrow(wires)[n],
                borrow(sensitive)[n],
                borrow(entries),
                borrow(groups),
                borrow(ones_met),
                borrow(low_ones_met),
            )
        psum_toggles(
            borrow(codes)[:, n], borrow(decoding), borrow(where), channels, borrow(blocks), borrow(weights), psum_mask,
            rows, row[1:],
        )  # fmt: skip


@kernel()
def operand_toggles(wires, zero, mask, entries, groups, ones_met):  # type: ignore[no-untyped-def]
    """Sum of weighted Hamming distances between pairs of runs of codes of one sample.

    `wires` are uint8 or uint16; of a code the bits `mask` of code - `zero`, both of that type, count. A
    pair of runs in `entries` int64 [entry, (p, q)] begins at codes p and q; where q is -1 the other run is all zero
    bits. Rows of `groups` int64 [group, (first entry, end, codes, place)] say which pairs are so many
    codes long, and from which place on int32 or int64 `ones_met` has their weights, one per code. A group has
    so few entries that the distances of each code add up within the dtype of `wires`.
    """
    if len(groups) == 0:
        return i64(0)
    distances, total = np.empty(groups[:, 2].max(), wires.dtype), i64(0)
    for g in range(len(groups)):
        first, end, size, place = groups[g]
        here, share = distances[:size], ones_met[place:][:size]
        here[:] = 0
        for e in range(first, end):
            _add_distances(wires, zero, mask, entries[e, 0], entries[e, 1], here)
        for i in range(size):
            total += i64(here[i]) * share[i]
    return total


@kernel()
def _add_distances(wires, zero, mask, p, q, distances):  # type: ignore[no-untyped-def]
    word = distances.dtype.type
    x = wires[p:][: len(distances)]
    if q < 0:
        for i in range(len(distances)):
            distances[i] += ones(on_wires(x[i], zero, mask))
        return
    y = wires[q:][: len(distances)]
    for i in range(len(distances)):
        distances[i] += ones(word(on_wires(x[i], zero, mask) ^ on_wires(y[i], zero, mask)))


@kernel()
def region_operand_toggles(wires, sensitive, entries, groups, ones_met, low_ones_met):  # type: ignore[no-untyped-def]
    """The same for codes of two widths.

    `ones_met` weigh a distance of which one code is sensitive, `low_ones_met` any other. All bits of
    `wires` count; `sensitive`, of the same dtype, is all ones or zero for each code. Padding and pauses
    are not sensitive.
    """
    if len(groups) == 0:
        return i64(0)
    longest, total = groups[:, 2].max(), i64(0)
    fine_distances, coarse_distances = np.empty(longest, wires.dtype), np.empty(longest, wires.dtype)
    for g in range(len(groups)):
        first, end, size, place = groups[g]
        fine, coarse = fine_distances[:size], coarse_distances[:size]
        share, low_share = ones_met[place:][:size], low_ones_met[place:][:size]
        fine[:] = 0
        coarse[:] = 0
        for e in range(first, end):
            _add_region_distances(wires, sensitive, entries[e, 0], entries[e, 1], fine, coarse)
        for i in range(size):
            total += i64(fine[i]) * share[i] + i64(coarse[i]) * low_share[i]
    return total


@kernel()
def _add_region_distances(wires, sensitive, p, q, fine, coarse):  # type: ignore[no-untyped-def]
    word = fine.dtype.type
    x, sensitive_x = wires[p:][: len(fine)], sensitive[p:][: len(fine)]
    if q < 0:
        for i in range(len(fine)):
            distance, either = ones(x[i]), sensitive_x[i]
            fine[i] += word(distance & either)
            coarse[i] += word(distance & ~either)
        return
    y, sensitive_y = wires[q:][: len(fine)], sensitive[q:][: len(fine)]
    for i in range(len(fine)):
        distance, either = ones(word(x[i] ^ y[i])), word(sensitive_x[i] | sensitive_y[i])
        fine[i] += word(distance & either)
        coarse[i] += word(distance & ~either)


@kernel(nogil=True)
def share_of_codes(worker, workers, codes, masks, decisions, coarse, planes, wires, sensitive, asked, served, call):  # type: ignore[no-untyped-def]
    """The share of one of `workers` threads in `split_codes`; the last three are those of `kernels.barrier`."""
    begin_call(asked, call, worker, workers)
    first, end = worker * len(codes) // workers, (worker + 1) * len(codes) // workers
    split_codes(first, end, codes, masks, decisions, coarse, planes, wires, sensitive)
    end_call(asked, served, call, worker, workers)


@kernel(nogil=True)
def split_codes(first, end, codes, masks, decisions, coarse, planes, wires, sensitive):  # type: ignore[no-untyped-def]
    """The codes of the samples from `first` to `end` as a layer with regions multiplies them.

    `codes` [sample, code] lie channels last; `masks` bool [sample, decision]; `decisions` int64 [pixel,
    decider] are the places of a pixel's decisions, one for all channels or one for each. Of `planes`
    [2, sample, code] the first receives the sensitive codes, and the second the others as the table
    `coarse` has them; elsewhere they are 0. `wires` is both together, `sensitive` all ones or zero. All
    but the first two are of the dtype of `codes`.
    """
    for n in range(first, end):
        _split(
            borrow(codes)[n], borrow(masks)[n], borrow(decisions), borrow(coarse), borrow(planes)[:, n],
            borrow(wires)[n], borrow(sensitive)[n],
        )  # fmt: skip


@kernel()
def _split(codes, mask, decisions, coarse, planes, wires, sensitive):  # type: ignore[no-untyped-def]
    word, (pixels, deciders) = codes.dtype.type, decisions.shape
    all_bits, together = word(~word(0)), len(codes) // (pixels * deciders)  # codes that share a decision
    at = 0
    for pixel in range(pixels):
        for decider in range(deciders):
            sensitive[at : at + together] = all_bits if mask[decisions[pixel, decider]] else word(0)
            at += together
    fine, low = planes[0], planes[1]
    for i in range(len(codes)):
        low[i] = coarse[codes[i]]
    for i in range(len(codes)):
        fine[i] = codes[i] & sensitive[i]
        low[i] = low[i] & ~sensitive[i]
        wires[i] = fine[i] | low[i]


@kernel()
def psum_toggles(codes, decoding, where, channels, blocks, weights, mask, rows, counts):  # type: ignore[no-untyped-def]
    """Bits that change in the partial sums of each block of PEs and cycles, of one sample, into `counts` [block].

    `codes` uint8 or uint16 [plane, code] lie channels last; `decoding` int64 (flip, unit, offset)
    makes the value unit * (code ^ flip) - offset of each. `where` int64 [1 + pixel, tap] is the first
    code of the input pixel that a tap reads, -1 for padding and in the pauses before and after a
    stream. `channels` are those of one group, `weights` int32 or int64 [plane, group, reduction,
    filter], the filters padded with zeros. `blocks` int64 [block, (group, first row, end row, first
    filter, place of the first pixel)] are rows of the reduction in an array of `rows`, which passes the
    last sum down where they are fewer. The bits `mask` of a sum count.
    """
    operands = np.empty((len(codes), PIXELS, rows), weights.dtype)
    for b in range(len(blocks)):
        group, first, end, column, start = blocks[b]
        filled = operands[:, :, : end - first]
        for plane in range(len(codes)):
            for pixel in range(PIXELS):
                taps, values = where[start + pixel], filled[plane, pixel]
                _take(codes[plane], decoding, taps, channels, group * channels, first, values)
        block = weights[:, group, first:end, column : column + LANES]
        counts[b] = prefix_toggles(filled, block, mask, 2 * (rows - (end - first)) - 1)


@kernel()
def _take(codes, decoding, taps, channels, offset, first, values):  # type: ignore[no-untyped-def]
    """The operands of neighbouring rows of the reduction, from row `first` on, at one output pixel."""
    done = 0
    tap, channel = first // channels, first % channels
    while done < len(values):
        place, run = taps[tap], channels - channel
        tap += 1
        while done + run < len(values) and place >= 0 and taps[tap] == place + channel + run:  # side by side
            tap, run = tap + 1, run + channels
        run = min(run, len(values) - done)
        if place < 0:
            values[done : done + run] = 0
        else:
            decode(codes, place + offset + channel, decoding, values, done, run)
        done, channel = done + run, 0


# The same as vector code.


@intrinsic
def _ones(typing_context, word):  # type: ignore[no-untyped-def]
    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return b.ctpop(arguments[0])

    return word(word), generate


@overload(ones)
def _compile_ones(word):  # type: ignore[no-untyped-def]
    return lambda word: _ones(word)  # type: ignore[call-arg]


@overload(on_wires)
def _compile_on_wires(code, zero, mask):  # type: ignore[no-untyped-def]
    word = getattr(np, code.name)
    return lambda code, zero, mask: word(word(code - zero) & mask)


@intrinsic
def _pointer(typing_context, address):  # type: ignore[no-untyped-def]
    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return b.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@overload(borrow)
def _compile_borrow(array):  # type: ignore[no-untyped-def]
    return lambda array: carray(_pointer(array.ctypes.data), array.shape, array.dtype)  # type: ignore[call-arg]


def _decode_vector(narrow: int, wide: int) -> Any:
    """One vector of codes as values, of so many bits each: (address of codes, of values, flip, unit, offset)."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        codes, values, *constants = arguments
        one = ir.IntType(wide)
        flip, unit, offset = (splat(b, b.trunc(c, one) if wide < 64 else c, LANES) for c in constants)
        code = b.zext(load(b, ir.VectorType(ir.IntType(narrow), LANES), codes), flip.type)
        store(b, b.sub(b.mul(b.xor(code, flip), unit), offset), values)
        return context.get_dummy_value()

    def vector(typing_context, codes, values, flip, unit, offset):  # type: ignore[no-untyped-def]
        return types.void(*[types.int64] * 5), generate

    return intrinsic(vector)


_decode_vectors = {(narrow, wide): _decode_vector(narrow, wide) for narrow in (8, 16) for wide in (32, 64)}


@overload(decode)
def _compile_decode(codes, at, decoding, values, to, count):  # type: ignore[no-untyped-def]
    vector = _decode_vectors[codes.dtype.bitwidth, values.dtype.bitwidth]

    def by_vectors(codes, at, decoding, values, to, count):  # type: ignore[no-untyped-def]
        flip, unit, offset = decoding[0], decoding[1], decoding[2]
        if count < LANES:
            for i in range(count):
                values[to + i] = unit * (i64(codes[at + i]) ^ flip) - offset
            return
        x, y = codes.ctypes.data + at * codes.itemsize, values.ctypes.data + to * values.itemsize
        for i in range(0, count - LANES, LANES):
            vector(x + i * codes.itemsize, y + i * values.itemsize, flip, unit, offset)
        last = count - LANES  # overlaps with the vector before it
        vector(x + last * codes.itemsize, y + last * values.itemsize, flip, unit, offset)

    return by_vectors


def _prefix_toggles(bits: int) -> Any:
    """Block of a given width: (operands, from plane to plane, from pixel to pixel, weights, plane, row, rows, planes,
    mask, below), addresses and distances in bytes."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return _emit_block(b, bits, *arguments)

    def block(  # type: ignore[no-untyped-def]
        typing_context, operands, plane, pixel, weights, weight_plane, weight_row, rows, planes, mask, below
    ):
        return types.int64(*[types.int64] * 10), generate

    return intrinsic(block)


_block = {bits: _prefix_toggles(bits) for bits in (32, 64)}
_block_32, _block_64 = _block[32], _block[64]


@overload(prefix_toggles)
def _compile_prefix_toggles(operands, weights, mask, below):  # type: ignore[no-untyped-def]
    wide = operands.dtype == types.int64

    def toggles_32(operands, weights, mask, below):  # type: ignore[no-untyped-def]
        (x_plane, x_pixel, _), (w_plane, w_row, _) = operands.strides, weights.strides
        return _block_32(
            operands.ctypes.data, x_plane, x_pixel, weights.ctypes.data, w_plane, w_row, i64(weights.shape[1]),
            i64(len(weights)), mask, i64(below),
        )  # fmt: skip

    def toggles_64(operands, weights, mask, below):  # type: ignore[no-untyped-def]
        (x_plane, x_pixel, _), (w_plane, w_row, _) = operands.strides, weights.strides
        return _block_64(
            operands.ctypes.data, x_plane, x_pixel, weights.ctypes.data, w_plane, w_row, i64(weights.shape[1]),
            i64(len(weights)), mask, i64(below),
        )  # fmt: skip

    return toggles_64 if wide else toggles_32


def _emit_block(
    b: ir.IRBuilder, bits: int, operands: Any, plane: Any, pixel: Any, weights: Any, weight_plane: Any,
    weight_row: Any, rows: Any, planes: Any, mask: Any, below: Any,
) -> Any:  # fmt: skip
    """All sums of one row of PEs in registers, one vector of columns per pixel; a loop over rows, and over planes."""
    one = ir.IntType(bits)
    vector, bytes_each = ir.VectorType(one, LANES), constant(bits // 8)
    none = ir.Constant(vector, [0] * LANES)
    count = b.module.declare_intrinsic(f"llvm.ctpop.v{LANES}i{bits}", (), ir.FunctionType(vector, [vector]))
    counted = splat(b, b.trunc(mask, one) if bits < 64 else mask, LANES)
    steps = [b.mul(pixel, constant(p)) for p in range(PIXELS)]
    entry = b.block
    row_loop, plane_loop, row_end, done = (b.append_basic_block(name) for name in ("row", "plane", "row_end", "done"))
    b.branch(row_loop)

    b.position_at_end(row_loop)
    row, total = b.phi(i64_type), b.phi(vector)
    sums_above = [b.phi(vector) for _ in range(PIXELS)]
    x_row = b.add(operands, b.mul(row, bytes_each))
    w_first = b.add(weights, b.mul(row, weight_row))
    b.branch(plane_loop)

    b.position_at_end(plane_loop)
    p = b.phi(i64_type)
    sums = [b.phi(vector) for _ in range(PIXELS)]
    w = load(b, vector, b.add(w_first, b.mul(p, weight_plane)))
    x = b.add(x_row, b.mul(p, plane))
    added = [
        b.add(old, b.mul(splat(b, load(b, one, b.add(x, step)), LANES), w))
        for old, step in zip(sums, steps, strict=True)
    ]
    p_next = b.add(p, constant(1))
    b.cbranch(b.icmp_signed("<", p_next, planes), plane_loop, row_end)

    b.position_at_end(row_end)
    distances = none
    for before, after in pairwise(added):
        distances = b.add(distances, b.call(count, [b.and_(b.xor(before, after), counted)]))
    total_next, row_next = b.add(total, distances), b.add(row, constant(1))
    b.cbranch(b.icmp_signed("<", row_next, rows), row_loop, done)

    for phi, start, begin, following, end in (
        (row, constant(0), entry, row_next, row_end),
        (total, none, entry, total_next, row_end),
        (p, constant(0), row_loop, p_next, plane_loop),
        *((above, none, entry, last, row_end) for above, last in zip(sums_above, added, strict=True)),
        *(
            (inner, above, row_loop, last, plane_loop)
            for inner, above, last in zip(sums, sums_above, added, strict=True)
        ),
    ):
        phi.add_incoming(start, begin)
        phi.add_incoming(following, end)

    b.position_at_end(done)
    return b.add(b.mul(_sum_of_lanes(b, total_next), constant(2)), b.mul(_sum_of_lanes(b, distances), below))


def _sum_of_lanes(b: ir.IRBuilder, values: Any) -> Any:
    """All lanes together, as int64."""
    one = values.type.element
    kind = ir.FunctionType(one, [values.type])
    add = b.module.declare_intrinsic(f"llvm.vector.reduce.add.v{LANES}i{one.width}", (), kind)
    total = b.call(add, [values])
    return b.zext(total, i64_type) if one.width < 64 else total
