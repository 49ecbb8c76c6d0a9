"""Base of all figures: the common style, new figures, and files with the same bytes for the same figure."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure


@contextmanager
def style() -> Iterator[None]:
    """Apply the style sheet of hwsim to figures that are drawn and saved inside."""
    with as_file(files("hwsim.report") / "hwsim.mplstyle") as path, matplotlib.style.context(["default", str(path)]):
        yield


def figure(draw: Callable[[Axes], Axes], size: tuple[float, float] = (7.2, 4.0)) -> Figure:
    """Return a new figure of `size` inches with one Axes, drawn by `draw`; call inside `style()`."""
    made = Figure(figsize=size, layout="constrained")
    draw(made.add_subplot())
    return made


def to_svg(made: Figure) -> str:
    """Return the figure as SVG text, the same bytes for the same figure; call inside `style()`."""
    out = io.StringIO()
    made.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def save(made: Figure, folder: Path, name: str) -> None:
    """Write `name`.svg and `name`.png, the same bytes for the same figure; call inside `style()`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.svg").write_text(to_svg(made), encoding="utf-8")
    made.savefig(folder / f"{name}.png", metadata={"Software": None})


def legend_right(axes: Axes, **options: Any) -> None:
    """Draw the legend to the right of the Axes, so that it hides no data."""
    axes.legend(**{"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), **options})
