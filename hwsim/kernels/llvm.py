"""Helpers for kernels that are generated as LLVM code: constants, vectors, loads and stores."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

i8, i16, i32, i64 = (ir.IntType(n) for n in (8, 16, 32, 64))


def constant(value: int) -> ir.Constant:
    """Return an int64 constant."""
    return ir.Constant(i64, value)


def splat(b: ir.IRBuilder, scalar: Any, lanes: int) -> Any:
    """Return a vector with `scalar` in every lane."""
    kind = ir.VectorType(scalar.type, lanes)
    undefined = ir.Constant(kind, ir.Undefined)
    one = b.insert_element(undefined, scalar, ir.Constant(i32, 0))
    return b.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(i32, lanes), [0] * lanes))


def clip(b: ir.IRBuilder, value: Any, low: Any, high: Any) -> Any:
    """Return `value` clipped to low and high, lane by lane, signed."""
    value = b.select(b.icmp_signed("<", value, low), low, value)
    return b.select(b.icmp_signed(">", value, high), high, value)


def load(b: ir.IRBuilder, kind: ir.Type, address: Any, align: int = 1) -> Any:
    """Return the value of type `kind` at an address."""
    value = b.load(b.inttoptr(address, kind.as_pointer()))
    value.align = align
    return value


def store(b: ir.IRBuilder, value: Any, address: Any) -> None:
    """Write `value` to an address of any alignment."""
    b.store(value, b.inttoptr(address, value.type.as_pointer())).align = 1
