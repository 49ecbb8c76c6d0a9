"""Worker processes that run jobs in the order of their dependencies and send events to the parent process."""

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

from hwsim import interrupt
from hwsim.errors import HwsimError

OnProgress = Callable[[float], None]
"""Function that is called with the finished share of a job, 0 to 1."""

OnResult = Callable[[Any], None]
"""Function that is called with each result of a job as soon as it exists."""


@dataclass(frozen=True)
class Job:
    """Work for one process.

    Attributes
    ----------
    name : unique name
    label : short text for the progress display
    needs : names of the jobs that must end before this one starts
    weight : cost, in the unit of all jobs
    work : function (on_progress, on_result); a module-level function or a partial of one, since it is pickled
    """

    name: str
    label: str
    needs: tuple[str, ...]
    weight: float
    work: Callable[[OnProgress, OnResult], None]


@dataclass(frozen=True)
class JobEvent:
    """A change of a job; `value` is the finished share for "progress" and the result for "result"."""

    job: Job
    kind: Literal["started", "progress", "result", "finished"]
    value: Any = None


class JobFailed(HwsimError):
    """A job that ended with an error other than HwsimError; `details` is its traceback."""

    exit_code = 1

    def __init__(self, text: str, details: str) -> None:
        super().__init__(text)
        self.details = details


def run_jobs(jobs: Sequence[Job], workers: int, on_event: Callable[[JobEvent], None]) -> None:
    """Run all jobs on up to `workers` processes, and call `on_event` in this process for each event.

    Of the jobs that can run, the first in the given order runs first. Raises HwsimError as soon as
    a job raises it, and JobFailed for any other error or when a process dies. All processes have ended when it returns.
    """
    pool: list[_Worker] = []
    waiting, ended = list(jobs), set[str]()
    try:
        while len(ended) < len(jobs):
            while (job := _next_job(waiting, ended)) and (worker := _idle_worker(pool, workers)):
                waiting.remove(job)
                worker.start(job)
                on_event(JobEvent(job, "started"))
            busy = [worker for worker in pool if worker.job]
            if not busy:
                raise RuntimeError(f"jobs need results that no job makes: {[job.label for job in waiting]}")
            ready = wait([worker.pipe for worker in busy])
            for worker in busy:
                if worker.pipe in ready:
                    event = worker.receive()
                    if event.kind == "finished":
                        ended.add(event.job.name)
                    on_event(event)
    finally:
        for worker in pool:
            worker.process.terminate()
        for worker in pool:
            worker.process.join()


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _next_job(waiting: Sequence[Job], ended: set[str]) -> Job | None:
    return next((job for job in waiting if ended.issuperset(job.needs)), None)


def _idle_worker(pool: list[_Worker], max_workers: int) -> _Worker | None:
    """Return a worker without a job, started now if there are fewer than `max_workers`; None if all are busy."""
    worker = next((worker for worker in pool if worker.job is None), None)
    if worker is None and len(pool) < max_workers:
        with interrupt.deferred():  # a process that is started is in the pool
            worker = _Worker(max_workers)
            pool.append(worker)
    return worker


class _Worker:
    """One worker process, as the parent sees it; `job` is None while the process is idle."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")  # fork would copy the locks of torch and numba without threads
        self.pipe, child_pipe = context.Pipe()
        self.job: Job | None = None
        self.process: SpawnProcess = context.Process(target=_serve, args=(child_pipe,), daemon=True)
        with _threads_per_process(max(1, cores() // workers)), _sigint_blocked():
            self.process.start()
        child_pipe.close()

    def start(self, job: Job) -> None:
        self.job = job
        try:
            self.pipe.send(job)
        except BrokenPipeError:
            raise self._died(job) from None

    def receive(self) -> JobEvent:
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
        return JobEvent(job, kind, value)

    def _died(self, job: Job) -> JobFailed:
        self.process.join()
        code = self.process.exitcode or 0
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        text = f"{job.label}: the worker process died ({cause}); out of memory? Run again with fewer jobs: -j 1"
        return JobFailed(text, "")


def _serve(pipe: Connection) -> None:
    """Run the main loop of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as from its start: see _sigint_blocked
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    while True:
        job: Job = pipe.recv()
        try:
            job.work(lambda share: pipe.send(("progress", share)), lambda value: pipe.send(("result", value)))
        except HwsimError as error:
            pipe.send(("refused", str(error)))
        except Exception as error:
            pipe.send(("failed", (f"{type(error).__name__}: {error}", traceback.format_exc())))
        else:
            pipe.send(("finished", None))


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Let processes that start inside never see SIGINT: Ctrl-C reaches all of them, and the parent handles it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _threads_per_process(count: int) -> Iterator[None]:
    """Limit processes that start inside to `count` threads each, so that together they use the cores once."""
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
