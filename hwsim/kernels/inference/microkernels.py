"""Register tiles: sums of products of unsigned bytes with signed bytes for a few pixels and channels at once.

A tile holds the int32 sums of 4, 8 or 16 output pixels x 16 or 32 channels in registers while it
walks along the reduction. The reduction is a list of segments: runs of bytes that lie side by side
in the activation map, taken four at a time. A convolution over a channels-last map is such a walk
without any copying: its segments are the kernel rows, and the next pixel reads the same segments
`stride * channels` bytes later. Every tile gives the exact sum modulo 2^32.

Each tile is made by one generator of LLVM code with one of these multiply-adds:

vnni      the AVX-512 instruction vpdpbusd: 64 products per instruction, no saturation inside
avx2      vpmaddwd on bytes widened to int16: 16 products per instruction
generic   plain vector code, which LLVM lowers for any CPU
xnor      bits for bytes: products of -1 and +1, 32 channels to a word, counted by xor and popcount

All functions take addresses (int64), as kernels know where their arrays lie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hwsim.kernels.compile import compiles_for
from hwsim.kernels.llvm import clip, constant, i8, i16, i32, i64, load, splat, store

LANES = 16
"""Channels of one vector of sums."""

PIXELS = 4
"""Output pixels of one group: they lie one stride apart, groups lie anywhere."""

ROW = ir.VectorType(i32, LANES)

HAS_VNNI = compiles_for("avx512vnni")
HAS_AVX2 = compiles_for("avx2")

KERNELS = tuple(name for name, able in (("vnni", HAS_VNNI), ("avx2", HAS_AVX2), ("generic", True)) if able)
"""The multiply-adds that this CPU has, fastest first."""


class _Vnni:
    """acc += four products per lane, by one instruction."""

    def __init__(self, b: ir.IRBuilder) -> None:
        bytes64 = ir.VectorType(i8, 64)
        kind = ir.FunctionType(ROW, [ROW, bytes64, bytes64])
        self.b, self.bytes64 = b, bytes64
        self.instruction = b.module.declare_intrinsic("llvm.x86.avx512.vpdpbusd.512", (), kind)

    def weights(self, raw: Any) -> Any:
        return raw

    def activations(self, word: Any) -> Any:
        return self.b.bitcast(splat(self.b, word, LANES), self.bytes64)

    def add(self, acc: Any, x: Any, w: Any) -> Any:
        return self.b.call(self.instruction, [acc, x, w])


class _Avx2:
    """acc += products of int16 pairs, twice, in halves of eight lanes; sums are kept as one 16-lane vector."""

    def __init__(self, b: ir.IRBuilder) -> None:
        half, pairs = ir.VectorType(i32, 8), ir.VectorType(i16, 16)
        kind = ir.FunctionType(half, [pairs, pairs])
        self.b, self.pairs = b, pairs
        self.instruction = b.module.declare_intrinsic("llvm.x86.avx2.pmadd.wd", (), kind)

    def weights(self, raw: Any) -> Any:
        """Bytes [channel, 4] as int16 pairs: for the first and the second pair of terms two halves of 8 channels."""
        wide = self.b.sext(raw, ir.VectorType(i16, 64))
        undefined = ir.Constant(wide.type, ir.Undefined)
        parts = []
        for pair in range(2):
            for half in range(2):
                picks = [
                    4 * channel + 2 * pair + term for channel in range(8 * half, 8 * half + 8) for term in range(2)
                ]
                mask = ir.Constant(ir.VectorType(i32, 16), picks)
                parts.append(self.b.shuffle_vector(wide, undefined, mask))
        return parts

    def activations(self, word: Any) -> Any:
        four = self.b.zext(self.b.bitcast(word, ir.VectorType(i8, 4)), ir.VectorType(i16, 4))
        two = self.b.bitcast(four, ir.VectorType(i32, 2))
        words = [self.b.extract_element(two, ir.Constant(i32, pair)) for pair in range(2)]
        return [self.b.bitcast(splat(self.b, w, 8), self.pairs) for w in words]

    def add(self, acc: Any, x: Any, w: Any) -> Any:
        b, undefined = self.b, ir.Constant(ROW, ir.Undefined)
        halves = []
        for half in range(2):
            mask = ir.Constant(ir.VectorType(i32, 8), list(range(8 * half, 8 * half + 8)))
            total = b.shuffle_vector(acc, undefined, mask)
            for pair in range(2):
                total = b.add(total, b.call(self.instruction, [x[pair], w[2 * pair + half]]))
            halves.append(total)
        return b.shuffle_vector(*halves, ir.Constant(ir.VectorType(i32, LANES), list(range(LANES))))


class _Generic:
    """acc += four products per lane, in plain vector arithmetic of int32."""

    def __init__(self, b: ir.IRBuilder) -> None:
        self.b = b

    def weights(self, raw: Any) -> Any:
        undefined = ir.Constant(raw.type, ir.Undefined)
        parts = []
        for term in range(4):
            mask = ir.Constant(ROW, [4 * channel + term for channel in range(LANES)])
            parts.append(self.b.sext(self.b.shuffle_vector(raw, undefined, mask), ROW))
        return parts

    def activations(self, word: Any) -> Any:
        b, low = self.b, ir.Constant(i32, 255)
        return [splat(b, b.and_(b.lshr(word, ir.Constant(i32, 8 * term)), low), LANES) for term in range(4)]

    def add(self, acc: Any, x: Any, w: Any) -> Any:
        for term in range(4):
            acc = self.b.add(acc, self.b.mul(x[term], w[term]))
        return acc


class _Xnor:
    """acc += bits that differ in a word of 32 channels, each bit for -1 or +1.

    Of K products those that differ are -1 and the others +1: their sum is K less twice the count. The
    count goes out as -2 * count; K is the bias' business.
    """

    def __init__(self, b: ir.IRBuilder) -> None:
        self.b = b
        self.instruction = b.module.declare_intrinsic(f"llvm.ctpop.v{LANES}i32", (), ir.FunctionType(ROW, [ROW]))

    def weights(self, raw: Any) -> Any:
        return self.b.bitcast(raw, ROW)

    def activations(self, word: Any) -> Any:
        return splat(self.b, word, LANES)

    def add(self, acc: Any, x: Any, w: Any) -> Any:
        return self.b.add(acc, self.b.call(self.instruction, [self.b.xor(x, w)]))

    def total(self, acc: Any) -> Any:
        return self.b.sub(ir.Constant(ROW, [0] * LANES), self.b.shl(acc, ir.Constant(ROW, [1] * LANES)))


_INSTRUCTIONS: dict[str, Callable[[ir.IRBuilder], Any]] = {
    "vnni": _Vnni,
    "avx2": _Avx2,
    "generic": _Generic,
    "xnor": _Xnor,
}


class _Bytes:
    """The end of a tile that requantizes: half up, one byte per code, and perhaps a residual add.

    Only for multipliers of at most 1, so that 32 bits hold what is left after the shift. The products
    of even and odd channels are made apart, as 64-bit lanes lie over pairs of 32-bit ones.
    """

    def __init__(self, b: ir.IRBuilder, arguments: Any, with_add: bool) -> None:
        bias, multiplier, half, shift, scalars, out, outs, out_stride, filters = arguments[:9]
        self.b, self.with_add, self.filters = b, with_add, filters
        self.bias, self.multiplier, self.half, self.shift = bias, multiplier, half, shift
        self.out, self.outs, self.out_stride = out, outs, out_stride
        self.scalars = [load(b, i64, b.add(scalars, constant(8 * i)), 8) for i in range(10 if with_add else 3)]
        if with_add:
            self.other, self.others, self.other_stride = arguments[9:]

    def vector(self, v: int) -> None:
        """Read the constants of the tile's vector `v` of channels."""
        b = self.b
        at32, at64, pairs = constant(4 * LANES * v), constant(8 * LANES * v), ir.VectorType(i64, LANES // 2)
        self.bias_v = load(b, ROW, b.add(self.bias, at32))
        self.multipliers = self._halves(load(b, ROW, b.add(self.multiplier, at32)))
        self.halves, self.shifts = (
            [load(b, pairs, b.add(b.add(place, at64), constant(4 * LANES * part))) for part in range(2)]
            for place in (self.half, self.shift)
        )
        self.first = constant(LANES * v)
        self.count = b.sub(self.filters, self.first)

    def pixel(self, total: Any, group: int, pixel: int) -> None:
        """Requantize the sums of one pixel and write its codes."""
        b = self.b
        products = [b.mul(x, m) for x, m in zip(self._halves(b.add(total, self.bias_v)), self.multipliers, strict=True)]
        even, odd = (b.ashr(b.add(p, h), s) for p, h, s in zip(products, self.halves, self.shifts, strict=True))
        low_half = ir.Constant(even.type, [(1 << 32) - 1] * (LANES // 2))
        joined = b.or_(b.and_(even, low_half), b.shl(odd, ir.Constant(even.type, [32] * (LANES // 2))))
        code = self._clip(b.bitcast(joined, ROW), *self.scalars[:3])
        if self.with_add:
            code = self._add(code, self._place(self.other, self.others, self.other_stride, group, pixel))
        place = self._place(self.out, self.outs, self.out_stride, group, pixel)
        write_lanes(b, b.trunc(code, ir.VectorType(i8, LANES)), place, self.count)

    def _halves(self, vector: Any) -> list[Any]:
        """Even and odd lanes of 32 bits, each as lanes of 64 bits."""
        b = self.b
        pairs = b.bitcast(vector, ir.VectorType(i64, LANES // 2))
        by = ir.Constant(pairs.type, [32] * (LANES // 2))
        return [b.ashr(b.shl(pairs, by), by), b.ashr(pairs, by)]

    def _clip(self, value: Any, zero: Any, low: Any, high: Any) -> Any:
        """Clip to low and high, then add zero: in this order nothing overflows."""
        b = self.b
        zero, low, high = (splat(b, b.trunc(scalar, i32), LANES) for scalar in (zero, low, high))
        return b.add(clip(b, value, low, high), zero)

    def _add(self, code: Any, address: Any) -> Any:
        """code * mine + other * its, plus a constant, shifted: in two digits of 16 bits, which 32 bits hold."""
        b = self.b
        other = b.zext(load(b, ir.VectorType(i8, LANES), address), ROW)
        low, high = ir.Constant(i64, 0xFFFF), ir.Constant(i64, 16)
        mine, its, more, shift = self.scalars[3:7]

        def digits(scalar: Any) -> list[Any]:
            return [splat(b, b.trunc(part, i32), LANES) for part in (b.and_(scalar, low), b.ashr(scalar, high))]

        lower, upper = (
            b.add(b.add(b.mul(code, m), b.mul(other, t)), c)
            for m, t, c in zip(digits(mine), digits(its), digits(more), strict=True)
        )
        total = b.add(upper, b.lshr(lower, ir.Constant(ROW, [16] * LANES)))
        return self._clip(b.ashr(total, splat(b, b.trunc(shift, i32), LANES)), *self.scalars[7:10])

    def _place(self, base: Any, offsets: Any, stride: Any, group: int, pixel: int) -> Any:
        b = self.b
        start = b.add(base, load(b, i64, b.add(offsets, constant(8 * group)), 8))
        return b.add(b.add(start, self.first), b.mul(stride, constant(pixel)))


def write_lanes(b: ir.IRBuilder, values: Any, address: Any, count: Any) -> None:
    """Store the first `count` lanes of a vector, or all of them."""
    with b.if_else(b.icmp_signed(">=", count, constant(LANES))) as (all_lanes, some_lanes):  # masked stores are slow
        with all_lanes:
            store(b, values, address)
        with some_lanes:
            pointer, bits = values.type.as_pointer(), values.type.element.width
            lanes = ir.Constant(ir.VectorType(i64, LANES), list(range(LANES)))
            mask = b.icmp_signed("<", lanes, splat(b, count, LANES))
            kind = ir.FunctionType(ir.VoidType(), [values.type, pointer, i32, mask.type])
            write = b.module.declare_intrinsic(f"llvm.masked.store.v{LANES}i{bits}.p0", (), kind)
            b.call(write, [values, b.inttoptr(address, pointer), ir.Constant(i32, 1), mask])


def _walk(b: ir.IRBuilder, instruction: Any, groups: int, vectors: int, arguments: Any) -> list[Any]:
    """The sums [pixel, vector] of a tile, in registers: a loop over segments, and over the words of each."""
    x, offsets, stride, segments, count, weights = arguments
    raw = ir.VectorType(i8, 4 * LANES)
    steps = [constant(0), stride, b.mul(stride, constant(2)), b.mul(stride, constant(3))]
    bases = [b.add(x, load(b, i64, b.add(offsets, constant(8 * g)), 8)) for g in range(groups)]
    size = groups * PIXELS * vectors

    entry = b.block
    segment, word_loop, segment_end, done = (
        b.append_basic_block(label) for label in ("segment", "word", "segment_end", "done")
    )
    b.branch(segment)

    b.position_at_end(segment)
    s, w_segment = b.phi(i64), b.phi(i64)
    acc_segment = [b.phi(ROW) for _ in range(size)]
    place = b.add(segments, b.mul(s, constant(16)))
    offset, words = load(b, i64, place, 8), load(b, i64, b.add(place, constant(8)), 8)
    starts = [b.add(base, offset) for base in bases]
    b.branch(word_loop)

    b.position_at_end(word_loop)
    k, w_address = b.phi(i64), b.phi(i64)
    acc = [b.phi(ROW) for _ in range(size)]
    w = [instruction.weights(load(b, raw, b.add(w_address, constant(4 * LANES * v)), 64)) for v in range(vectors)]
    at = b.mul(k, constant(4))
    new = []
    for pixel in range(groups * PIXELS):
        address = b.add(b.add(starts[pixel // PIXELS], at), steps[pixel % PIXELS])
        activations = instruction.activations(load(b, i32, address))
        new += [instruction.add(acc[pixel * vectors + v], activations, w[v]) for v in range(vectors)]
    k_next, w_next = b.add(k, constant(1)), b.add(w_address, constant(4 * LANES * vectors))
    b.cbranch(b.icmp_signed("<", k_next, words), word_loop, segment_end)

    b.position_at_end(segment_end)
    s_next = b.add(s, constant(1))
    b.cbranch(b.icmp_signed("<", s_next, count), segment, done)

    for phi, start, begin, following, end in (
        (s, constant(0), entry, s_next, segment_end),
        (w_segment, weights, entry, w_next, segment_end),
        (k, constant(0), segment, k_next, word_loop),
        (w_address, w_segment, segment, w_next, word_loop),
    ):
        phi.add_incoming(start, begin)
        phi.add_incoming(following, end)
    for outer, inner, last in zip(acc_segment, acc, new, strict=True):
        outer.add_incoming(ir.Constant(ROW, [0] * LANES), entry)
        outer.add_incoming(last, segment_end)
        inner.add_incoming(outer, segment)
        inner.add_incoming(last, word_loop)
    b.position_at_end(done)
    return [instruction.total(last) for last in new] if isinstance(instruction, _Xnor) else new


def dot_tile(name: str, groups: int, vectors: int) -> Any:
    """A tile of `groups` x PIXELS pixels and `vectors` x LANES channels that writes its sums.

    tile(x, offsets, stride, segments, count, weights, sums): `x` is the address to which the int64
    `offsets` [group] and segment offsets are added; pixels of a group lie `stride` bytes apart;
    `segments` is int64 [count, 2] of (byte offset, number of four-byte words); `weights` int8
    [word, channel, 4]; the result goes to `sums` int32 [group, pixel, channel]. `name` is one of KERNELS.
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        for place, total in enumerate(_walk(b, _INSTRUCTIONS[name](b), groups, vectors, arguments[:6])):
            store(b, total, b.add(arguments[6], constant(4 * LANES * place)))
        return context.get_dummy_value()

    def tile(typing_context, x, offsets, stride, segments, count, weights, sums):  # type: ignore[no-untyped-def]
        return types.void(*[types.int64] * 7), generate

    return intrinsic(tile)


def byte_tile(name: str, groups: int, vectors: int) -> Any:
    """The same tile, which requantizes its sums half up and writes bytes.

    tile(x, offsets, stride, segments, count, weights, bias, multiplier, half, shift, scalars, out,
    outs, out_stride, filters): `bias` and `multiplier` int32, `half` and `shift` int64 with the even
    channels of each vector before the odd ones; `scalars` int64 (zero, low, high), bounds before zero
    is added; byte `outs` [group] after `out` takes the first channel of each group's first pixel;
    `filters` channels are written.
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        sums = _walk(b, _INSTRUCTIONS[name](b), groups, vectors, arguments[:6])
        _finish(b, sums, vectors, _Bytes(b, arguments[6:], with_add=False))
        return context.get_dummy_value()

    def tile(  # type: ignore[no-untyped-def]
        typing_context, x, offsets, stride, segments, count, weights, bias, multiplier, half, shift, scalars, out,
        outs, out_stride, filters,
    ):  # fmt: skip
        return types.void(*[types.int64] * 15), generate

    return intrinsic(tile)


def adding_byte_tile(name: str, groups: int, vectors: int) -> Any:
    """The same again, with a residual add after it.

    tile(... as `byte_tile` ..., other, others, other_stride): codes of the other operand lie as those
    of the output do. `scalars` goes on with (multiplier of this, of the other, constant, shift less
    16, zero, low, high).
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        sums = _walk(b, _INSTRUCTIONS[name](b), groups, vectors, arguments[:6])
        _finish(b, sums, vectors, _Bytes(b, arguments[6:], with_add=True))
        return context.get_dummy_value()

    def tile(  # type: ignore[no-untyped-def]
        typing_context, x, offsets, stride, segments, count, weights, bias, multiplier, half, shift, scalars, out,
        outs, out_stride, filters, other, others, other_stride,
    ):  # fmt: skip
        return types.void(*[types.int64] * 18), generate

    return intrinsic(tile)


def int_tile(name: str, groups: int, vectors: int) -> Any:
    """The same tile, which adds a bias and writes int32.

    tile(x, offsets, stride, segments, count, weights, bias, out, outs, out_stride, filters): `bias` int32;
    int32 `outs` [group] of those at address `out` takes the first channel of each group's first pixel,
    pixels are `out_stride` int32 apart; `filters` channels are written.
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        sums = _walk(b, _INSTRUCTIONS[name](b), groups, vectors, arguments[:6])
        bias, out, outs, out_stride, filters = arguments[6:]
        stride = b.mul(out_stride, constant(4))
        for v in range(vectors):
            first = constant(LANES * v)
            with b.if_then(b.icmp_signed(">", filters, first)):
                more = load(b, ROW, b.add(bias, constant(4 * LANES * v)))
                for pixel, total in enumerate(sums[v::vectors]):
                    start = load(b, i64, b.add(outs, constant(8 * (pixel // PIXELS))), 8)
                    place = b.add(out, b.mul(b.add(start, first), constant(4)))
                    place = b.add(place, b.mul(stride, constant(pixel % PIXELS)))
                    write_lanes(b, b.add(total, more), place, b.sub(filters, first))
        return context.get_dummy_value()

    def tile(  # type: ignore[no-untyped-def]
        typing_context, x, offsets, stride, segments, count, weights, bias, out, outs, out_stride, filters
    ):
        return types.void(*[types.int64] * 11), generate

    return intrinsic(tile)


def _finish(b: ir.IRBuilder, sums: list[Any], vectors: int, ending: _Bytes) -> None:
    """Hand the sums [pixel, vector] of a tile to its end, vector by vector, as each has constants of its own."""
    for v in range(vectors):
        with b.if_then(b.icmp_signed(">", ending.filters, constant(LANES * v))):
            ending.vector(v)
            for pixel, total in enumerate(sums[v::vectors]):
                ending.pixel(total, pixel // PIXELS, pixel % PIXELS)


@intrinsic
def emit(  # type: ignore[no-untyped-def]
    typing_context, sums, sums_stride, bias, multiplier, half, shift, scalars, out, outs, out_stride, filters
):
    """The end of `byte_tile` alone, for one group and one vector: `sums` int32, pixels `sums_stride` bytes apart."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        sums, stride = arguments[:2]
        ending = _Bytes(b, arguments[2:], with_add=False)
        ending.vector(0)
        for pixel in range(PIXELS):
            ending.pixel(load(b, ROW, b.add(sums, b.mul(stride, constant(pixel)))), 0, pixel)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 11), generate


@intrinsic
def emit_wide(  # type: ignore[no-untyped-def]
    typing_context, sums, sums_stride, plane, sign, bias, multiplier, half, shift, scalars, out, high_byte, out_stride,
    filters,
):  # fmt: skip
    """Join the int32 sums of byte planes, requantize half up in 64 bits, write codes of one or two bytes.

    For one group and one vector. Four planes of `sums` lie `plane` bytes apart and count 1, 256, 256
    and 65536; planes that a layer lacks are zero. `sign`, `bias`, `multiplier`, `half` and `shift` int64
    [LANES]; `scalars` int64 (zero, low, high, spare bits, smallest, largest): bounds before zero is
    added, the bits of 64 that a wrapping accumulator lacks, and the bounds of one that saturates. High
    bytes are written `high_byte` bytes after the low ones, unless that is 0.
    """
    wide, narrow = ir.VectorType(i64, LANES), ir.VectorType(i8, LANES)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        sums, sums_stride, plane, *places, scalars, out, high_byte, out_stride, filters = arguments
        sign, bias, multiplier, half, shift = (load(b, wide, place) for place in places)
        zero, low, high, spare, smallest, largest = (
            splat(b, load(b, i64, b.add(scalars, constant(8 * i)), 8), LANES) for i in range(6)
        )
        for pixel in range(PIXELS):
            at = b.add(sums, b.mul(sums_stride, constant(pixel)))
            parts = [b.sext(load(b, ROW, b.add(at, b.mul(plane, constant(p)))), wide) for p in range(4)]
            total = parts[0]
            for part, bits in zip(parts[1:], (8, 8, 16), strict=True):
                total = b.add(total, b.shl(part, ir.Constant(wide, [bits] * LANES)))
            total = b.add(b.mul(total, sign), bias)
            total = clip(b, b.ashr(b.shl(total, spare), spare), smallest, largest)
            code = b.ashr(b.add(b.mul(total, multiplier), half), shift)
            code = b.add(clip(b, code, low, high), zero)
            place = b.add(out, b.mul(out_stride, constant(pixel)))
            write_lanes(b, b.trunc(code, narrow), place, filters)
            with b.if_then(b.icmp_signed("!=", high_byte, constant(0))):
                upper = b.trunc(b.lshr(code, ir.Constant(wide, [8] * LANES)), narrow)
                write_lanes(b, upper, b.add(place, high_byte), filters)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 13), generate


@intrinsic
def pack_word(typing_context, x):  # type: ignore[no-untyped-def]
    """The 32 bytes at address `x` as bits of an int64: 1 where a byte is not 0."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        bytes32 = ir.VectorType(i8, 32)
        differs = b.icmp_unsigned("!=", load(b, bytes32, arguments[0]), ir.Constant(bytes32, [0] * 32))
        return b.zext(b.bitcast(differs, i32), i64)

    return types.int64(types.int64), generate
