"""Threads that wait for each other between two steps, without going back to Python."""

from __future__ import annotations

import os
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hwsim.kernels.compile import kernel

i32, i64 = ir.IntType(32), ir.IntType(64)

SPINS = 4096
"""Looks at the counter before a thread offers its core to others: the wait is short unless cores are few."""


@intrinsic
def meet(typing_context, counter, target):  # type: ignore[no-untyped-def]
    """Count this thread as arrived, then wait until the int64 at address `counter` has reached `target`."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        address, target = arguments
        pointer = b.inttoptr(address, i64.as_pointer())
        b.atomic_rmw("add", pointer, ir.Constant(i64, 1), "seq_cst")
        entry = b.block
        look, wait, rest, done = (b.append_basic_block(label) for label in ("look", "wait", "rest", "done"))
        b.branch(look)
        b.position_at_end(look)
        spins = b.phi(i64)
        arrived = b.load_atomic(pointer, "acquire", 8)
        b.cbranch(b.icmp_signed("<", arrived, target), wait, done)
        b.position_at_end(wait)
        more = b.add(spins, ir.Constant(i64, 1))
        b.cbranch(b.icmp_signed(">", more, ir.Constant(i64, SPINS)), rest, look)
        b.position_at_end(rest)
        if os.name == "posix":
            name = "sched_yield"
            function = b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(i32, []), name)
            b.call(function, [])
        b.branch(look)
        spins.add_incoming(ir.Constant(i64, 0), entry)
        spins.add_incoming(more, wait)
        spins.add_incoming(ir.Constant(i64, 0), rest)
        b.position_at_end(done)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def look(typing_context, counter):  # type: ignore[no-untyped-def]
    """The int64 at address `counter`, as another thread may have just written it."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return b.load_atomic(b.inttoptr(arguments[0], i64.as_pointer()), "acquire", 8)

    return types.int64(types.int64), generate


@kernel(nogil=True)
def reaches(counter, target, spins):  # type: ignore[no-untyped-def]
    """Does the int64 [1] `counter` reach `target` within so many looks at it?"""
    for _ in range(spins):  # noqa: SIM110 (any() is slow, or no loop at all, in compiled code)
        if look(counter.ctypes.data) >= target:  # type: ignore[call-arg]
            return True
    return False
