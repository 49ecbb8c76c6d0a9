"""Side-channel attack: the density of a latency or energy among members against its density among non-members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.privacy.attack_tools.game_view import GameView
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.model_level import LEVEL, less_model_mean
from hwsim.registry import register

SideChannelName = Literal[
    "latency_cycles", "energy_pj", "sensitive_regions", "region_counts", "precision_map", "logits"
]

MIN_ROWS = 10
"""A class with fewer members or non-members than this has no densities of its own (design choice)."""

_GRID = 512
_REACH = 4
"""Bandwidths after which the kernel is cut off."""


@register(
    "attack", "side_channel", citation="Own definition, after Z. Li et al., Auditing Multi-Exit Networks, CCS 2022"
)
class SideChannel(LearnedAttack):
    """Log density of the members' values less that of the non-members', by Gaussian kernels on the shadow models.

    One pair of densities for all samples, or with `per_class` one pair for each class of the label; a class with fewer
    than 10 rows of members or of non-members in a half then takes the densities of all classes. `logits` enter as the
    log-odds of the label. The log ratios of several channels, and of the columns of `region_counts` (layers) and
    `precision_map` (regions), are added up, as if they were independent given the membership.

    Whole models differ in their mean, whoever is a member, so each value of a side channel is taken less its model's
    mean; `remove_level = false` leaves it. A latency depends on the input far more than on the training set, so each
    value is then taken less its sample's mean over all models of the game; `relative = false` leaves that. Members
    and non-members have one bandwidth by the rule of Scott. Where a value is the same in every model, the score is
    exactly 0, and the AUC of such a channel one half, given two shadow models or more. Unlike `latency`, `energy` and
    `joint` this attack pools many samples, assumes no shape of the distributions, and runs with few shadow models.
    """

    name = "side_channel"

    channels: tuple[SideChannelName, ...] = Field(default=("latency_cycles", "energy_pj"), min_length=1)
    per_class: bool = Field(default=False, description="densities for each class of the label, not one for all")
    relative: bool = Field(default=True, description="each value less the mean of its sample over the models")

    remove_level: bool = Field(default=True, description=LEVEL)

    @field_validator("channels")
    @classmethod
    def _each_once(cls, channels: tuple[SideChannelName, ...]) -> tuple[SideChannelName, ...]:
        if len(set(channels)) < len(channels):
            raise ValueError("each channel once")
        return channels

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """The chosen channels."""
        return self.channels

    def features(self, game: GameView) -> NDArray[np.float64]:
        """Return all channels, float64 [model, sample, column]."""
        columns = []
        for name in self.channels:
            values = np.asarray(game.observed[name], dtype=np.float64)
            if name == "logits":
                values = log_odds(values, game.labels)
            elif self.remove_level:
                values = less_model_mean(values)
            columns.append(values.reshape(*values.shape[:2], -1))
        table = np.concatenate(columns, axis=2)
        return table - table.mean(axis=0) if self.relative else table

    def fit(self, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """Estimate the densities of every training set."""
        return [self._fit_one(training_set) for training_set in training_sets]

    def _fit_one(self, training_set: AttackTrainingSet) -> Predictor:
        all_classes = _curves(training_set, np.ones(len(training_set.member), dtype=np.bool_))
        by_class: dict[int, list[Curve]] = {}
        for c in np.unique(training_set.labels) if self.per_class else ():
            rows = training_set.labels == c
            members = int(training_set.member[rows].sum())
            if min(members, int(rows.sum()) - members) >= MIN_ROWS:
                by_class[int(c)] = _curves(training_set, rows)
        return lambda features, labels: _log_ratios(by_class, all_classes, features, labels)


class Curve(NamedTuple):
    """A log ratio of densities at the points of a grid, both float64 [point]; constant beyond its ends."""

    points: NDArray[np.float64]
    ratio: NDArray[np.float64]


def density_ratio(member_values: NDArray[np.float64], nonmember_values: NDArray[np.float64]) -> Curve:
    """Return log p(value | member) - log p(value | non-member) by Gaussian kernel density estimates.

    `member_values` and `nonmember_values` are float64 [n]. The bandwidth is the standard deviation of all values times
    n^(-1/5), n the smaller number. Each value is split between the two nearest of 512 grid points. Each density is
    mixed with one observation spread evenly over the grid, so that a value far from all others carries no evidence.
    Equal samples give exactly 0.
    Source: D. W. Scott, Multivariate Density Estimation, 1992, for the bandwidth.
    Design choice: the grid, and the evenly spread observation.

    >>> density_ratio(np.array([1.0, 2.0]), np.array([2.0, 1.0])).ratio.any()
    np.False_
    """
    values = np.concatenate([member_values, nonmember_values])
    low, high = float(values.min()), float(values.max())
    width = float(values.std()) * min(len(member_values), len(nonmember_values)) ** -0.2
    if low == high:
        return Curve(np.array([low]), np.zeros(1))
    points, spacing = np.linspace(low - _REACH * width, high + _REACH * width, _GRID, retstep=True)
    reach = int(np.ceil(_REACH * width / spacing))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * spacing / width) ** 2)
    kernel /= kernel.sum()
    ratio = _log_density(member_values, points, kernel) - _log_density(nonmember_values, points, kernel)
    return Curve(points, ratio)


def _log_density(
    values: NDArray[np.float64], points: NDArray[np.float64], kernel: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the log of the smoothed counts at the grid points, float64 [point], up to a common constant.

    `values` is float64 [n], `points` float64 [point], `kernel` float64 [2 reach + 1].
    """
    # sorted, so that equal samples add up in the same order to the same bits
    place = (np.sort(values) - points[0]) / (points[1] - points[0])
    left = np.clip(place.astype(np.int64), 0, _GRID - 2)
    counts = np.bincount(left, weights=left + 1 - place, minlength=_GRID)
    counts += np.bincount(left + 1, weights=place - left, minlength=_GRID)
    smooth = np.convolve(counts, kernel, mode="same")
    return np.asarray(np.log((smooth + 1 / _GRID) / (len(values) + 1)))


def _curves(training_set: AttackTrainingSet, rows: NDArray[np.bool_]) -> list[Curve]:
    """Return one curve per column from the selected rows, bool [row]."""
    members, nonmembers = (training_set.features[rows & (training_set.member == value)] for value in (True, False))
    return [density_ratio(members[:, i], nonmembers[:, i]) for i in range(training_set.features.shape[1])]


def _log_ratios(
    by_class: Mapping[int, list[Curve]],
    all_classes: list[Curve],
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the sum over the columns of the log ratios at each sample's values, float64 [sample].

    `features` is float64 [sample, column], `labels` int64 [sample].
    """
    scores = np.zeros(len(labels))
    for c in np.unique(labels):
        rows = labels == c
        for column, curve in enumerate(by_class.get(int(c), all_classes)):
            scores[rows] += np.interp(features[rows, column], curve.points, curve.ratio)
    return scores
