"""Stacking: weights of several likelihood ratios, learned on the shadow models, each as the target in turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.cross_fitting import halves
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.likelihood_ratio import online_lira_score

MAX_RATIO = 12.0
"""Ratios are cut to +-MAX_RATIO, so that one channel cannot outvote the others by a value far from all."""

SHADOWS, SAMPLES = 8, 2000
"""Largest numbers of shadow models, and of samples of a half, from which the weights are learned (design choice)."""

MIN_MODELS = 6
"""With fewer models the shadow models of a shadow model have no variance to pool, and all weights are 1."""

PRIOR = 1.0
"""Weight of the prior of a weight, a normal around 1 with this precision (design choice)."""

_SWEEPS, _CLOSE = 100, 1e-7


def stacked_ratio(
    channels: Sequence[NDArray[np.float64]], game: GameView, keys: NDArray[np.uint64]
) -> tuple[Scores, NDArray[np.float64]]:
    """Return a weighted sum of likelihood ratios, float64 [target, sample], and the weights [target, channel].

    The ratio of each channel is `online_lira_score`, cut to +-12. The weights are those of a logistic regression
    without negative coefficients. It is trained on the ratios of the target's shadow models: each is the target in
    turn, among the shadow models alone, with its known membership. The samples are split into two halves, and each half
    is weighted by the regression on the other half; the returned weights are the means of both. The target's row of
    the membership is not read.

    Two channels with the same information share its weight; the ratios of a channel without a leak are close to 0.
    With fewer than 6 models, or where only one channel is not constant, all weights are 1 and no ratio is cut.

    Parameters
    ----------
    channels : float64 [model, sample] each
    game : the game
    keys : uint64 [sample], content hashes that order and split the samples

    Sources: D. H. Wolpert, Stacked Generalization, 1992; L. Breiman, Stacked Regressions, 1996 (no negative weights).
    """
    ratios = np.stack([online_lira_score(x, game) for x in channels], axis=2)
    weights = np.ones((len(game.targets), len(channels)))
    scores = np.empty(ratios.shape[:2])
    for row, target in enumerate(game.targets.tolist()):
        used = np.flatnonzero(ratios[row].any(axis=0)).tolist()  # a constant channel has ratios of exactly 0
        if len(used) < 2 or game.models < MIN_MODELS:
            scores[row] = _weighted(ratios[row], range(len(channels)), weights[row])
            continue
        split = halves(keys, np.delete(game.shadow_members(target), target, axis=0))
        learned = [_weights([channels[k] for k in used], game, target, half.samples[:SAMPLES]) for half in split]
        cut = np.clip(ratios[row], -MAX_RATIO, MAX_RATIO)
        for half, other in zip(split, reversed(learned), strict=True):
            scores[row, half.samples] = _weighted(cut[half.samples], used, other)
        weights[row, used] = np.mean(learned, axis=0)
    return scores, weights


def _weighted(ratios: NDArray[np.float64], used: Sequence[int], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weighted sum of the used columns of `ratios` float64 [sample, channel]; `weights` [used channel].

    Column by column, because a matrix product adds in an order that depends on its size.
    """
    score = np.zeros(len(ratios))
    for k, weight in zip(used, weights, strict=True):
        score += weight * ratios[:, k]
    return score


def _weights(
    channels: Sequence[NDArray[np.float64]], game: GameView, target: int, samples: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the weights that one half of the samples gives, float64 [channel]; `samples` int64 in canonical order."""
    shadows, member = game.shadow_game(target, SHADOWS, samples)
    if not len(samples):
        return np.ones(len(channels))
    ratios = [online_lira_score(np.delete(x, target, axis=0)[:, samples], shadows) for x in channels]
    rows = np.stack([np.clip(r, -MAX_RATIO, MAX_RATIO).ravel() for r in ratios])
    return nonnegative_logistic(rows, member.ravel())


def nonnegative_logistic(rows: NDArray[np.float64], member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the coefficients of a logistic regression with an intercept, none negative: float64 [channel].

    `rows` is float64 [channel, row], `member` bool [row]. Each coefficient has a normal prior around 1 with precision
    `PRIOR`, so that separable rows give finite ones. Newton steps, one coefficient after the other.

    >>> member = np.array([True, True, False, False] * 50)
    >>> nonnegative_logistic(np.stack([4.0 * member - 2, 2 - 4.0 * member]), member).round(2).tolist()
    [2.72, 0.0]
    """
    weights, intercept = np.ones(len(rows)), 0.0
    truth = member.astype(np.float64)
    for _ in range(_SWEEPS):
        moved = 0.0
        for k in range(-1, len(rows)):
            column = rows[k] if k >= 0 else 1.0
            odds = intercept + sum(w * r for w, r in zip(weights, rows, strict=True))
            p = (1 + np.tanh(odds / 2)) / 2
            slope = float(((p - truth) * column).sum())
            curve = float((p * (1 - p) * column * column).sum()) + PRIOR
            if k < 0:
                step = float(np.clip(-(slope + PRIOR * intercept) / curve, -1, 1))
                intercept += step
            else:
                step = float(np.clip(-(slope + PRIOR * (weights[k] - 1)) / curve, -1, 1))
                step = max(step, -float(weights[k]))
                weights[k] += step
            moved = max(moved, abs(step))
        if moved < _CLOSE:
            break
    return weights
