"""Base of all figures: the common style, figures of the size that their text needs, and byte-stable files.

No text is read as a formula, whatever a name contains: the style sheet turns mathtext off, and `log_axis` labels
powers of ten without it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hwsim.errors import BadInput
from hwsim.files import writing

SUFFIXES = (".svg", ".pdf", ".png")
"""File names of a figure end in one of these."""

MARKS = {".svg": writing.SVG, ".pdf": writing.PDF, ".png": writing.PNG}
"""Marks of the figures of hwsim by suffix."""

MIN_AXES = (3.2, 1.6)
"""Least width and height in inches that legend and labels leave to the data."""

MAX_PAGE = 60.0
"""Largest width and height of a figure in inches."""

MAX_NAME = 44
"""Number of characters of a name in a figure; longer names lose their middle."""

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@contextmanager
def style() -> Iterator[None]:
    """Apply the style sheet of hwsim to figures that are drawn and saved inside."""
    with as_file(files("hwsim.report") / "hwsim.mplstyle") as path, matplotlib.style.context(["default", str(path)]):
        yield


def figure(draw: Callable[[Axes], Axes], size: tuple[float, float] = (7.2, 4.0)) -> Figure:
    """Return a new figure with one Axes, drawn by `draw`; call inside `style()`.

    `size` is the least width and height in inches. Where legend or labels leave less than MIN_AXES to the data, the
    figure becomes larger, so that no legend is cut off.
    """
    made = Figure(figsize=size, layout="constrained")
    draw(made.add_subplot())
    width, height = needed_size(made)
    made.set_size_inches(max(size[0], width), max(size[1], height))
    return made


def needed_size(made: Figure) -> tuple[float, float]:
    """Return the least width and height in inches at which legends, labels and MIN_AXES fit side by side."""
    width, height = MIN_AXES
    for axes in made.axes:
        labels = _text_size(axes.get_yticklabels(), 0) + _legend_size(axes.get_legend(), 0)
        below = _text_size(axes.get_xticklabels(), 1)
        width = max(width, labels + MIN_AXES[0])
        height = max(height, below + max(MIN_AXES[1], _legend_size(axes.get_legend(), 1)))
    for legend in made.legends:
        width = max(width, _legend_size(legend, 0))
        height += _legend_size(legend, 1)
    return min(MAX_PAGE, round(width + 0.7, 2)), min(MAX_PAGE, round(height + 1.2, 2))


def _text_size(texts: Iterable[Text], axis: int) -> float:
    """Return the largest width (axis 0) or height (axis 1) of the texts in inches; 0 without a text."""
    sizes = [text.get_window_extent().size[axis] / made.dpi for text in texts if (made := text.get_figure(root=True))]
    return max(sizes, default=0.0)


def _legend_size(legend: Legend | None, axis: int) -> float:
    """Return the width (axis 0) or height (axis 1) of a legend in inches; 0 for None."""
    made = None if legend is None else legend.get_figure(root=True)
    return 0.0 if legend is None or made is None else float(legend.get_window_extent().size[axis]) / made.dpi


def to_svg(made: Figure) -> str:
    """Return the figure as SVG text, the same bytes for the same figure; call inside `style()`.

    A browser shows the label of an artist with a gid when the pointer is over it.
    """
    out = io.StringIO()
    made.savefig(out, format="svg", metadata={"Date": None, "Creator": writing.GENERATOR})
    svg = out.getvalue()
    for artist in made.findobj(lambda artist: artist.get_gid() is not None):
        group = f'<g id="{artist.get_gid()}">'
        svg = svg.replace(group, f"{group}<title>{escape(str(artist.get_label()))}</title>")
    return svg


def to_bytes(made: Figure, suffix: str) -> bytes:
    """Return the figure as the bytes of a file that ends in `suffix`; call inside `style()`.

    The same figure gives the same bytes. Raises BadInput for a suffix that is none of SUFFIXES.
    """
    if suffix == ".svg":
        return to_svg(made).encode()
    metadata = {
        ".pdf": {"CreationDate": None, "Creator": writing.GENERATOR, "Producer": None},
        ".png": {"Software": writing.GENERATOR},
    }
    if suffix not in metadata:
        raise BadInput("figure", suffix, f"a file name that ends in {', '.join(SUFFIXES)}")
    out = io.BytesIO()
    made.savefig(out, format=suffix[1:], metadata=metadata[suffix])
    return out.getvalue()


def save(made: Figure, folder: Path, name: str, force: bool = False) -> None:
    """Write `name`.svg and `name`.png, the same bytes for the same figure; call inside `style()`.

    Files that hwsim did not write are replaced only with `force`.
    """
    writing.make_folder(folder)
    check_names(folder, [name], force)
    for suffix in (".svg", ".png"):
        writing.write_file(folder / f"{name}{suffix}", to_bytes(made, suffix), MARKS[suffix], force)


def check_names(folder: Path, names: Iterable[str], force: bool) -> None:
    """Raise HwsimError unless `save` may write the figures of these names."""
    for name in names:
        for suffix in (".svg", ".png"):
            writing.check_output(folder / f"{name}{suffix}", MARKS[suffix], force)


def check_figure(path: Path, force: bool) -> None:
    """Raise HwsimError unless a figure may be written to `path`."""
    if path.suffix not in MARKS:
        raise BadInput("figure", path.name, f"a file name that ends in {', '.join(SUFFIXES)}")
    writing.check_output(path, MARKS[path.suffix], force)


def label(name: str, length: int = MAX_NAME) -> str:
    """Return a name as a label: one line of at most `length` characters, without control characters.

    >>> label("block0.attention.scores"), label("a\tb"), label("a" * 30 + "b" * 30, 11)
    ('block0.attention.scores', 'a b', 'aaaaa…bbbbb')
    """
    line = "".join(character if character.isprintable() else " " for character in name)
    kept = length - 1
    return line if len(line) <= length else f"{line[: kept - kept // 2]}…{line[len(line) - kept // 2 :]}"


def log_axis(axis: Axis) -> None:
    """Label the powers of ten of a logarithmic axis as 10⁻⁵, without mathtext."""
    axis.set_major_locator(LogLocator(10))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_formatter(NullFormatter())


def power_of_ten(value: float) -> str:
    """Return a power of ten as text; other values in at most three digits.

    >>> power_of_ten(1e-5), power_of_ten(100.0), power_of_ten(0.25)
    ('10⁻⁵', '10²', '0.25')
    """
    exponent = re.fullmatch(r"1(?:\.0+)?e([-+]\d+)", f"{value:.6e}")
    return f"10{str(int(exponent[1])).translate(SUPERSCRIPTS)}" if exponent else f"{value:.3g}"


def legend_right(axes: Axes, **options: Any) -> None:
    """Draw the legend to the right of the Axes, so that it hides no data."""
    axes.legend(**{"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), **options})
