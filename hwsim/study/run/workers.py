"""Worker processes that run jobs in the order of their needs and report to the one process that records."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Literal

from hwsim.errors import HwsimError

Tick = Callable[[float], None]
Emit = Callable[[Any], None]


@dataclass(frozen=True)
class Job:
    """Work for one process: `work(tick, emit)` after all `needs` have ended.

    `tick(fraction)` tells how far it is, `emit(value)` hands a finished result over at once. `work`
    travels to the process by pickling, so it is a module-level function or a partial of one.
    """

    name: str
    label: str
    needs: tuple[str, ...]
    weight: float
    work: Callable[[Tick, Emit], None]


@dataclass(frozen=True)
class Event:
    """What happened to a job; `value` is the fraction of a tick or the result."""

    job: Job
    kind: Literal["started", "tick", "result", "finished"]
    value: Any = None


class JobFailed(HwsimError):
    """A job that ended with an error that is no HwsimError; `details` is its traceback."""

    exit_code = 1

    def __init__(self, text: str, details: str) -> None:
        super().__init__(text)
        self.details = details


def run_jobs(jobs: Sequence[Job], workers: int, tell: Callable[[Event], None]) -> None:
    """Run all jobs on up to `workers` processes; calls `tell` here, in this process, for each event.

    Of the jobs that could run, the first in the given order runs first. Raises HwsimError as soon as
    a job does, JobFailed for any other error or when a process dies; all processes end before it returns.
    """
    pool: list[_Worker] = []
    waiting, ended = list(jobs), set[str]()
    try:
        while len(ended) < len(jobs):
            while (job := _next(waiting, ended)) and (worker := _idle(pool, workers)):
                waiting.remove(job)
                worker.give(job)
                tell(Event(job, "started"))
            busy = [worker for worker in pool if worker.job]
            if not busy:
                raise RuntimeError(f"jobs wait for what nobody makes: {[job.label for job in waiting]}")
            ready = wait([worker.pipe for worker in busy])
            for worker in busy:
                if worker.pipe in ready:
                    event = worker.receive()
                    if event.kind == "finished":
                        ended.add(event.job.name)
                    tell(event)
    finally:
        for worker in pool:
            worker.process.terminate()
        for worker in pool:
            worker.process.join()


def _next(waiting: Sequence[Job], ended: set[str]) -> Job | None:
    return next((job for job in waiting if ended.issuperset(job.needs)), None)


def _idle(pool: list[_Worker], most: int) -> _Worker | None:
    worker = next((worker for worker in pool if worker.job is None), None)
    if worker is None and len(pool) < most:
        worker = _Worker(most)
        pool.append(worker)
    return worker


class _Worker:
    """One process, seen from the parent."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads of torch and numba half
        self.pipe, theirs = context.Pipe()
        self.job: Job | None = None
        self.process: SpawnProcess = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _threads(max(1, cores() // workers)):
            self.process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self.job = job
        try:
            self.pipe.send(job)
        except BrokenPipeError:
            raise self._died(job) from None

    def receive(self) -> Event:
        job = self.job
        assert job is not None
        try:
            kind, value = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._died(job) from None
        if kind == "refused":
            raise HwsimError(f"{job.label}: {value}")
        if kind == "failed":
            raise JobFailed(f"{job.label}: {value[0]}", value[1])
        if kind == "finished":
            self.job = None
        return Event(job, kind, value)

    def _died(self, job: Job) -> JobFailed:
        self.process.join()
        code = self.process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        text = f"{job.label}: the worker process died ({how}); out of memory? Run again with fewer jobs: -j 1"
        return JobFailed(text, "")


def _serve(pipe: Connection) -> None:
    """The main loop of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_follow_parent, daemon=True).start()
    while True:
        job: Job = pipe.recv()
        try:
            job.work(lambda fraction: pipe.send(("tick", fraction)), lambda value: pipe.send(("result", value)))
        except HwsimError as error:
            pipe.send(("refused", str(error)))
        except Exception as error:
            pipe.send(("failed", (f"{type(error).__name__}: {error}", traceback.format_exc())))
        else:
            pipe.send(("finished", None))


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes that start inside share the cores instead of each taking all of them."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(count) for name in names})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
