"""The crew of threads: every piece of work is done once, errors come back, and who waits for others gets them all."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, get_ident

import pytest

from hwsim.kernels import threads
from hwsim.kernels.threads import on_threads


@pytest.mark.parametrize("pause", [0, 0.01], ids=["awake", "asleep"])
@pytest.mark.parametrize("together", [False, True])
def test_every_index_is_called_once(pause, together):
    for count in (1, 2, 3, 5, 2, 4):
        for _ in range(20):
            called: list[int] = []
            on_threads(lambda index, call, called=called: called.append(index), count, together)
            assert sorted(called) == list(range(count))
            time.sleep(pause)


def test_those_who_work_together_are_all_there():
    """Each piece waits for all others, while four callers want that at once: no piece may come late."""
    inside, peak = [], []

    def call(_: int) -> int:
        barrier, who = Barrier(3), set()

        def work(index: int, call: threads.Call) -> None:
            inside.append(index)
            peak.append(len(inside))
            barrier.wait(timeout=30)
            who.add(get_ident())
            time.sleep(0.001)
            inside.pop()

        on_threads(work, 3, together=True)
        return len(who)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, range(12))) == [3] * 12
    assert max(peak) == 3  # one caller after the other


def test_who_need_not_wait_works_alone_while_the_crew_is_busy():
    def outer(index: int, call: threads.Call) -> None:
        if index == 0:
            on_threads(lambda index, call: inner.append(index), 4)

    inner: list[int] = []
    on_threads(outer, 2)
    assert inner == [0, 1, 2, 3]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_the_error_of_any_thread_comes_back_and_the_crew_goes_on(failing):
    def work(index: int, call: threads.Call) -> None:
        if index == failing:
            raise ZeroDivisionError(index)

    with pytest.raises(ZeroDivisionError, match=str(failing)):
        on_threads(work, 3)
    called: list[int] = []
    on_threads(lambda index, call: called.append(index), 3)
    assert sorted(called) == [0, 1, 2]
