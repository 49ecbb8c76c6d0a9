"""Number, mean and spread of the values of a sample's OUT and IN models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.game_view import GameView
from hwsim.privacy.attack_tools.shadow_selection import IN, OUT, ShadowRequirement, choose_shadows


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and centered sum of squares of the shadows in a set, each [sample]."""

    size: NDArray[np.int64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]


def finite(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return values [model, sample] as contiguous float64; raises BadInput for NaN and infinity."""
    x = np.ascontiguousarray(values, dtype=np.float64)
    if not np.isfinite([x.max(initial=0.0), x.min(initial=0.0)]).all():  # max and min return NaN where there is one
        raise BadInput("values", "NaN or infinity", "finite numbers, one per model and sample")
    return x


def moments_of(
    x: NDArray[np.float64], game: GameView, requirement: ShadowRequirement
) -> Iterator[tuple[int, NDArray[np.bool_] | slice, NDArray[np.float64], tuple[Moments, Moments]]]:
    """Yield for each target its row, the samples that have shadows, their values, and the moments of OUT and IN.

    `x` is float64 [model, sample]; values and moments are [usable sample].
    """
    shadows = choose_shadows(game, requirement)
    means, squares = shadows.moments(x)
    for row, target in enumerate(shadows.targets.tolist()):
        counts = shadows.counts(row)
        enough = requirement.met(counts)
        usable = slice(None) if enough.all() else enough  # where all have shadows, views instead of copies
        out_set, in_set = (
            Moments(counts[k, usable], means[k, row, usable], squares[k, row, usable]) for k in (OUT, IN)
        )
        yield row, usable, x[target, usable], (out_set, in_set)
