"""Map discriminant: the trace of the mask bus, region by region, against each sample's shadow models."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.kernels.membership.gap_prior import gap_prior
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.exact_sum import total
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.likelihood_ratio import PRIOR_STRENGTH
from hwsim.privacy.attack_tools.model_level import LEVEL, less_model_mean
from hwsim.privacy.attack_tools.shadow_selection import IN, IN_OUT, OUT, choose_shadows
from hwsim.registry import register

_FLOOR = 1e-9
"""Smallest variance of a column, as a share of its whole variance."""


@register("attack", "map_discriminant", citation="Own definition: a linear discriminant with the gaps of lira")
class MapDiscriminant(Attack):
    """Linear discriminant of a sample's own shadow models over the columns of a map: regions, or layers.

    For each region the gap between IN and OUT models is shrunk towards that of all samples, and the variance towards
    the pooled one, as in `lira`. The score is the sum over the regions of gap / variance * (value - center). A count of
    the regions adds up what falls and what rises; this attack does not. A region that is the same in every model adds
    exactly nothing.

    Regions are weighted as if they were independent given the membership. Each is taken less its model's mean;
    `remove_level = false` takes the bare values. With 4 models there is no variance to pool, and all regions get one.
    """

    name = "map_discriminant"
    min_models = 3
    shadow_requirement = IN_OUT

    channel: Literal["precision_map", "region_counts"] = "precision_map"
    remove_level: bool = Field(default=True, description=LEVEL)

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """The chosen channel."""
        return (self.channel,)

    def scores(self, game: GameView) -> Scores:
        """Return the sum of the discriminants of the columns for each target."""
        values = np.asarray(game.observed[self.channel], dtype=np.float64)
        values = values[:, :, (values != values[0]).any(axis=(0, 1))]
        columns = less_model_mean(values) if self.remove_level else values
        shadows = choose_shadows(game, IN_OUT)
        scores = np.zeros((len(game.targets), game.samples))
        for c in range(columns.shape[2]):
            column = np.ascontiguousarray(columns[:, :, c])
            means, squares = shadows.moments(column)
            for row, target in enumerate(game.targets.tolist()):
                counts = shadows.counts(row)
                usable = IN_OUT.met(counts)
                size, gap = counts[IN, usable], (means[IN, row] - means[OUT, row])[usable]
                center = ((means[IN, row] + means[OUT, row]) / 2)[usable]
                variance = _variances((squares[IN, row] + squares[OUT, row])[usable], size, gap)
                slope = _shrunk(gap, 2 * variance / size) / variance
                scores[row, usable] += slope * (column[target, usable] - center)
        return scores


def _variances(squares: NDArray[np.float64], size: NDArray[np.int64], gap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance within the sets of each sample, shrunk towards the pooled one, float64 [sample].

    `squares` is the centered sum of squares of both sets, `size` the number of models in each, `gap` the distance of
    their means, [sample] each.
    """
    degrees = 2 * (size - 1)
    whole = total(squares) + total(gap**2 * size / 2)
    floor = _FLOOR * whole / len(size) or 1.0
    if not degrees.any():
        return np.full(len(size), whole / len(size) + floor)
    pooled = total(squares) / int(degrees.sum())
    return np.asarray((PRIOR_STRENGTH * pooled + squares) / (PRIOR_STRENGTH + degrees) + floor)


def _shrunk(gap: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return gaps shrunk towards their mean over the samples, float64 [sample], from gaps and their variances."""
    mean, variance = gap_prior(gap, error)
    return np.asarray(mean + variance / (variance + error) * (gap - mean))
