"""Register tiles: sums of products of unsigned bytes with signed bytes for a few pixels and channels at once.

A tile holds the int32 sums of 4, 8 or 16 output pixels x 16 or 32 channels in registers while it
walks along the reduction. The reduction is a list of segments: runs of bytes that lie side by side
in the activation map, taken four at a time. A convolution over a channels-last map is such a walk
without any copying: its segments are the kernel rows, and the next pixel reads the same segments
`stride * channels` bytes later (integer_semantics of HQ1 calls for exact sums; all tiles give the
exact sum modulo 2^32, in any order).

Each tile is made by one generator of LLVM code with one of three multiply-adds:

vnni      the AVX-512 instruction vpdpbusd: 64 products per instruction, no saturation inside
avx2      vpmaddwd on bytes widened to int16: 16 products per instruction
generic   plain vector code, which LLVM lowers for any CPU

All functions take addresses (int64), as kernels know where their arrays lie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hwsim.kernels.compile import compiles_for

LANES = 16
"""Channels of one vector of sums."""

PIXELS = 4
"""Output pixels of one group: they lie one stride apart, groups lie anywhere."""

i1, i8, i16, i32, i64 = (ir.IntType(n) for n in (1, 8, 16, 32, 64))
ROW = ir.VectorType(i32, LANES)

HAS_VNNI = compiles_for("avx512vnni")
HAS_AVX2 = compiles_for("avx2")

KERNELS = tuple(name for name, able in (("vnni", HAS_VNNI), ("avx2", HAS_AVX2), ("generic", True)) if able)
"""The multiply-adds that this CPU has, fastest first."""


def constant(value: int) -> ir.Constant:
    """An int64 constant."""
    return ir.Constant(i64, value)


def splat(b: ir.IRBuilder, scalar: Any, lanes: int) -> Any:
    """A vector with `scalar` in every lane."""
    kind = ir.VectorType(scalar.type, lanes)
    undefined = ir.Constant(kind, ir.Undefined)
    one = b.insert_element(undefined, scalar, ir.Constant(i32, 0))
    return b.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(i32, lanes), [0] * lanes))


def load(b: ir.IRBuilder, kind: ir.Type, address: Any, align: int = 1) -> Any:
    """The value of type `kind` at an address."""
    value = b.load(b.inttoptr(address, kind.as_pointer()))
    value.align = align
    return value


def store(b: ir.IRBuilder, value: Any, address: Any) -> None:
    """Write `value` to an address of any alignment."""
    b.store(value, b.inttoptr(address, value.type.as_pointer())).align = 1


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


_INSTRUCTIONS: dict[str, Callable[[ir.IRBuilder], Any]] = {"vnni": _Vnni, "avx2": _Avx2, "generic": _Generic}


def dot_tile(name: str, groups: int, vectors: int) -> Any:
    """A tile of `groups` x PIXELS pixels and `vectors` x LANES channels, callable from kernels.

    tile(x, offsets, stride, segments, count, weights, sums): `x` is the address to which the int64
    `offsets` [group] and segment offsets are added; pixels of a group lie `stride` bytes apart;
    `segments` is int64 [count, 2] of (byte offset, number of four-byte words); `weights` int8
    [word, channel, 4]; the result goes to `sums` int32 [group, pixel, channel]. `name` is one of KERNELS.
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        x, offsets, stride, segments, count, weights, sums = arguments
        instruction = _INSTRUCTIONS[name](b)
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

        s.add_incoming(constant(0), entry)
        s.add_incoming(s_next, segment_end)
        w_segment.add_incoming(weights, entry)
        w_segment.add_incoming(w_next, segment_end)
        k.add_incoming(constant(0), segment)
        k.add_incoming(k_next, word_loop)
        w_address.add_incoming(w_segment, segment)
        w_address.add_incoming(w_next, word_loop)
        for outer, inner, last in zip(acc_segment, acc, new, strict=True):
            outer.add_incoming(ir.Constant(ROW, [0] * LANES), entry)
            outer.add_incoming(last, segment_end)
            inner.add_incoming(outer, segment)
            inner.add_incoming(last, word_loop)

        b.position_at_end(done)
        for place_in_tile, total in enumerate(new):
            store(b, total, b.add(sums, constant(4 * LANES * place_in_tile)))
        return context.get_dummy_value()

    def tile(typing_context, x, offsets, stride, segments, count, weights, sums):  # type: ignore[no-untyped-def]
        return types.void(*[types.int64] * 7), generate

    return intrinsic(tile)


def _emit(with_add: bool) -> Any:
    """Requantize one vector of channels of a group of pixels, half up, and store it as bytes.

    emit(sums, sums_stride, bias, multiplier, half, shift, scalars, out, out_stride, count[, other,
    other_stride]): `sums` int32 [PIXELS, LANES] with rows `sums_stride` bytes apart; `bias` and
    `multiplier` int32, `half` and `shift` int64, all [LANES]; `scalars` int64 [10] = (zero, low, high)
    and for a residual add (multiplier of this, of the other, half, shift, zero, low, high); `out`
    bytes, pixels `out_stride` apart, of which the first `count` channels are written.
    """
    wide, narrow, mask_kind = ir.VectorType(i64, LANES), ir.VectorType(i8, LANES), ir.VectorType(i1, LANES)

    def clip(b: ir.IRBuilder, value: Any, low: Any, high: Any) -> Any:
        value = b.select(b.icmp_signed("<", value, low), low, value)
        return b.select(b.icmp_signed(">", value, high), high, value)

    def times(b: ir.IRBuilder, value: Any, factor: Any) -> Any:
        """Product of two int64 vectors whose values fit 32 bits: said so that one multiplication suffices."""
        return b.mul(b.sext(b.trunc(value, ROW), wide), b.sext(b.trunc(factor, ROW), wide))

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        sums, sums_stride, bias, multiplier, half, shift, scalars, out, out_stride, count = arguments[:10]
        lanes = ir.Constant(wide, list(range(LANES)))
        mask = b.icmp_signed("<", lanes, splat(b, count, LANES))
        whole = b.icmp_signed(">=", count, constant(LANES))
        pointer = narrow.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [narrow, pointer, i32, mask_kind])
        write = b.module.declare_intrinsic(f"llvm.masked.store.v{LANES}i8.p0", (), kind)
        bias, multiplier = load(b, ROW, bias), b.sext(load(b, ROW, multiplier), wide)
        half, shift = load(b, wide, half), load(b, wide, shift)
        scalar = [
            splat(b, load(b, i64, b.add(scalars, constant(8 * i)), 8), LANES) for i in range(10 if with_add else 3)
        ]
        for pixel in range(PIXELS):
            step = constant(pixel)
            total = b.add(load(b, ROW, b.add(sums, b.mul(sums_stride, step))), bias)
            code = b.ashr(b.add(b.mul(b.sext(total, wide), multiplier), half), shift)
            code = clip(b, b.add(code, scalar[0]), scalar[1], scalar[2])
            if with_add:
                other, other_stride = arguments[10:]
                others = b.zext(load(b, narrow, b.add(other, b.mul(other_stride, step))), wide)
                both = b.add(times(b, code, scalar[3]), times(b, others, scalar[4]))
                code = b.add(b.ashr(b.add(both, scalar[5]), scalar[6]), scalar[7])
                code = clip(b, code, scalar[8], scalar[9])
            codes, address = b.trunc(code, narrow), b.add(out, b.mul(out_stride, step))
            with b.if_else(whole) as (all_lanes, some_lanes):  # a store with a mask is slow
                with all_lanes:
                    store(b, codes, address)
                with some_lanes:
                    b.call(write, [codes, b.inttoptr(address, pointer), ir.Constant(i32, 1), mask])
        return context.get_dummy_value()

    if with_add:

        def emit_add(  # type: ignore[no-untyped-def]
            typing_context, sums, sums_stride, bias, multiplier, half, shift, scalars, out, out_stride, count, other,
            other_stride,
        ):  # fmt: skip
            return types.void(*[types.int64] * 12), generate

        return intrinsic(emit_add)

    def emit(  # type: ignore[no-untyped-def]
        typing_context, sums, sums_stride, bias, multiplier, half, shift, scalars, out, out_stride, count
    ):
        return types.void(*[types.int64] * 10), generate

    return intrinsic(emit)


emit = _emit(with_add=False)
emit_add = _emit(with_add=True)
