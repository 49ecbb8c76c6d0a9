"""Thread pool for kernels that release the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Condition, Lock, Thread

import numpy as np
from numpy.typing import NDArray

from hwsim.cache import on_clear
from hwsim.kernels.barrier import CallSlots, complete_call, current_core

Work = Callable[[int, CallSlots], None]


def run_on_threads(work: Work, count: int, together: bool = False) -> None:
    """Call `work(0, slots)` to `work(count - 1, slots)` at once, and raise the first error after all have ended.

    The kernel in `work` should execute `begin_call` as soon as it has released the GIL: the other
    threads start then without waiting for the GIL. Calls that wait for each other inside `work` need
    `together=True`. Other calls run one after the other while the pool is busy.
    """
    pool = _pool
    if count == 1 or not pool.lock.acquire(blocking=together):
        for index in range(count):
            work(index, CallSlots(_counters(count), _counters(count), 0))
        return
    try:
        pool.call(work, count)
    finally:
        pool.lock.release()


def _counters(count: int) -> NDArray[np.int64]:
    """Return the counters of `count` threads, int64 [thread, 8], all zero."""
    return np.zeros((count, 8), dtype=np.int64)


class _ThreadPool:
    """Workers that are started on first use, and the lock of the thread that calls them."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.number = 0
        self.requested, self.completed = _counters(1), _counters(1)
        self.workers: list[_Worker] = []

    def call(self, work: Work, count: int) -> None:
        if count > len(self.requested):
            self.resize(count)
        self.number += 1
        slots, workers = CallSlots(self.requested, self.completed, self.number), self.workers[: count - 1]
        for worker in workers:
            worker.assign(work, slots)
        try:
            work(0, slots)
        finally:
            complete_call(slots, count)
            errors = [worker.error for worker in workers]
        for error in errors:
            if error is not None:
                raise error

    def resize(self, count: int) -> None:
        """Make new counters and start new workers for `count` threads; the previous workers end."""
        for worker in self.workers:
            worker.assign(None, CallSlots(self.requested, self.completed, self.number + 1))
        self.requested, self.completed = _counters(count), _counters(count)
        self.workers = [_Worker(index) for index in range(1, count)]
        for worker in self.workers:
            worker.start()


class _Worker(Thread):
    """One thread that executes the work assigned to it; it ends when it is assigned None."""

    def __init__(self, index: int) -> None:
        super().__init__(name=f"hwsim-{index}", daemon=True)
        self.index = index
        self.assigned: tuple[Work | None, CallSlots] | None = None
        self.error: BaseException | None = None
        self.changed = Condition()
        self.cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()

    def assign(self, work: Work | None, slots: CallSlots) -> None:
        with self.changed:
            self.assigned, self.error = (work, slots), None
            self.changed.notify()

    def run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.assigned is not None)
                assert self.assigned is not None
                (work, slots), self.assigned = self.assigned, None
            if work is None:
                return
            self._leave_core(int(slots.requested[0, 1]))
            try:
                work(self.index, slots)
            except BaseException as error:  # raised again by the caller of the pool
                self.error = error
            del work
            slots.completed[self.index, 0] = max(slots.completed[self.index, 0], slots.number)

    def _leave_core(self, core: int) -> None:
        """Leave the core of the first thread: the scheduler may take milliseconds to separate two threads."""
        if self.cores > {core} and current_core() == core:
            os.sched_setaffinity(0, self.cores - {core})


_pool = _ThreadPool()


def _replace_pool() -> None:
    """Give a forked process a pool of its own: a fork has none of its parent's threads."""
    global _pool
    _pool = _ThreadPool()


def _end_workers() -> None:
    with _pool.lock:
        _pool.resize(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_pool)
on_clear(_end_workers)
