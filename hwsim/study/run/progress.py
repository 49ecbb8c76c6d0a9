"""What a study tells while it works: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Reporter(ABC):
    """Receives the progress of a study; `begin` comes first and `end` last, whatever happens."""

    @abstractmethod
    def begin(self, weight: float) -> None:
        """Work of this total weight starts."""

    @abstractmethod
    def say(self, text: str) -> None:
        """One line for the user: something started or ended."""

    @abstractmethod
    def update(self, weight: float, running: list[str]) -> None:
        """This much of the weight is done, and these labels are being worked on."""

    @abstractmethod
    def end(self) -> None:
        """The work is over or was stopped."""


class Silent(Reporter):
    """Tells nothing."""

    def begin(self, weight: float) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def update(self, weight: float, running: list[str]) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Lines(Reporter):
    """One line per finished step, with the share done and the time left; for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total, self._done, self._start = 0.0, 0.0, time.monotonic()

    def begin(self, weight: float) -> None:
        """Remember the total, to tell the share that is done."""
        self._total, self._start = weight, time.monotonic()

    def say(self, text: str) -> None:
        """Print the line at once."""
        share = self._done / self._total if self._total else 1.0
        left = f", {_duration((time.monotonic() - self._start) * (1 - share) / share)} left" if 0 < share < 1 else ""
        print(f"[{share:4.0%}{left}] {text}", file=self._stream, flush=True)

    def update(self, weight: float, running: list[str]) -> None:
        """Remember how much is done."""
        self._done = weight

    def end(self) -> None:
        """Nothing is left open."""


class Bar(Reporter):
    """A bar with the time left and what is being worked on, by rich."""

    def __init__(self, console: Console) -> None:
        columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        now = TextColumn("{task.description}", markup=False)
        self._bars = Progress(*columns, now, console=console, transient=True)
        self._task: TaskID | None = None

    def begin(self, weight: float) -> None:
        """Show the bar."""
        self._task = self._bars.add_task("starting", total=weight)
        self._bars.start()

    def say(self, text: str) -> None:
        """Print the line above the bar."""
        self._bars.console.print(text, markup=False, highlight=False, style="dim")

    def update(self, weight: float, running: list[str]) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=weight, description="; ".join(running))

    def end(self) -> None:
        """Take the bar away."""
        self._bars.stop()


def reporter(stream: TextIO) -> Reporter:
    """The reporter that suits the stream."""
    return Bar(Console(file=stream)) if stream.isatty() else Lines(stream)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
