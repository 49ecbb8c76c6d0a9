"""The side-channel attack: is this latency or energy more common among members or among the others?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from hwsim.privacy.attack_tools.attack import Observed, log_odds
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.registry import register

SideChannelName = Literal[
    "latency_cycles", "energy_pj", "sensitive_regions", "region_counts", "precision_map", "logits"
]

LEAST_ROWS = 10
"""A class with fewer members or non-members than this has no densities of its own (our own choice)."""

_GRID = 512
_REACH = 4
"""Bandwidths after which the kernel is cut off."""


@register(
    "attack", "side_channel", citation="Own definition, after Z. Li et al., Auditing Multi-Exit Networks, CCS 2022"
)
class SideChannel(LearnedAttack):
    """Log density of the members' values less that of the non-members', by Gaussian kernels on the shadows.

    One pair of densities for all samples, or with `per_class` one for each class of the label; a
    class with fewer than 10 rows of either side in a half then takes those of all classes. `logits`
    enter as the log-odds of the label. The log ratios of several channels, and of the columns of
    `region_counts` (layers) and `precision_map` (regions), are added up, as if they were independent
    given the membership.

    A latency depends on the input far more than on who was trained on it, so each value is taken
    less its sample's mean over all models of the game; `relative = false` takes the bare value.
    Both sides share one bandwidth by the rule of Scott. Where a value is the same in every model,
    the score is exactly 0, and the AUC of such a channel one half, given two shadow models or more.
    Unlike `latency`, `energy` and `joint` this looks at many samples together, supposes no shape of
    the distributions, and can be played with few shadow models.
    """

    name = "side_channel"

    channels: tuple[SideChannelName, ...] = Field(default=("latency_cycles", "energy_pj"), min_length=1)
    per_class: bool = Field(default=False, description="densities for each class of the label, not one for all")
    relative: bool = Field(default=True, description="each value less the mean of its sample over the models")

    @field_validator("channels")
    @classmethod
    def _each_once(cls, channels: tuple[SideChannelName, ...]) -> tuple[SideChannelName, ...]:
        if len(set(channels)) < len(channels):
            raise ValueError("each channel once")
        return channels

    @property
    def needs(self) -> tuple[str, ...]:
        """The chosen channels."""
        return self.channels

    def features(self, observed: Observed, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """All channels side by side, float64 [model, sample, column]."""
        columns = []
        for name in self.channels:
            values = np.asarray(observed[name], dtype=np.float64)
            values = log_odds(values, labels) if name == "logits" else values
            columns.append(values.reshape(*values.shape[:2], -1))
        side_by_side = np.concatenate(columns, axis=2)
        return side_by_side - side_by_side.mean(axis=0) if self.relative else side_by_side

    def fit(self, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """The densities of every lesson."""
        return [self._fit_one(lesson) for lesson in lessons]

    def _fit_one(self, lesson: AttackTrainingSet) -> Predictor:
        all_classes = _curves(lesson, np.ones(len(lesson.member), dtype=np.bool_))
        own: dict[int, list[Curve]] = {}
        for c in np.unique(lesson.labels) if self.per_class else ():
            rows = lesson.labels == c
            members = int(lesson.member[rows].sum())
            if min(members, int(rows.sum()) - members) >= LEAST_ROWS:
                own[int(c)] = _curves(lesson, rows)
        return lambda features, labels: _read(own, all_classes, features, labels)


class Curve(NamedTuple):
    """A log ratio of densities at points of a grid, both float64 [point]; constant beyond its ends."""

    points: NDArray[np.float64]
    ratio: NDArray[np.float64]


def density_ratio(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> Curve:
    """log p(value | member) - log p(value | non-member) by Gaussian kernel density estimates.

    `inside` and `outside` are float64 [n] of each side. The bandwidth is the standard deviation of
    all values times n^(-1/5), n the smaller side. The values are shared out to the two nearest of
    512 grid points. Each density is mixed with one observation that is spread evenly over the grid,
    so that a value far from all others says nothing. Equal sides give exactly 0.
    Source: D. W. Scott, Multivariate Density Estimation, 1992, for the bandwidth; the rest is our
    own choice.

    >>> density_ratio(np.array([1.0, 2.0]), np.array([2.0, 1.0])).ratio.any()
    np.False_
    """
    values = np.concatenate([inside, outside])
    low, high = float(values.min()), float(values.max())
    width = float(values.std()) * min(len(inside), len(outside)) ** -0.2
    if low == high:
        return Curve(np.array([low]), np.zeros(1))
    points, spacing = np.linspace(low - _REACH * width, high + _REACH * width, _GRID, retstep=True)
    reach = int(np.ceil(_REACH * width / spacing))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * spacing / width) ** 2)
    kernel /= kernel.sum()
    return Curve(points, _log_density(inside, points, kernel) - _log_density(outside, points, kernel))


def _log_density(
    values: NDArray[np.float64], points: NDArray[np.float64], kernel: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log of the smoothed counts at the grid points, up to a constant that both sides share."""
    # sorted, so that equal sides add up in the same order to the same bits
    place = (np.sort(values) - points[0]) / (points[1] - points[0])
    left = np.clip(place.astype(np.int64), 0, _GRID - 2)
    counts = np.bincount(left, weights=left + 1 - place, minlength=_GRID)
    counts += np.bincount(left + 1, weights=place - left, minlength=_GRID)
    smooth = np.convolve(counts, kernel, mode="same")
    return np.asarray(np.log((smooth + 1 / _GRID) / (len(values) + 1)))


def _curves(lesson: AttackTrainingSet, rows: NDArray[np.bool_]) -> list[Curve]:
    """One curve per column."""
    inside, outside = (lesson.features[rows & (lesson.member == side)] for side in (True, False))
    return [density_ratio(inside[:, i], outside[:, i]) for i in range(lesson.features.shape[1])]


def _read(
    own: Mapping[int, list[Curve]], all_classes: list[Curve], features: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sum over the columns of the log ratios at the values of each sample, float64 [sample]."""
    scores = np.zeros(len(labels))
    for c in np.unique(labels):
        rows = labels == c
        for column, curve in enumerate(own.get(int(c), all_classes)):
            scores[rows] += np.interp(features[rows, column], curve.points, curve.ratio)
    return scores
