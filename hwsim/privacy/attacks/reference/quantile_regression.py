"""Quantile regression: the target's margin on a sample against the margins predicted for non-members like it."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import label_margin
from hwsim.privacy.sample_keys import content_keys, first_half
from hwsim.registry import register
from hwsim.rng import stream

Population = Literal["shadows", "target"]

_LOG_SQUARE_OF_NORMAL = -1.2703628454614782
"""Mean of log(u * u) for a standard normal u: minus Euler's constant, less log 2."""


@register(
    "attack",
    "quantile_regression",
    citation="M. Bertran et al., Scalable Membership Inference Attacks via Quantile Regression, NeurIPS 2023",
)
class QuantileRegression(Attack):
    """The label's logit margin, in standard deviations above the margin predicted for a non-member with this input.

    A regression on the sample itself predicts mean and deviation of a non-member's margin z_y - max of the other z (the
    paper's Gaussian head). The score is (margin - mean) / deviation; above the normal quantile of 1 - a, it means
    member at a false-positive rate of about a.

    The paper learns the regression from public samples on which the target was surely not trained. This game has no
    such samples: each sample is a member by a coin. `population` replaces them, always one half of the samples for
    scoring the other half. "shadows" (default) are the margins under the OUT models of a sample: non-members, but of
    other models. "target" are the margins under the target itself: the right model and no shadow models, but half of
    these samples are members. Membership in the target is read in neither.

    Design choice: in place of the paper's network, ridge regression of strength `ridge` on the label and `waves` random
    cosine features of the input, first for the margin, then for the logarithm of the squared residual.
    """

    name = "quantile_regression"
    needs = ("inputs", "logits")

    population: Population = "shadows"
    waves: int = Field(128, ge=1, le=4096, description="random cosine features of the input")
    ridge: float = Field(1.0, gt=0, description="strength of the ridge, in samples")

    def scores(self, game: GameView) -> Scores:
        """Return the standardized margins under each target; raises BadInput when all samples are equal."""
        margins = np.stack([label_margin(logits, game.labels) for logits in game.observed["logits"]])
        inputs = game.observed["inputs"][0]  # the samples are the same for all models
        keys = content_keys(inputs, game.labels)
        features, first = _features(inputs, game.labels, keys, self.waves), first_half(keys)
        scores = np.empty((len(game.targets), game.samples))
        for row, target in enumerate(game.targets.tolist()):
            used = self._population(game, target)
            order = np.lexsort((content_keys(used.T, np.where(used, margins, 0.0).T), keys))
            order = order[np.asarray(used.any(axis=0))[order]]
            for scored in (first, ~first):
                learned = order[~scored[order]]
                head = _fit(features[learned], margins[:, learned], used[:, learned], self.ridge)
                scores[row, scored] = _deviations(margins[target, scored], features[scored], head)
        return scores

    def _population(self, game: GameView, target: int) -> NDArray[np.bool_]:
        """Return which model's margin of which sample belongs to the population, bool [model, sample]."""
        if self.population == "shadows":
            out = ~game.shadow_members(target)
            out[target] = False
            return out
        only_target = np.zeros((game.models, game.samples), dtype=np.bool_)
        only_target[target] = True
        return only_target


class _Head(NamedTuple):
    """Weights float64 [feature] and offsets of the two regressions."""

    mean: NDArray[np.float64]
    mean_offset: float
    log_square: NDArray[np.float64]
    log_square_offset: float


def _features(
    inputs: NDArray[Any], labels: NDArray[np.int64], keys: NDArray[np.uint64], waves: int
) -> NDArray[np.float64]:
    """Return one bit per label and random cosines of the standardized input, float64 [sample, feature].

    `inputs` is [sample, feature], `labels` int64 and `keys` uint64 [sample]. The inner products of the cosines approach
    a Gaussian kernel whose width is the typical distance of two samples (A. Rahimi and B. Recht, Random Features for
    Large-Scale Kernel Machines, 2007).
    """
    order = np.argsort(keys, kind="stable")
    x = inputs[order].astype(np.float64)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    rng = stream(0, "quantile regression waves")
    frequencies = rng.standard_normal((x.shape[1], waves)) / math.sqrt(x.shape[1])
    # einsum, not BLAS: its bits do not depend on the number of threads
    cosines = math.sqrt(2 / waves) * np.cos(np.einsum("sf,fw->sw", x, frequencies) + rng.uniform(0, 2 * np.pi, waves))
    features = np.empty((len(labels), waves + len(np.unique(labels))))
    features[order] = np.concatenate([cosines, labels[order, None] == np.unique(labels)], axis=1)
    return features


def _fit(features: NDArray[np.float64], margins: NDArray[np.float64], used: NDArray[np.bool_], ridge: float) -> _Head:
    """Fit the Gaussian head of a population: the margins float64 [model, sample] that are `used`, bool [model, sample].

    `features` is float64 [sample, feature].
    """
    if not len(features):
        return _Head(np.zeros(features.shape[1]), 0.0, np.zeros(features.shape[1]), _LOG_SQUARE_OF_NORMAL)
    factor = cholesky(np.einsum("sf,sg->fg", features, features) + ridge * np.eye(features.shape[1]))
    count = used.sum(axis=0)

    def regress(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Return ridge weights and offset for the means of the samples' values, float64 [model, sample]."""
        means = np.where(used, values, 0.0).sum(axis=0) / count
        offset = float(means.mean())
        return cholesky_solve(factor, np.einsum("sf,s->f", features, means - offset)), offset

    mean, mean_offset = regress(margins)
    squares = np.where(used, margins - (np.einsum("sf,f->s", features, mean) + mean_offset), 0.0) ** 2
    floor = 1e-6 * float(squares.sum()) / int(count.sum())
    return _Head(mean, mean_offset, *regress(np.log(squares + (floor or 1.0))))


def _deviations(margins: NDArray[np.float64], features: NDArray[np.float64], head: _Head) -> NDArray[np.float64]:
    """Return (margin - mean) / deviation with the predictions of the head, float64 [sample]."""
    mean = (features * head.mean).sum(axis=1) + head.mean_offset
    log_square = (features * head.log_square).sum(axis=1) + head.log_square_offset - _LOG_SQUARE_OF_NORMAL
    return np.asarray((margins - mean) * np.exp(-log_square / 2))


def cholesky(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lower triangular L with L L^T = matrix, without LAPACK, whose bits may depend on the threads."""
    lower = np.zeros_like(matrix)
    for j in range(len(matrix)):
        column = matrix[j:, j] - (lower[j:, :j] * lower[j, :j]).sum(axis=1)
        lower[j:, j] = column / math.sqrt(column[0])
    return lower


def cholesky_solve(lower: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x with L L^T x = right, float64 [feature], for `lower` = L [feature, feature]."""
    x = right.copy()
    for j in range(len(x)):
        x[j] = (x[j] - (lower[j, :j] * x[:j]).sum()) / lower[j, j]
    for j in reversed(range(len(x))):
        x[j] = (x[j] - (lower[j + 1 :, j] * x[j + 1 :]).sum()) / lower[j, j]
    return x
