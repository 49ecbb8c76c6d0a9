"""Numbers near markers, placed so that they overlap neither markers nor each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

LABEL_DISTANCE = 9.5
"""Distance in points from a marker to its number; a number that is further away has a leader line."""


def place_numbers(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], numbers: Sequence[str], distance: float = LABEL_DISTANCE
) -> None:
    """Write a number near each marker, in the present layout of the figure.

    Parameters
    ----------
    axes : the Axes; legends and limits are already set
    x, y : positions of the markers in data coordinates, float64 [marker]
    numbers : text of each marker
    distance : least distance in points from the center of a marker to its number
    """
    for text, x0, y0, offset in zip(numbers, x.tolist(), y.tolist(), _offsets(axes, x, y, distance), strict=True):
        far = np.hypot(*offset) > distance
        leader = {"arrowstyle": "-", "color": "#AAAAAA", "linewidth": 0.5, "shrinkB": 3} if far else None
        axes.annotate(text, (x0, y0), offset, textcoords="offset points", fontsize=7.5, ha="center", va="center",
                      color="#333333", zorder=5, arrowprops=leader)  # fmt: skip


def in_points(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the positions of (x, y) on the figure in points (1/72 inch), float64 [layer, 2], in its present layout."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
    return np.asarray(axes.transData.transform(np.stack([x, y], axis=1)) * 72 / figure.dpi)


def _offsets(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], distance: float) -> list[tuple[float, float]]:
    """Return the offset in points of each marker's number: the nearest free place around the marker.

    A free place overlaps no marker and no number that was placed before. `x` and `y` are float64 [marker].
    """
    at = in_points(axes, x, y)
    angles = np.arange(8) * np.pi / 4
    candidates = np.array(
        [(r * np.sin(angle), r * np.cos(angle)) for r in distance + np.array([0, 5.5, 11.5, 17.5]) for angle in angles]
    )
    numbers = np.empty((0, 2))
    for marker in at:
        places = marker + candidates
        room = np.minimum(_room(places, at, (7.5, 7.0)), _room(places, numbers, (10.5, 9.0)))
        numbers = np.vstack([numbers, places[np.argmax(np.minimum(room, 1))]])
    return [(round(across, 3), round(up, 3)) for across, up in (numbers - at).tolist()]


def _room(places: NDArray[np.float64], taken: NDArray[np.float64], box: tuple[float, float]) -> NDArray[np.float64]:
    """Return the distance of each place to the nearest taken one in units of `box`; below 1 they overlap.

    Parameters
    ----------
    places : candidates, float64 [place, 2], in points
    taken : positions of markers or numbers, float64 [n, 2], in points
    box : width and height in points within which two overlap
    """
    if len(taken) == 0:
        return np.full(len(places), np.inf)
    distance = np.abs(places[:, None] - taken[None]) / box
    room: NDArray[np.float64] = distance.max(axis=2).min(axis=1)
    return room
