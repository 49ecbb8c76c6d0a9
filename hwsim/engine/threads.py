"""A crew of threads for kernels that let go of the interpreter's lock.

Waking a sleeping thread takes longer than a small network does. So a helper that has finished looks
out for the next call for a while (some tenths of a millisecond) before it goes to sleep.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Condition, Lock, Thread

import numpy as np

from hwsim.kernels.barrier import reaches

SPINS = 200_000
"""Looks at a counter before a thread goes to sleep."""

Work = Callable[[int], None]


def on_threads(work: Work, count: int, together: bool = False) -> None:
    """Call `work(0)` to `work(count - 1)` at once, and return when all are done; the first error is raised.

    Calls that wait for each other have to say that they run `together`; others run one after the
    other while the crew serves somebody else.
    """
    crew = _crews.setdefault(os.getpid(), _Crew())  # a fork has none of its parent's threads
    if count == 1 or not crew.lock.acquire(blocking=together):
        for index in range(count):
            work(index)
        return
    try:
        crew.call(work, count)
    finally:
        crew.lock.release()


class _Crew:
    """Helpers that are made when they are first needed, and the lock of whoever calls them."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.helpers: list[_Helper] = []

    def call(self, work: Work, count: int) -> None:
        while len(self.helpers) < count - 1:
            self.helpers.append(_Helper(len(self.helpers) + 1))
            self.helpers[-1].start()
        called = self.helpers[: count - 1]
        for helper in called:
            helper.begin(work)
        try:
            work(0)
        finally:
            errors = [helper.finish() for helper in called]
        for error in errors:
            if error is not None:
                raise error


class _Helper(Thread):
    """One thread that calls `work(index)` whenever it is asked to."""

    def __init__(self, index: int) -> None:
        super().__init__(name=f"hwsim-{index}", daemon=True)
        self.index = index
        self.asked, self.served = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        self.changed = Condition()
        self.work: Work | None = None
        self.error: BaseException | None = None

    def begin(self, work: Work) -> None:
        with self.changed:
            self.work, self.error = work, None
            self.asked[0] += 1
            self.changed.notify_all()

    def finish(self) -> BaseException | None:
        self._await(self.served, int(self.asked[0]))
        return self.error

    def run(self) -> None:
        while True:
            self._await(self.asked, int(self.served[0]) + 1)
            assert self.work is not None
            try:
                self.work(self.index)
            except BaseException as error:  # it belongs to the caller
                self.error = error
            self.work = None
            with self.changed:
                self.served[0] += 1
                self.changed.notify_all()

    def _await(self, counter: np.ndarray, target: int) -> None:
        if reaches(counter, target, SPINS):
            return
        with self.changed:
            self.changed.wait_for(lambda: counter[0] >= target)


_crews: dict[int, _Crew] = {}
