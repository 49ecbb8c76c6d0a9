"""Progress of a study: a bar on a terminal, plain lines in logs and pipes."""

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
    """Receiver of the progress of a study; `begin` is called first and `end` last, also after an error."""

    @abstractmethod
    def begin(self, weight: float) -> None:
        """Start work of this total weight."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Show one line: a step or a point has ended."""

    @abstractmethod
    def update(self, weight: float, running: list[str]) -> None:
        """Set the finished weight and the labels of the running jobs."""

    @abstractmethod
    def end(self) -> None:
        """End the display."""


class Silent(Reporter):
    """Reporter without output."""

    def begin(self, weight: float) -> None:
        """Do nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""

    def update(self, weight: float, running: list[str]) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class Lines(Reporter):
    """One line per message, with the finished share and the remaining time."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total, self._done, self._start = 0.0, 0.0, time.monotonic()

    def begin(self, weight: float) -> None:
        """Set the total weight and the start time."""
        self._total, self._start = weight, time.monotonic()

    def message(self, text: str) -> None:
        """Print the line."""
        share = self._done / self._total if self._total else 1.0
        left = f", {_duration((time.monotonic() - self._start) * (1 - share) / share)} left" if 0 < share < 1 else ""
        print(f"[{share:4.0%}{left}] {text}", file=self._stream, flush=True)

    def update(self, weight: float, running: list[str]) -> None:
        """Set the finished weight."""
        self._done = weight

    def end(self) -> None:
        """Do nothing."""


class Bar(Reporter):
    """A progress bar with the remaining time and the running jobs, drawn by rich."""

    def __init__(self, console: Console) -> None:
        columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        running = TextColumn("{task.description}", markup=False)
        self._bars = Progress(*columns, running, console=console, transient=True)
        self._task: TaskID | None = None

    def begin(self, weight: float) -> None:
        """Show the bar."""
        self._task = self._bars.add_task("starting", total=weight)
        self._bars.start()

    def message(self, text: str) -> None:
        """Print the line above the bar."""
        self._bars.console.print(text, markup=False, highlight=False, style="dim")

    def update(self, weight: float, running: list[str]) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=weight, description="; ".join(running))

    def end(self) -> None:
        """Remove the bar."""
        self._bars.stop()


def reporter(stream: TextIO) -> Reporter:
    """Return a bar for a terminal, lines for any other stream."""
    return Bar(Console(file=stream)) if stream.isatty() else Lines(stream)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
