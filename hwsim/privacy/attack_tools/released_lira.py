"""LiRA exactly as in the code released with the paper, for comparison with published numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.shadow_selection import ShadowRequirement, choose_shadows

_LEAST = 1e-30
"""Added to every standard deviation, as in the released code."""


def released_online_score(x: NDArray[np.float64], game: GameView, per_point: bool = False) -> Scores:
    """Return log N(x; mean_in, std_in) - log N(x; mean_out, std_out), float64 [target, sample]; `x` is [model, sample].

    The IN models of a sample are the first k shadow models that contain it, in the order of the models, where k is the
    smallest number of IN models of any sample; the OUT models alike. Means are medians. With `per_point` each sample
    has standard deviations of its own, with divisor n. Otherwise both are one number: the standard deviation of the
    IN values of all samples together, without their means removed.

    A sample without a shadow model in a set scores 0, and does not enter k. Raises BadInput as `choose_shadows`.

    Source: N. Carlini et al. 2022, `generate_ours` in plot.py of research/mi_lira_2021 in tensorflow/privacy.
    """
    scores = np.zeros((len(game.targets), x.shape[1]))
    for row, target, usable in _targets(game, "in_out"):
        members = game.shadow_members(target)[:, usable]
        outside = ~members
        outside[target] = False
        values = x[:, usable]
        in_values, out_values = _first(values, members), _first(values, outside)
        if per_point:
            std_in, std_out = in_values.std(axis=0), out_values.std(axis=0)
        else:
            std_in = std_out = np.array(_deviation(in_values))
        own = values[target]
        log_in = _log_normal(own, np.median(in_values, axis=0), std_in + _LEAST)
        scores[row, usable] = log_in - _log_normal(own, np.median(out_values, axis=0), std_out + _LEAST)
    return scores


def released_offline_score(x: NDArray[np.float64], game: GameView, per_point: bool = False) -> Scores:
    """Return -log N(x; mean_out, std_out), float64 [target, sample]; arguments as in `released_online_score`.

    A sample without OUT models gets the median.

    Source: N. Carlini et al. 2022, `generate_ours_offline` in the same file; it is two-sided, the paper's test is not.
    """
    scores = np.zeros((len(game.targets), x.shape[1]))
    for row, target, usable in _targets(game, "out"):
        outside = ~game.shadow_members(target)[:, usable]
        outside[target] = False
        out_values = _first(x[:, usable], outside)
        std = out_values.std(axis=0) if per_point else np.array(_deviation(out_values))
        found = -_log_normal(x[target, usable], np.median(out_values, axis=0), std + _LEAST)
        scores[row] = np.median(found)
        scores[row, usable] = found
    return scores


def _targets(game: GameView, sets: Literal["in_out", "out"]) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Yield row, target, and the samples that have shadow models, bool [sample]."""
    requirement = ShadowRequirement(sets)
    shadows = choose_shadows(game, requirement)
    for row, target in enumerate(game.targets.tolist()):
        yield row, target, requirement.met(shadows.counts(row))


def _first(values: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the values of the first k chosen models of each sample, float64 [k, sample]; k fits every sample.

    `values` float64 and `chosen` bool are [model, sample].
    """
    k = int(chosen.sum(axis=0).min())
    order = np.argsort(~chosen, axis=0, kind="stable")[:k]
    return np.take_along_axis(values, order, axis=0)


def _deviation(values: NDArray[np.float64]) -> float:
    """Return the standard deviation of all numbers, the same bits in any order."""
    flat = values.ravel().tolist()
    mean = math.fsum(flat) / len(flat)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in flat) / len(flat))


def _log_normal(
    x: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the log density of a normal; `x` and `mean` float64 [sample], `deviation` [sample] or a scalar."""
    return np.asarray(-(((x - mean) / deviation) ** 2) / 2 - np.log(deviation) - math.log(2 * math.pi) / 2)
