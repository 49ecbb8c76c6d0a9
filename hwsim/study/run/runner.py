"""Runner of studies: plans the missing work, runs it on worker processes and records every point when it ends."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from hwsim.datasets.base import forget_arrays
from hwsim.design import Design
from hwsim.errors import BadInput, HwsimError, Infeasible
from hwsim.files.writing import STUDY_TABLE, check_output, make_folder, remove_unfinished, write_file
from hwsim.privacy.observation.channels.multi_query import FloatLogits, Inputs, MultiQueryChannel
from hwsim.study.point import Point, describe
from hwsim.study.point import designs as designs_of
from hwsim.study.results.store import PointResult, Store, write_store
from hwsim.study.results.table import rows, to_csv
from hwsim.study.run.progress import Reporter, Silent
from hwsim.study.run.workers import Job, JobEvent, OnProgress, OnResult, cores, run_jobs
from hwsim.study.search.study import Study


class TrainingTask(Protocol):
    """A step whose artifact `<key>.npz` several points may share, such as training models."""

    @property
    def key(self) -> str:
        """SHA-256 (hex) of everything that affects the artifact."""

    @property
    def label(self) -> str:
        """Short text for the progress display."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of the tasks that must end before."""

    @property
    def weight(self) -> float:
        """Cost in the unit of `point_weight`."""

    def run(self, folder: Path, on_progress: OnProgress) -> None:
        """Write the artifact to `folder`, atomically, as `hwsim.files.writing.replace_file` does."""


class Stages(Protocol):
    """The stages of a point: the module `hwsim.study.evaluate.stages`, or a stand-in for it in tests."""

    @property
    def training_tasks(self) -> Callable[[Sequence[Design]], Sequence[TrainingTask]]:
        """Function that returns the tasks of designs, each once, after the tasks that it needs."""

    @property
    def network_key(self) -> Callable[[Design], str]:
        """Function that returns the same key for designs that share their networks and integer outputs."""

    @property
    def evaluate(self) -> Callable[[Sequence[Design], Path, OnProgress], Iterator[tuple[str, dict[str, Any]]]]:
        """Function that yields (design key, row) for designs of one network key, each when it ends."""


def run_study(
    study: Study,
    folder: Path,
    jobs: int | None = None,
    progress: Reporter | None = None,
    stages: Stages | None = None,
    force: bool = False,
    retry: bool = False,
) -> None:
    """Compute every point of the study that the store in `folder` lacks, and write points.csv.

    Existing points and trained models are kept, so the same call resumes a study that was stopped in any way. A point
    whose data or code has changed since has another key, and is computed again.
    A point without a valid design, and one that raises Infeasible or BadInput, is recorded as infeasible with the
    reason. Any other error stops the study: HwsimError for input that is missing or damaged, JobFailed otherwise;
    finished points stay in the store.

    Parameters
    ----------
    study : the study
    folder : folder of the store and the trained models
    jobs : number of worker processes, on which no result depends; one per core by default
    progress : receiver of the progress; none by default
    stages : stages of a point; `hwsim.study.evaluate.stages` by default
    force : also replace a points.csv that hwsim did not write
    retry : whether stored infeasible points are computed again
    """
    if jobs is not None and jobs < 1:
        raise HwsimError(f"jobs: got {jobs}; allowed: 1 or more")
    if stages is None:
        stages = importlib.import_module("hwsim.study.evaluate.stages")
    points = study.points()
    forget_arrays()  # a data set of a plugin may have changed in a long session
    keys = {point.settings_key: point.key for point in points}
    table = make_folder(folder) / "points.csv"
    check_output(table, STUDY_TABLE, force)
    with write_store(folder, study.mapping, keys) as store:
        models = make_folder(folder / "models")
        remove_unfinished(models)  # left by a killed run; the lock of the store excludes a running one
        finished = {key for key, result in store.results().items() if not (retry and result.status == "infeasible")}
        missing = [point for point in points if point.key not in finished]
        plan, users = _plan([point for point in missing if point.design is not None], models, stages)
        recorder = _Recorder(store, points, users, finished, progress or Silent())
        recorder.progress.begin(sum(job.weight for job in plan))
        try:
            recorder.record_invalid([point for point in missing if point.design is None])
            if plan:
                run_jobs(plan, jobs or cores(), recorder.on_event)
        finally:
            recorder.progress.end()
            write_file(table, to_csv(rows(points, store.grid())), STUDY_TABLE, force)


def point_weight(design: Design) -> float:
    """Return the approximate cost of evaluating a point, in epochs of training a few small models.

    The estimate serves the display of the remaining time. Channels that take many queries or train students cost most.
    """
    costly = [
        c for c in design.channels if isinstance(c, MultiQueryChannel) and not isinstance(c, Inputs | FloatLogits)
    ]
    return 5.0 + len(design.attacks) + 30.0 * len(costly)


def _plan(points: Sequence[Point], models: Path, stages: Stages) -> tuple[list[Job], dict[str, list[Point]]]:
    """Return the jobs of the points, and the points that need each training task, by the key of the task.

    The jobs are, for each network key in grid order, its missing artifacts, then its points.
    """
    groups: dict[str, list[Point]] = {}
    for point in points:
        for design in designs_of([point]):
            groups.setdefault(stages.network_key(design), []).append(point)
    plan: dict[str, Job] = {}
    users: dict[str, list[Point]] = {}
    for key, group in groups.items():
        designs = designs_of(group)
        tasks = [task for task in stages.training_tasks(designs) if not (models / f"{task.key}.npz").exists()]
        missing = {task.key for task in tasks}
        for task in tasks:
            users.setdefault(task.key, []).extend(group)
            needs = tuple(needed for needed in task.needs if needed in missing)
            plan.setdefault(task.key, Job(task.key, task.label, needs, task.weight, partial(_run_task, task, models)))
        label = f"evaluate {group[0].label}" + (f" and {len(group) - 1} more" if len(group) > 1 else "")
        labeled = [(point.label, design) for point, design in zip(group, designs, strict=True)]
        work = partial(_run_trained_group, stages.evaluate, labeled, models, tuple(missing))
        plan[f"evaluate {key}"] = Job(f"evaluate {key}", label, tuple(missing), sum(map(point_weight, designs)), work)
    return list(plan.values()), users


def _run_task(task: TrainingTask, models: Path, on_progress: OnProgress, on_result: OnResult) -> None:
    """Run a training task; where its input is not allowed, the result is the reason, and there is no artifact."""
    if not _all_exist(task.needs, models):
        return  # a needed task was refused, and the reason is known
    try:
        task.run(models, on_progress)
    except (BadInput, Infeasible) as error:
        on_result((task.key, _infeasible(str(error))))


def _run_trained_group(
    evaluate: Any,
    points: Sequence[tuple[str, Design]],
    models: Path,
    needs: Sequence[str],
    on_progress: OnProgress,
    on_result: OnResult,
) -> None:
    """Evaluate points where the training tasks with the keys `needs` have written their artifacts."""
    if _all_exist(needs, models):
        _run_group(evaluate, points, models, on_progress, on_result)


def _all_exist(keys: Sequence[str], models: Path) -> bool:
    return all((models / f"{key}.npz").exists() for key in keys)


def _infeasible(reason: str) -> dict[str, Any]:
    return {"status": "infeasible", "reason": " ".join(reason.split())}


def _run_group(
    evaluate: Any,
    points: Sequence[tuple[str, Design]],
    models: Path,
    on_progress: OnProgress,
    on_result: OnResult,
) -> None:
    """Evaluate points that share their networks; after an error, evaluate them one by one to find the failing point.

    `points` are pairs of label and design.
    """
    left = {design.key: (label, design) for label, design in points}
    try:
        for key, row in evaluate([design for _, design in points], models, on_progress):
            left[key][1].require_unchanged()
            on_result((key, row))
            del left[key]
    except Exception as error:
        if len(left) > 1:
            for point in left.values():
                _run_group(evaluate, [point], models, on_progress, on_result)
        elif isinstance(error, BadInput | Infeasible):
            on_result((*left, _infeasible(str(error))))
        elif isinstance(error, HwsimError):
            raise  # missing or damaged input, rather than a property of the design
        else:
            raise RuntimeError(f"point {points[0][0]}: {type(error).__name__}: {error}") from error
    else:
        if left:
            raise RuntimeError(f"no result for {[label for label, _ in left.values()]}")


class _Recorder:
    """Receiver of the events of all jobs: commits points to the store and reports progress."""

    def __init__(
        self,
        store: Store,
        points: Sequence[Point],
        users: Mapping[str, Sequence[Point]],
        finished: set[str],
        progress: Reporter,
    ) -> None:
        self.progress = progress
        self._store, self._points, self._users = store, {point.key: point for point in points}, users
        self._refused: set[str] = set()
        self._ended = sum(key in finished for key in self._points)
        self._weights: dict[str, float] = {}
        self._running: dict[str, str] = {}

    def on_event(self, event: JobEvent) -> None:
        job = event.job
        if event.kind == "result":
            self._record(*event.value)
            return
        if event.kind == "started":
            self._running[job.name] = job.label
        elif event.kind == "progress":
            self._weights[job.name] = job.weight * min(max(float(event.value), 0.0), 1.0)
        else:
            self._weights[job.name] = job.weight
            del self._running[job.name]
        self.progress.update(sum(self._weights.values()), list(self._running.values()))
        if event.kind == "finished":
            self.progress.message(f"done: {job.label}")

    def record_invalid(self, points: Sequence[Point]) -> None:
        """Record points without a valid design."""
        for point in points:
            self._record(point.key, _infeasible(point.reason))

    def _record(self, key: str, row: Mapping[str, Any]) -> None:
        """Record the row of a point, or for the key of a training task that was refused the row of all its points."""
        if key in self._users:
            for user in self._users[key]:
                if user.key not in self._refused:
                    self._refused.add(user.key)
                    self._record(user.key, row)
            return
        point = self._points[key]
        settings = {"axes": describe(point.axes)} if point.design is None else point.design.settings
        result = self._store.add(key, settings, row)
        self._ended += 1
        self.progress.message(f"point {self._ended} of {len(self._points)}: {point.label}: {_brief(result)}")


def _brief(result: PointResult) -> str:
    if result.status != "done":
        return f"{result.status}: {result.columns.get('reason', '')}"
    shown = [name for name in ("accuracy", "latency_us", "energy_pj") if name in result.columns]
    return ", ".join(f"{name} {result.columns[name]:.4g}" for name in shown) or "done"
