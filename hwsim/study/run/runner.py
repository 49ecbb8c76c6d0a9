"""The engine: plan what a study still lacks, run it on worker processes, record every point as it ends."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from hwsim.design import Design
from hwsim.errors import HwsimError, Infeasible
from hwsim.privacy.observation.channels.multi_query import FloatLogits, Inputs, MultiQueryChannel
from hwsim.study.results.store import Store, Stored, write_store
from hwsim.study.results.table import rows, to_csv
from hwsim.study.run.progress import Reporter, Silent
from hwsim.study.run.workers import Emit, Event, Job, Tick, cores, run_jobs
from hwsim.study.search.study import Point, Study


def point_weight(design: Design) -> float:
    """Roughly what evaluating a point costs, for the time left: in epochs of training a few small models.

    Channels that take many queries or train students cost most.
    """
    asked = sum(isinstance(c, MultiQueryChannel) and not isinstance(c, Inputs | FloatLogits) for c in design.channels)
    return 5.0 + len(design.attacks) + 30.0 * asked


class Task(Protocol):
    """A step that several points share, such as training models; its artifact is models/<key>.npz."""

    @property
    def key(self) -> str:
        """SHA-256 (hex) of everything that affects the artifact."""

    @property
    def label(self) -> str:
        """A few words for the progress display."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The keys of the tasks that must have ended before."""

    @property
    def weight(self) -> float:
        """Cost in the unit of `point_weight`."""

    def run(self, models: Path, tick: Tick) -> None:
        """Write the artifact, atomically; what it writes under a name with a leading dot is unfinished."""


class Stages(Protocol):
    """What a point costs: the module `hwsim.study.evaluate.stages`, or a stand-in for it in tests."""

    @property
    def training_tasks(self) -> Callable[[Sequence[Design]], Sequence[Task]]:
        """The tasks that these designs need, each once, in the order of their needs."""

    @property
    def network_key(self) -> Callable[[Design], str]:
        """Designs with the same key share their networks and integer outputs."""

    @property
    def evaluate(self) -> Callable[[Sequence[Design], Path, Tick], Iterator[tuple[str, dict[str, Any]]]]:
        """Yield (design.key, result) for designs of one network key, each as it ends."""


def run_study(
    study: Study,
    folder: Path,
    jobs: int | None = None,
    progress: Reporter | None = None,
    stages: Stages | None = None,
) -> None:
    """Bring the store in `folder` up to every point of the study, and write points.csv.

    Points and trained models that are already there are kept, so that the same call resumes a study
    that was stopped in any way. The results do not depend on `jobs`, the number of worker processes
    (the default is one per core). A point that raises Infeasible is recorded as such with the
    reason. Any other error stops the study: HwsimError for what a user can mend, JobFailed otherwise;
    what was finished stays.
    """
    if jobs is not None and jobs < 1:
        raise HwsimError(f"jobs: got {jobs}; allowed: 1 or more")
    made: Stages = stages or importlib.import_module("hwsim.study.evaluate.stages")
    points = study.points()
    with write_store(folder, study.mapping) as store:
        models = folder / "models"
        models.mkdir(exist_ok=True)
        for unfinished in models.glob(".*"):  # of a run that was killed; the store's lock says that no other run is on
            unfinished.unlink(missing_ok=True)
        have = store.results()
        plan = _plan([p for p in points if p.design.key not in have], models, made)
        recorder = _Recorder(store, points, set(have), sum(job.weight for job in plan), progress or Silent())
        recorder.progress.begin(recorder.total)
        try:
            if plan:
                run_jobs(plan, jobs or cores(), recorder.tell)
        finally:
            recorder.progress.end()
            _write(folder / "points.csv", to_csv(rows(points, store.results())))


def _plan(points: Sequence[Point], models: Path, stages: Stages) -> list[Job]:
    """Group by group in grid order: the group's tasks that lack their artifact, then its points."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(stages.network_key(point.design), []).append(point)
    plan: dict[str, Job] = {}
    for name, group in groups.items():
        designs = [point.design for point in group]
        tasks = [task for task in stages.training_tasks(designs) if not (models / f"{task.key}.npz").exists()]
        missing = {task.key for task in tasks}
        for task in tasks:
            needs = tuple(key for key in task.needs if key in missing)
            plan.setdefault(task.key, Job(task.key, task.label, needs, task.weight, partial(_run_task, task, models)))
        label = f"evaluate {group[0].label}" + (f" and {len(group) - 1} more" if len(group) > 1 else "")
        work = partial(_run_group, stages.evaluate, [(point.label, point.design) for point in group], models)
        plan[f"evaluate {name}"] = Job(f"evaluate {name}", label, tuple(missing), sum(map(point_weight, designs)), work)
    return list(plan.values())


def _run_task(task: Task, models: Path, tick: Tick, emit: Emit) -> None:
    task.run(models, tick)


def _run_group(evaluate: Any, points: Sequence[tuple[str, Design]], models: Path, tick: Tick, emit: Emit) -> None:
    """Evaluate points of one network; when that fails, one by one, to learn which point it is."""
    left = {design.key: (label, design) for label, design in points}
    try:
        for key, result in evaluate([design for _, design in points], models, tick):
            emit((key, result))
            del left[key]
    except Exception as error:
        if len(left) > 1:
            for point in left.values():
                _run_group(evaluate, [point], models, tick, emit)
        elif isinstance(error, Infeasible):
            emit((*left, {"status": "infeasible", "reason": str(error)}))
        elif isinstance(error, HwsimError):
            raise  # something to mend, such as missing data: not a fact about the design
        else:
            raise RuntimeError(f"point {points[0][0]}: {type(error).__name__}: {error}") from error
    else:
        if left:
            raise RuntimeError(f"no result for {[label for label, _ in left.values()]}")


class _Recorder:
    """Hears every event of the workers, commits the points and passes the progress on."""

    def __init__(self, store: Store, points: Sequence[Point], have: set[str], total: float, progress: Reporter) -> None:
        self.progress, self.total = progress, total
        self._store, self._points = store, {point.design.key: point for point in points}
        self._ended = sum(key in have for key in self._points)
        self._weights: dict[str, float] = {}
        self._running: dict[str, str] = {}

    def tell(self, event: Event) -> None:
        job = event.job
        if event.kind == "started":
            self._running[job.name] = job.label
        elif event.kind == "tick":
            self._weights[job.name] = job.weight * min(max(float(event.value), 0.0), 1.0)
        elif event.kind == "result":
            self._record(*event.value)
            return
        else:
            self._weights[job.name] = job.weight
            del self._running[job.name]
        self.progress.update(sum(self._weights.values()), list(self._running.values()))
        if event.kind == "finished":
            self.progress.say(f"done: {job.label}")

    def _record(self, key: str, result: Mapping[str, Any]) -> None:
        point = self._points[key]
        stored = self._store.add(key, point.design.settings, result)
        self._ended += 1
        self.progress.say(f"point {self._ended} of {len(self._points)}: {point.label}: {_brief(stored)}")


def _brief(stored: Stored) -> str:
    if stored.status != "done":
        return f"{stored.status}: {stored.result.get('reason', '')}"
    shown = [name for name in ("accuracy", "latency_us", "energy_pj") if name in stored.result]
    return ", ".join(f"{name} {stored.result[name]:.4g}" for name in shown) or "done"


def _write(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
