"""A crew of threads for kernels that let go of the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Condition, Lock, Thread
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.barrier import own_core, wait_for_all


class Call(NamedTuple):
    """What a kernel needs to begin and end together with the other threads: see `kernels.barrier`."""

    asked: NDArray[np.int64]
    served: NDArray[np.int64]
    number: int


Work = Callable[[int, Call], None]


def on_threads(work: Work, count: int, together: bool = False) -> None:
    """Call `work(0, call)` to `work(count - 1, call)` at once; the first error is raised when all are done.

    The kernel that `work` runs should `begin_call` as soon as it has let go of the interpreter's lock:
    only then can the others start without waiting for it. Calls that wait for each other have to say
    that they run `together`; others run one after the other while the crew serves somebody else.
    """
    crew = _crews.setdefault(os.getpid(), _Crew())  # a fork has none of its parent's threads
    if count == 1 or not crew.lock.acquire(blocking=together):
        for index in range(count):
            work(index, Call(_nobody(count), _nobody(count), 0))
        return
    try:
        crew.call(work, count)
    finally:
        crew.lock.release()


def _nobody(count: int) -> NDArray[np.int64]:
    """Counters of a call whose threads run one after the other: nobody is waited for."""
    return np.zeros((count, 8), dtype=np.int64)


class _Crew:
    """Helpers that are made when they are first needed, and the lock of whoever calls them."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.number = 0
        self.asked, self.served = _nobody(1), _nobody(1)
        self.helpers: list[_Helper] = []

    def call(self, work: Work, count: int) -> None:
        if count > len(self.asked):
            self._grow(count)
        self.number += 1
        call, called = Call(self.asked, self.served, self.number), self.helpers[: count - 1]
        for helper in called:
            helper.give(work, call)
        try:
            work(0, call)
        finally:
            wait_for_all(*call, count)
            errors = [helper.error for helper in called]
        for error in errors:
            if error is not None:
                raise error

    def _grow(self, count: int) -> None:
        """New counters and new helpers: the old ones, with nothing to do, end."""
        for helper in self.helpers:
            helper.give(None, Call(self.asked, self.served, self.number + 1))
        self.asked, self.served = _nobody(count), _nobody(count)
        self.helpers = [_Helper(index) for index in range(1, count)]
        for helper in self.helpers:
            helper.start()


class _Helper(Thread):
    """One thread that takes part in a call whenever it is given work, until it is given none."""

    def __init__(self, index: int) -> None:
        super().__init__(name=f"hwsim-{index}", daemon=True)
        self.index = index
        self.given: tuple[Work | None, Call] | None = None
        self.error: BaseException | None = None
        self.changed = Condition()
        self.cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()

    def give(self, work: Work | None, call: Call) -> None:
        with self.changed:
            self.given, self.error = (work, call), None
            self.changed.notify()

    def run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.given is not None)
                assert self.given is not None
                (work, call), self.given = self.given, None
            if work is None:
                return
            self._make_way(int(call.asked[0, 1]))
            try:
                work(self.index, call)
            except BaseException as error:  # it belongs to the caller
                self.error = error
            del work
            call.served[self.index, 0] = max(call.served[self.index, 0], call.number)

    def _make_way(self, core: int) -> None:
        """Leave the core of the first thread: the system may take milliseconds to see that two threads share one."""
        if self.cores > {core} and own_core() == core:
            os.sched_setaffinity(0, self.cores - {core})


_crews: dict[int, _Crew] = {}
