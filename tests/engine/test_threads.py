"""The thread pool: each worker is called once, errors are raised in the caller, no exception leaves a thread behind.

The kernels of these tests are `begin` and `end` around Python code, as `begin_call` and `end_call` are inside a kernel.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread, get_ident
from threading import enumerate as enumerate_threads

import numba
import numpy as np
import pytest

from hwsim.cache import clear
from hwsim.kernels import threads
from hwsim.kernels.barrier import CallSlots, barrier_wait, begin_call, end_call
from hwsim.kernels.compile import JIT
from hwsim.kernels.threads import run_on_threads

pytestmark = pytest.mark.skipif(not JIT, reason="no compiler")


@numba.njit(nogil=True)
def begin(slots, worker, workers):
    begin_call(slots, worker, workers)


@numba.njit(nogil=True)
def end(slots, worker, workers):
    end_call(slots, worker, workers)


@numba.njit(nogil=True)
def meet(slots, worker, workers, arrivals):
    """Begin the call, meet at a barrier, end the call."""
    begin_call(slots, worker, workers)
    met = barrier_wait(arrivals.ctypes.data, workers, slots)
    end_call(slots, worker, workers)
    return met


def called(count: int) -> list[tuple[int, int]]:
    """Return (worker, workers) of each call of a run on `count` threads that meet at a barrier."""
    found: list[tuple[int, int]] = []
    arrivals = np.zeros(1, dtype=np.int64)

    def work(worker: int, workers: int, slots: CallSlots) -> None:
        begin(slots, worker, workers)
        found.append((worker, workers))
        assert meet(slots, worker, workers, arrivals)

    run_on_threads(work, count)
    return sorted(found)


def all_of(count: int) -> list[tuple[int, int]]:
    return [(worker, count) for worker in range(count)]


@pytest.mark.parametrize("pause", [0, 0.01], ids=["awake", "asleep"])
def test_every_worker_is_called_once(pause):
    for count in (1, 2, 3, 5, 2, 4):
        for _ in range(20):
            assert called(count) == all_of(count)
            time.sleep(pause)


def test_callers_at_once_get_the_pool_or_work_alone():
    inside, peak = [], []

    def call(_: int) -> int:
        barrier: list[Barrier] = []
        who = set()

        def work(worker: int, workers: int, slots: CallSlots) -> None:
            if worker == 0:
                barrier.append(Barrier(workers))
                if workers > 1:
                    inside.append(0)
                    peak.append(len(inside))
            begin(slots, worker, workers)
            barrier[0].wait(timeout=30)
            who.add(get_ident())
            if worker == 0 and workers > 1:
                inside.pop()
            end(slots, worker, workers)

        run_on_threads(work, 3)
        return len(who)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(call, range(12))) <= {1, 3}
    assert max(peak) == 1  # one caller at a time has the pool


def test_a_call_within_a_call_runs_on_its_own_thread():
    inner: list[tuple[int, int]] = []

    def outer(worker: int, workers: int, slots: CallSlots) -> None:
        begin(slots, worker, workers)
        if worker == 0:
            inner.extend(called(4))
        end(slots, worker, workers)

    run_on_threads(outer, 2)
    assert inner == [(0, 1)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_the_error_of_any_thread_is_raised_and_frees_the_threads_at_the_barrier(failing, when):
    """The first thread fails before or after it has requested the others; these fail before or after they begin."""
    arrivals = np.zeros(1, dtype=np.int64)

    def work(worker: int, workers: int, slots: CallSlots) -> None:
        if worker == failing and when == "before":
            raise ZeroDivisionError(worker)
        if worker == failing:
            begin(slots, worker, workers)
            raise ZeroDivisionError(worker)
        meet(slots, worker, workers, arrivals)

    for _ in range(5):
        with pytest.raises(ZeroDivisionError, match=str(failing)):
            run_on_threads(work, 3)
        assert called(3) == all_of(3)


def test_an_interrupt_between_the_assignment_and_the_kernel_leaves_no_thread_behind(monkeypatch):
    clear()
    called(3)
    workers = threads._pool.members.workers
    for interrupted in workers:
        with monkeypatch.context() as patch:
            patch.setattr(interrupted, "assigned", Interrupting(interrupted.assigned))
            with pytest.raises(KeyboardInterrupt):
                called(3)
        assert called(3) == all_of(3)
    assert threads._pool.members.workers == workers


class Interrupting:
    """A queue into which nothing more is put."""

    def __init__(self, queue):
        self.empty = queue.empty

    def put(self, item):
        raise KeyboardInterrupt


def test_an_interrupt_of_the_clean_up_is_made_good_by_the_next_call(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    arrivals = np.zeros(1, dtype=np.int64)

    def work(worker: int, workers: int, slots: CallSlots) -> None:
        begin(slots, worker, workers)
        if worker == 0:
            raise ZeroDivisionError
        time.sleep(0.05)
        ended.append(worker)
        meet(slots, worker, workers, arrivals)

    ended: list[int] = []
    called(3)
    with monkeypatch.context() as patch:
        patch.setattr(threads, "wait_for_requested", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_on_threads(work, 3)
    assert called(3) == all_of(3)
    assert sorted(ended) == [1, 2]


def test_where_no_thread_can_start_the_caller_works_alone(monkeypatch):
    clear()
    started: list[Thread] = []

    def refused(thread: Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        original(thread)

    original = Thread.start
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", refused)
        assert called(4) == [(0, 1)]
    for thread in started:
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert called(4) == all_of(4)


def test_a_refused_change_of_the_core_is_no_error(monkeypatch):
    def refused(*_):
        raise PermissionError("not permitted")

    called(3)
    monkeypatch.setattr(threads, "current_core", lambda: int(threads._pool.members.requested[0, threads.CORE]))
    monkeypatch.setattr(threads.os, "sched_setaffinity", refused, raising=False)
    for worker in threads._pool.members.workers:
        monkeypatch.setattr(worker, "cores", set(range(10_000)))
    assert called(3) == all_of(3)


def test_clear_ends_the_workers_and_the_pool_starts_new_ones():
    def workers() -> set[Thread]:
        return {thread for thread in enumerate_threads() if thread.name.startswith("hwsim-")}

    assert called(3) == all_of(3)
    before = workers()
    assert len(before) >= 2
    clear()
    for thread in before:
        thread.join(timeout=30)
    assert not workers()
    assert called(3) == all_of(3)
