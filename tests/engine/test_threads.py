"""The thread pool: each index is executed once, errors are raised in the caller, cooperating threads run at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread, get_ident
from threading import enumerate as enumerate_threads

import pytest

from hwsim.cache import clear
from hwsim.kernels.barrier import CallSlots
from hwsim.kernels.threads import run_on_threads


@pytest.mark.parametrize("pause", [0, 0.01], ids=["awake", "asleep"])
@pytest.mark.parametrize("together", [False, True])
def test_every_index_is_called_once(pause, together):
    for count in (1, 2, 3, 5, 2, 4):
        for _ in range(20):
            called: list[int] = []
            run_on_threads(lambda index, slots, called=called: called.append(index), count, together)
            assert sorted(called) == list(range(count))
            time.sleep(pause)


def test_threads_that_work_together_run_at_once():
    """Each thread waits for all other threads of its call, while four callers use the pool at once."""
    inside, peak = [], []

    def call(_: int) -> int:
        barrier, who = Barrier(3), set()

        def work(index: int, slots: CallSlots) -> None:
            inside.append(index)
            peak.append(len(inside))
            barrier.wait(timeout=30)
            who.add(get_ident())
            time.sleep(0.001)
            inside.pop()

        run_on_threads(work, 3, together=True)
        return len(who)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, range(12))) == [3] * 12
    assert max(peak) == 3  # one caller after the other


def test_a_call_runs_on_its_own_thread_while_the_pool_is_busy():
    def outer(index: int, slots: CallSlots) -> None:
        if index == 0:
            run_on_threads(lambda index, slots: inner.append(index), 4)

    inner: list[int] = []
    run_on_threads(outer, 2)
    assert inner == [0, 1, 2, 3]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_the_error_of_any_thread_is_raised_and_the_pool_remains_usable(failing):
    def work(index: int, slots: CallSlots) -> None:
        if index == failing:
            raise ZeroDivisionError(index)

    with pytest.raises(ZeroDivisionError, match=str(failing)):
        run_on_threads(work, 3)
    called: list[int] = []
    run_on_threads(lambda index, slots: called.append(index), 3)
    assert sorted(called) == [0, 1, 2]


def test_clear_ends_the_workers_and_the_pool_starts_new_ones():
    def indices() -> list[int]:
        called: list[int] = []
        run_on_threads(lambda index, slots: called.append(index), 3)
        return sorted(called)

    def workers() -> set[Thread]:
        return {thread for thread in enumerate_threads() if thread.name.startswith("hwsim-")}

    assert indices() == [0, 1, 2]
    before = workers()
    assert len(before) >= 2
    clear()
    for thread in before:
        thread.join(timeout=30)
    assert not workers()
    assert indices() == [0, 1, 2]
