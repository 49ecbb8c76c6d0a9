"""Small classifiers that tell members from non-members, many trained at once.

An audit needs an attack model per target, half of the samples and perhaps class: hundreds of
networks of a few weights each. They are trained as one stack, arrays [network, row, feature], so
that numpy does little else than arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.cache import cached
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, Predictor
from hwsim.registry import Configurable
from hwsim.rng import stream

Weights = list[NDArray[np.float32]]
"""Alternating matrices [network, in, out] and biases [network, 1, out], layer by layer."""

_LARGEST = 10.0
"""Standardised features are clipped here, so that one odd sample cannot steer a network (our own choice)."""


class MLPConfig(Configurable):
    """How an attack model is trained, as parameters of the attack that uses it.

    The defaults are those of ML-Leaks: one hidden layer of 64, learning rate .01, batches of 10, 50
    epochs, L2 penalty 1e-6. The optimiser Adam is our own choice where an attack says nothing else.
    """

    hidden: tuple[int, ...] = Field(
        default=(64,), description="widths of the hidden layers; none is softmax regression"
    )
    learning_rate: float = Field(default=0.01, gt=0)
    batch: int = Field(default=10, ge=2, description="rows per step, half of them members")
    epochs: int = Field(default=50, ge=1)
    l2: float = Field(default=1e-6, ge=0, description="weight of half the sum of squared weights in the loss")

    activation: ClassVar[Literal["relu", "tanh"]] = "relu"
    optimiser: ClassVar[Literal["adam", "momentum"]] = "adam"


class MLPStack:
    """A stack of trained networks of one shape; each standardises its features by its own training rows."""

    def __init__(
        self, weights: Weights, activation: str, centre: NDArray[np.float64], scale: NDArray[np.float64]
    ) -> None:
        self._weights, self._activation, self._centre, self._scale = weights, activation, centre, scale

    def log_odds(self, network: int, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """log P(member) / P(non-member) of features float64 [row, feature] by one network, float64 [row].

        Log-odds instead of the probability, which is the same order but saturates.
        """
        h = _standardise(features, self._centre[network], self._scale[network])[None]
        with _one_thread():
            layers = _forward([w[network : network + 1] for w in self._weights], h, self._activation)
        return layers[-1][0, :, 0].astype(np.float64)


def train(
    recipe: MLPConfig,
    features: Sequence[NDArray[np.float64]],
    member: Sequence[NDArray[np.bool_]],
    seeds: Sequence[int],
    rows: int,
) -> MLPStack:
    """Train one network per entry of the lists: features float64 [row, feature] and member bool [row].

    Every batch draws, with replacement, one half of its rows from the members and one half from the
    non-members, so no network learns that one side is the more frequent. All take the same number
    of steps, `epochs * ceil(rows / batch)`. What a network becomes depends on its own entry alone.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> networks = train(Recipe(), [x], [x[:, 0] > 1], [0], rows=4)
    >>> bool(networks.log_odds(0, x)[0] < 0 < networks.log_odds(0, x)[3])
    True
    """
    centre = np.stack([x.mean(axis=0) for x in features])
    spread = np.stack([x.std(axis=0) for x in features])
    scale = np.where(spread > 0, spread, 1.0)
    table = np.concatenate([_standardise(x, c, s) for x, c, s in zip(features, centre, scale, strict=True)])
    starts = np.cumsum([0, *(len(x) for x in features[:-1])])
    sides = [
        [start + np.flatnonzero(m == side) for side in (True, False)] for start, m in zip(starts, member, strict=True)
    ]
    weights = _initial(recipe, features[0].shape[1], seeds)
    step = _adam(weights, recipe) if recipe.optimiser == "adam" else _momentum(weights, recipe)
    half = recipe.batch // 2
    truth = np.repeat(np.array([1, 0], dtype=np.float32), half)[None, :, None]
    draws = [stream(seed, "batches") for seed in seeds]
    per_epoch = -(-rows // recipe.batch)
    with _one_thread():
        for _ in range(recipe.epochs):
            chosen = np.stack([_batches(draw, pair, per_epoch, half) for draw, pair in zip(draws, sides, strict=True)])
            for b in range(per_epoch):
                step(_gradients(weights, table[chosen[:, b]], truth, recipe))
    return MLPStack(weights, recipe.activation, centre, scale)


def one_network_each(recipe: MLPConfig, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
    """Train a network on each lesson, and predict its log-odds."""
    networks = train(
        recipe, [x.features for x in lessons], [x.member for x in lessons], [x.seed for x in lessons], rows
    )
    return [_predictor(networks, i) for i in range(len(lessons))]


def _predictor(networks: MLPStack, network: int) -> Predictor:
    return lambda features, labels: networks.log_odds(network, features)


def _standardise(
    x: NDArray[np.float64], centre: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float32]:
    return np.clip((x - centre) / scale, -_LARGEST, _LARGEST).astype(np.float32)


def _batches(draw: np.random.Generator, sides: Sequence[NDArray[np.int64]], count: int, half: int) -> NDArray[np.int64]:
    """Rows of `count` batches, int64 [batch, row]: members first."""
    return np.concatenate([side[draw.integers(len(side), size=(count, half))] for side in sides], axis=1)


def _initial(recipe: MLPConfig, inputs: int, seeds: Sequence[int]) -> Weights:
    """Uniform in +-sqrt(6 / (in + out)) with zero biases (Glorot and Bengio 2010)."""
    widths = [inputs, *recipe.hidden, 1]
    draws = [stream(seed, "weights") for seed in seeds]
    weights: Weights = []
    for fan_in, fan_out in pairwise(widths):
        limit = np.sqrt(6 / (fan_in + fan_out))
        weights.append(np.stack([d.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32) for d in draws]))
        weights.append(np.zeros((len(seeds), 1, fan_out), dtype=np.float32))
    return weights


def _forward(weights: Weights, x: NDArray[np.float32], activation: str) -> list[NDArray[np.float32]]:
    """Inputs of every layer, and last the log-odds [network, row, 1]."""
    layers = [x]
    for i in range(0, len(weights), 2):
        z = layers[-1] @ weights[i] + weights[i + 1]
        if i + 2 < len(weights):
            z = np.maximum(z, 0) if activation == "relu" else np.tanh(z)
        layers.append(z)
    return layers


def _gradients(weights: Weights, x: NDArray[np.float32], truth: NDArray[np.float32], recipe: MLPConfig) -> Weights:
    """Gradients of the mean cross-entropy of a batch and of the penalty, by back-propagation."""
    layers = _forward(weights, x, recipe.activation)
    # tanh(z / 2) is the logistic function without an exponential that overflows
    error = ((1 + np.tanh(layers[-1] / 2)) / 2 - truth) / np.float32(x.shape[1])
    gradients: Weights = [np.empty(0, dtype=np.float32)] * len(weights)
    for i in range(len(weights) - 2, -1, -2):
        h = layers[i // 2]
        gradients[i] = h.transpose(0, 2, 1) @ error + np.float32(recipe.l2) * weights[i]
        gradients[i + 1] = error.sum(axis=1, keepdims=True)
        if i:
            slope = h > 0 if recipe.activation == "relu" else 1 - h * h
            error = (error @ weights[i].transpose(0, 2, 1)) * slope
    return gradients


def _adam(weights: Weights, recipe: MLPConfig) -> Any:
    """A step of Adam (Kingma and Ba 2015) with the paper's decay rates .9 and .999."""
    mean, square = ([np.zeros_like(w) for w in weights] for _ in range(2))
    count = 0

    def step(gradients: Weights) -> None:
        nonlocal count
        count += 1
        rate = np.float32(recipe.learning_rate * np.sqrt(1 - 0.999**count) / (1 - 0.9**count))
        for w, g, m, v in zip(weights, gradients, mean, square, strict=True):
            m += np.float32(0.1) * (g - m)
            v += np.float32(0.001) * (g * g - v)
            w -= rate * m / (np.sqrt(v) + np.float32(1e-8))

    return step


def _momentum(weights: Weights, recipe: MLPConfig) -> Any:
    """A step of gradient descent with momentum .9."""
    velocity = [np.zeros_like(w) for w in weights]

    def step(gradients: Weights) -> None:
        for w, g, v in zip(weights, gradients, velocity, strict=True):
            v *= np.float32(0.9)
            v += g
            w -= np.float32(recipe.learning_rate) * v

    return step


@cached(1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def _one_thread() -> Any:
    """Matrix products by one thread: their bits must not depend on how many there are."""
    return _controller().limit(limits=1, user_api="blas")
