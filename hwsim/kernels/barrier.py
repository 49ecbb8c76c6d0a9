"""Threads that begin together, wait for each other between two steps, and end together, all without Python.

The interpreter's lock and a sleeping thread each cost more than a small network, so threads of a crew
speak through counters in memory: `asked` and `served`, int64 [thread, 8], hold the number of the last
call that each thread was asked to take part in and has finished (in the first of eight entries, as
two threads should not write to one line of the cache). The second entry of `asked` is the core on
which the first thread was when it asked.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hwsim.kernels.compile import kernel

i32, i64 = ir.IntType(32), ir.IntType(64)

SPINS = 4096
"""Looks at a counter before a thread offers its core to others: the wait is short unless cores are few."""

AWAKE = 200_000
"""Looks for a next call (some tenths of a millisecond) before a thread of a crew goes back to Python, and to sleep."""


def _pointer(b: ir.IRBuilder, address: Any) -> Any:
    return b.inttoptr(address, i64.as_pointer())


@intrinsic
def look(typing_context, counter):  # type: ignore[no-untyped-def]
    """The int64 at address `counter`, as another thread may have just written it."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return b.load_atomic(_pointer(b, arguments[0]), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def tell(typing_context, counter, value):  # type: ignore[no-untyped-def]
    """Write the int64 at address `counter` for other threads to see."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        b.store_atomic(arguments[1], _pointer(b, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def arrive(typing_context, counter):  # type: ignore[no-untyped-def]
    """Add 1 to the int64 at address `counter`."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        b.atomic_rmw("add", _pointer(b, arguments[0]), ir.Constant(i64, 1), "seq_cst")
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def rest(typing_context):  # type: ignore[no-untyped-def]
    """Offer this core to other threads."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        if os.name == "posix":
            name = "sched_yield"
            b.call(b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(i32, []), name), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def core(typing_context):  # type: ignore[no-untyped-def]
    """Number of the core on which this thread is; -1 where the system does not say."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        if sys.platform != "linux":
            return ir.Constant(i64, -1)
        name = "sched_getcpu"
        ask = b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(i32, []), name)
        return b.sext(b.call(ask, []), i64)

    return types.int64(), generate


@kernel(nogil=True)
def own_core():  # type: ignore[no-untyped-def]
    """`core`, for Python."""
    return core()  # type: ignore[call-arg]


@kernel()
def await_counter(counter, target):  # type: ignore[no-untyped-def]
    """Wait until the int64 at address `counter` has reached `target`."""
    spins = 0
    while look(counter) < target:  # type: ignore[call-arg]
        spins += 1
        if spins > SPINS:
            spins = 0
            rest()  # type: ignore[call-arg]


@kernel()
def meet(counter, target):  # type: ignore[no-untyped-def]
    """Count this thread as arrived at address `counter`, then wait for all who make it reach `target`."""
    arrive(counter)  # type: ignore[call-arg]
    await_counter(counter, target)


@kernel()
def begin_call(asked, call, worker, workers):  # type: ignore[no-untyped-def]
    """The first thread asks the others of this call to begin: they are awake, or are being woken."""
    if worker == 0:
        asked[0, 1] = core()  # type: ignore[call-arg]
        for other in range(1, workers):
            tell(asked[other:].ctypes.data, call)  # type: ignore[call-arg]


@kernel()
def end_call(asked, served, call, worker, workers):  # type: ignore[no-untyped-def]
    """The first thread waits for the others; these look out for a next call, for a while. Call 0 has no others."""
    if call == 0:
        return
    if worker == 0:
        for other in range(1, workers):
            await_counter(served[other:].ctypes.data, call)
        return
    tell(served[worker:].ctypes.data, call)  # type: ignore[call-arg]
    for _ in range(AWAKE):
        if look(asked[worker:].ctypes.data) > call:  # type: ignore[call-arg]
            break


@kernel(nogil=True)
def wait_for_all(asked, served, call, workers):  # type: ignore[no-untyped-def]
    """What the first thread does for calls that are no kernels: ask, if that was not done, and wait."""
    begin_call(asked, call, 0, workers)
    end_call(asked, served, call, 0, workers)
