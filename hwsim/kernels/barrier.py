"""Start, barrier and end of a call that several threads execute inside compiled code.

Taking the GIL and waking a sleeping thread each cost more than a small network. The threads of a pool
therefore synchronize through counters in memory: see `CallSlots`.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from hwsim.kernels.compile import kernel

i32, i64 = ir.IntType(32), ir.IntType(64)

SPINS_BEFORE_YIELD = 4096
"""Reads of a counter before a waiting thread yields its core: waits are short unless cores are few."""

SPINS_BEFORE_SLEEP = 200_000
"""Reads of `requested` (some tenths of a millisecond) before an idle worker returns to Python and sleeps."""

CORE, CANCELED = 1, 2
"""Entries of `requested[0]` besides the counter of a thread."""


class CallSlots(NamedTuple):
    """Counters by which the threads of one call start and end together.

    A thread has eight entries, one cache line, in each array, so that no two threads write to one line.
    Entry 0 is the counter. Entry CORE of `requested[0]` is the core on which the first thread made the request.
    Entry CANCELED is the number of the last call in which a thread has failed: its other threads stop at their next
    barrier or chunk.

    Attributes
    ----------
    requested : int64 [thread, 8], number of the last call that each thread was requested to join
    completed : int64 [thread, 8], number of the last call that each thread has completed
    number : number of this call; 0 for a call whose threads run one after the other
    """

    requested: NDArray[np.int64]
    completed: NDArray[np.int64]
    number: int


class Team(NamedTuple):
    """One thread's record of the threads of a call.

    Attributes
    ----------
    worker : index of this thread
    workers : number of threads
    together : True where all threads share each step and meet at a barrier after it
    arrivals : int64 [1], zero at the start, counts the threads that have reached a barrier
    slots : counters that start and end the call
    """

    worker: int
    workers: int
    together: bool
    arrivals: NDArray[np.int64]
    slots: CallSlots


def _pointer(b: ir.IRBuilder, address: Any) -> Any:
    return b.inttoptr(address, i64.as_pointer())


@intrinsic
def load_acquire(typing_context, counter):  # type: ignore[no-untyped-def]
    """Return the int64 at address `counter`, with acquire order."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return b.load_atomic(_pointer(b, arguments[0]), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def store_release(typing_context, counter, value):  # type: ignore[no-untyped-def]
    """Write the int64 at address `counter`, with release order."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        b.store_atomic(arguments[1], _pointer(b, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def fetch_add(typing_context, counter):  # type: ignore[no-untyped-def]
    """Add 1 to the int64 at address `counter`, atomically."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        b.atomic_rmw("add", _pointer(b, arguments[0]), ir.Constant(i64, 1), "seq_cst")
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def pause(typing_context):  # type: ignore[no-untyped-def]
    """Yield the core to other threads."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        if os.name == "posix":
            name = "sched_yield"
            b.call(b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(i32, []), name), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _current_core(typing_context):  # type: ignore[no-untyped-def]
    """Return the number of the core that executes this thread; -1 where the system has no such call."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        if sys.platform != "linux":
            return ir.Constant(i64, -1)
        name = "sched_getcpu"
        function = b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(i32, []), name)
        return b.sext(b.call(function, []), i64)

    return types.int64(), generate


@kernel(nogil=True)
def current_core():  # type: ignore[no-untyped-def]
    """Return the number of the core that executes this thread; -1 where the system has no such call."""
    return _current_core()  # type: ignore[call-arg]


@kernel()
def wait_until(counter, target):  # type: ignore[no-untyped-def]
    """Wait until the int64 at address `counter` is at least `target`."""
    spins = 0
    while load_acquire(counter) < target:  # type: ignore[call-arg]
        spins += 1
        if spins > SPINS_BEFORE_YIELD:
            spins = 0
            pause()  # type: ignore[call-arg]


@kernel()
def is_canceled(slots):  # type: ignore[no-untyped-def]
    """Return whether a thread of the call has failed."""
    return load_acquire(slots.requested[0, CANCELED:].ctypes.data) >= slots.number > 0  # type: ignore[call-arg]


@kernel()
def barrier_wait(counter, target, slots):  # type: ignore[no-untyped-def]
    """Add this thread's arrival to the int64 at address `counter`, then wait until it is at least `target`.

    Returns False, perhaps before that, where another thread of the call has failed and may never arrive.
    """
    fetch_add(counter)  # type: ignore[call-arg]
    spins = 0
    while load_acquire(counter) < target:  # type: ignore[call-arg]
        spins += 1
        if spins > SPINS_BEFORE_YIELD:
            spins = 0
            if is_canceled(slots):
                return False
            pause()  # type: ignore[call-arg]
    return True


@kernel()
def begin_call(slots, worker, workers):  # type: ignore[no-untyped-def]
    """Start a call: the first thread requests the other threads, which spin or are being woken.

    Before this moment no other thread has begun, so that the caller can still give up. After it the first thread is in
    compiled code, where no exception is raised from outside.
    """
    if worker == 0:
        slots.requested[0, CORE] = _current_core()  # type: ignore[call-arg]
        for other in range(1, workers):
            store_release(slots.requested[other:].ctypes.data, slots.number)  # type: ignore[call-arg]


@kernel()
def end_call(slots, worker, workers):  # type: ignore[no-untyped-def]
    """End a call: the first thread waits for the other threads; these spin for a while until the next call.

    A call with number 0 has no other threads.
    """
    call = slots.number
    if call == 0:
        return
    if worker == 0:
        for other in range(1, workers):
            wait_until(slots.completed[other:].ctypes.data, call)
        return
    store_release(slots.completed[worker:].ctypes.data, call)  # type: ignore[call-arg]
    for _ in range(SPINS_BEFORE_SLEEP):
        if load_acquire(slots.requested[worker:].ctypes.data) > call:  # type: ignore[call-arg]
            break


@kernel(nogil=True)
def wait_for_requested(requested, completed):  # type: ignore[no-untyped-def]
    """Wait until all threads have completed the last call that they were requested to join; arrays as in CallSlots."""
    for other in range(1, len(requested)):
        wait_until(completed[other:].ctypes.data, requested[other, 0])
