"""Thread pool for kernels that release the GIL.

An exception, such as that of Ctrl-C, may be raised in the calling thread between any two of its bytecodes. So the
other threads wait until the kernel of the calling thread requests them (`begin_call`). From there to the end of the
call the calling thread is in compiled code, and before it no other thread has begun: whenever the exception comes, no
thread waits for one that has left.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.cache import on_clear
from hwsim.kernels.barrier import CANCELED, CORE, CallSlots, current_core, wait_for_requested

Work = Callable[[int, int, CallSlots], None]
"""Function (worker, workers, slots) that runs one kernel: the share of one of `workers` threads."""

LONGEST_POLL = 0.01
"""Seconds between two looks of a worker at a call that its caller has prepared, but does not begin."""


def run_on_threads(work: Work, count: int) -> None:
    """Call `work(worker, workers, slots)` for all workers at once, and raise the first error after all have ended.

    There are `count` workers; there is a single one, which does all the work, while the pool is busy or where the
    system starts no further threads. The kernel in `work` must execute `begin_call` as soon as it has released the GIL,
    and `end_call` at its end.
    """
    pool = _pool
    if count > 1 and not pool.lock.locked():
        with pool.lock:
            if pool.resize(count):
                pool.call(work, count)
                return
    work(0, 1, CallSlots(_counters(1), _counters(1), 0))


def _counters(count: int) -> NDArray[np.int64]:
    """Return the counters of `count` threads, int64 [thread, 8], all zero."""
    return np.zeros((count, 8), dtype=np.int64)


class _Members(NamedTuple):
    """Threads of the pool and their counters, replaced together."""

    requested: NDArray[np.int64]
    completed: NDArray[np.int64]
    workers: tuple[_Worker, ...]


class _ThreadPool:
    """Workers that are started on first use, and the lock of the thread that calls them."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.number = 0
        self.settled = True
        self.members = _Members(_counters(1), _counters(1), ())

    def call(self, work: Work, count: int) -> None:
        requested, completed, all_workers = self.members
        if not self.settled:  # a call was interrupted, and so was its wait for the other threads
            wait_for_requested(requested, completed)
            requested[0, CANCELED] = self.number
        self.settled = False
        self.number += 1
        slots, workers = CallSlots(requested, completed, self.number), all_workers[: count - 1]
        try:
            for worker in workers:
                worker.error = None
                worker.assigned.put((work, count, slots))
            work(0, count, slots)
        except BaseException:
            requested[0, CANCELED] = slots.number
            wait_for_requested(requested, completed)
            self.settled = True
            raise
        self.settled = True
        for worker in workers:
            if worker.error is not None:
                raise worker.error

    def resize(self, count: int) -> bool:
        """Start workers for `count` threads where there are fewer; the previous workers end.

        Returns False where the system starts no further thread; nothing has changed then.
        """
        if count <= len(self.members.requested):
            return True
        current_core()  # compiled here: a worker never compiles
        workers: list[_Worker] = []
        try:
            for index in range(1, count):
                workers.append(_Worker(index))
                workers[-1].start()
        except BaseException as error:
            _end(workers)
            if isinstance(error, RuntimeError):  # can't start new thread
                return False
            raise
        before, self.members = self.members, _Members(_counters(count), _counters(count), tuple(workers))
        _end(before.workers)
        return True

    def clear(self) -> None:
        """End all workers."""
        before, self.members = self.members, _Members(_counters(1), _counters(1), ())
        _end(before.workers)


class _Worker(Thread):
    """One thread that executes the work assigned to it; it ends when it is assigned None."""

    def __init__(self, index: int) -> None:
        super().__init__(name=f"hwsim-{index}", daemon=True)
        self.index = index
        self.assigned: SimpleQueue[tuple[Work, int, CallSlots] | None] = SimpleQueue()
        self.error: BaseException | None = None
        self.cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()

    def run(self) -> None:
        while (assigned := self.assigned.get()) is not None:
            if self._is_requested(assigned[2]):
                self._join_call(*assigned)
            del assigned

    def _is_requested(self, slots: CallSlots) -> bool:
        """Wait until the call begins; return False for one that never will."""
        pause = 0.0
        while (requested := slots.requested[self.index, 0]) < slots.number:
            if slots.requested[0, CANCELED] >= slots.number or not self.assigned.empty():
                return False
            time.sleep(pause)
            pause = min(pause + 1e-5, LONGEST_POLL)
        return bool(requested == slots.number)

    def _join_call(self, work: Work, workers: int, slots: CallSlots) -> None:
        try:
            self._leave_core(int(slots.requested[0, CORE]))
            work(self.index, workers, slots)
        except BaseException as error:  # raised again by the caller of the pool
            self.error = error
            slots.requested[0, CANCELED] = slots.number
        finally:
            slots.completed[self.index, 0] = slots.number

    def _leave_core(self, core: int) -> None:
        """Leave the core of the first thread: the scheduler may take milliseconds to separate two threads."""
        if self.cores > {core} and current_core() == core:
            with contextlib.suppress(OSError):  # some containers refuse it; it saves time only
                os.sched_setaffinity(0, self.cores - {core})


def _end(workers: list[_Worker] | tuple[_Worker, ...]) -> None:
    for worker in workers:
        worker.assigned.put(None)


_pool = _ThreadPool()


def _replace_pool() -> None:
    """Give a forked process a pool of its own: a fork has none of its parent's threads."""
    global _pool
    _pool = _ThreadPool()


def _end_workers() -> None:
    with _pool.lock:
        _pool.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_pool)
on_clear(_end_workers)
