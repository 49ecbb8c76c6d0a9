"""Multilayer perceptrons (MLPs) that classify members, many trained at once.

An audit needs an attack model per target, half of the samples and perhaps class: hundreds of MLPs of a few weights
each. They are trained as one stack, with arrays [mlp, row, feature], so that most of the time is arithmetic in numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.arithmetic import ceil_div
from hwsim.cache import cached
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, Predictor
from hwsim.registry import Configurable
from hwsim.rng import stream

Weights = list[NDArray[np.float32]]
"""Alternating matrices [mlp, in, out] and biases [mlp, 1, out], layer by layer."""

Hidden = Annotated[tuple[int, ...], Field(description="widths of the hidden layers; none is softmax regression")]
LearningRate = Annotated[float, Field(gt=0)]
Batch = Annotated[int, Field(ge=2, description="rows per step, half of them members")]
Epochs = Annotated[int, Field(ge=1)]
L2 = Annotated[float, Field(ge=0, description="weight of half the sum of squared weights in the loss")]

MAX_FEATURE = 10.0
"""Standardized features are clipped to +-MAX_FEATURE, so that one outlier cannot dominate (design choice)."""


class MLPConfig(Configurable):
    """Architecture and training of an attack model.

    The defaults are those of ML-Leaks: one hidden layer of 64, learning rate .01, batches of 10, 50 epochs, L2
    penalty 1e-6, and the optimizer Adam. `standardize` subtracts the mean of each feature over the training rows and
    divides by its standard deviation.
    """

    hidden: Hidden = (64,)
    learning_rate: LearningRate = 0.01
    batch: Batch = 10
    epochs: Epochs = 50
    l2: L2 = 1e-6
    activation: Literal["relu", "tanh"] = "relu"
    optimizer: Literal["adam", "momentum"] = "adam"
    standardize: bool = True


def mlp_config(
    attack: Configurable,
    activation: Literal["relu", "tanh"] = "relu",
    optimizer: Literal["adam", "momentum"] = "adam",
    standardize: bool = True,
) -> MLPConfig:
    """Return the configuration from an attack's parameters `hidden`, `learning_rate`, `batch`, `epochs` and `l2`."""
    parameters = attack.model_dump(include={"hidden", "learning_rate", "batch", "epochs", "l2"})
    return MLPConfig(**parameters, activation=activation, optimizer=optimizer, standardize=standardize)


class MLPStack:
    """A stack of trained MLPs of one shape; each shifts and scales features by numbers of its own training rows."""

    def __init__(
        self, weights: Weights, activation: str, center: NDArray[np.float64], scale: NDArray[np.float64]
    ) -> None:
        self._weights, self._activation, self._center, self._scale = weights, activation, center, scale

    def log_odds(self, mlp: int, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log P(member) / P(non-member) of features float64 [row, feature] by one MLP, float64 [row].

        Log-odds have the order of the probability and do not saturate.
        """
        h = _standardize(features, self._center[mlp], self._scale[mlp])[None]
        with _one_thread():
            layers = _forward([w[mlp : mlp + 1] for w in self._weights], h, self._activation)
        return layers[-1][0, :, 0].astype(np.float64)


def train(
    config: MLPConfig,
    features: Sequence[NDArray[np.float64]],
    member: Sequence[NDArray[np.bool_]],
    seeds: Sequence[int],
    rows: int,
) -> MLPStack:
    """Train one MLP per entry of the lists: features float64 [row, feature] and member bool [row].

    Every batch is drawn with replacement, one half of its rows from the members and one half from the non-members, so
    that no MLP learns the frequency of members. All take the same number of steps, `epochs * ceil(rows / batch)`.
    The weights of an MLP depend on its own entry alone.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> stack = train(MLPConfig(), [x], [x[:, 0] > 1], [0], rows=4)
    >>> bool(stack.log_odds(0, x)[0] < 0 < stack.log_odds(0, x)[3])
    True
    """
    center = np.stack([x.mean(axis=0) for x in features])
    deviation = np.stack([x.std(axis=0) for x in features])
    scale = np.where(deviation > 0, deviation, 1.0)
    if not config.standardize:
        center, scale = np.zeros_like(center), np.ones_like(scale)
    table = np.concatenate([_standardize(x, c, s) for x, c, s in zip(features, center, scale, strict=True)])
    starts = np.cumsum([0, *(len(x) for x in features[:-1])])
    classes = [
        [start + np.flatnonzero(m == value) for value in (True, False)] for start, m in zip(starts, member, strict=True)
    ]
    weights = _initial(config, features[0].shape[1], seeds)
    step = _adam(weights, config) if config.optimizer == "adam" else _momentum(weights, config)
    half = config.batch // 2
    truth = np.repeat(np.array([1, 0], dtype=np.float32), half)[None, :, None]
    draws = [stream(seed, "batches") for seed in seeds]
    per_epoch = ceil_div(rows, config.batch)
    with _one_thread():
        for _ in range(config.epochs):
            chosen = np.stack([_batches(draw, two, per_epoch, half) for draw, two in zip(draws, classes, strict=True)])
            for b in range(per_epoch):
                step(_gradients(weights, table[chosen[:, b]], truth, config))
    return MLPStack(weights, config.activation, center, scale)


def mlp_per_set(config: MLPConfig, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
    """Train an MLP on each training set; the predictors return its log-odds."""
    stack = train(
        config,
        [t.features for t in training_sets],
        [t.member for t in training_sets],
        [t.seed for t in training_sets],
        rows,
    )
    return [_predictor(stack, i) for i in range(len(training_sets))]


def _predictor(stack: MLPStack, mlp: int) -> Predictor:
    return lambda features, labels: stack.log_odds(mlp, features)


def _standardize(
    x: NDArray[np.float64], center: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return (x - center) / scale, clipped, float32 [row, feature]; `center` and `scale` are [feature]."""
    return np.clip((x - center) / scale, -MAX_FEATURE, MAX_FEATURE).astype(np.float32)


def _batches(
    draw: np.random.Generator, classes: Sequence[NDArray[np.int64]], count: int, half: int
) -> NDArray[np.int64]:
    """Return the rows of `count` batches, int64 [batch, row], members first; `classes` are rows int64 [n] of each."""
    return np.concatenate([rows[draw.integers(len(rows), size=(count, half))] for rows in classes], axis=1)


def _initial(config: MLPConfig, inputs: int, seeds: Sequence[int]) -> Weights:
    """Return weights uniform in +-sqrt(6 / (in + out)) with zero biases (Glorot and Bengio 2010)."""
    widths = [inputs, *config.hidden, 1]
    draws = [stream(seed, "weights") for seed in seeds]
    weights: Weights = []
    for fan_in, fan_out in pairwise(widths):
        limit = np.sqrt(6 / (fan_in + fan_out))
        weights.append(np.stack([d.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32) for d in draws]))
        weights.append(np.zeros((len(seeds), 1, fan_out), dtype=np.float32))
    return weights


def _forward(weights: Weights, x: NDArray[np.float32], activation: str) -> list[NDArray[np.float32]]:
    """Return the inputs of every layer, and last the log-odds [mlp, row, 1]; `x` is [mlp, row, feature]."""
    layers = [x]
    for i in range(0, len(weights), 2):
        z = layers[-1] @ weights[i] + weights[i + 1]
        if i + 2 < len(weights):
            z = np.maximum(z, 0) if activation == "relu" else np.tanh(z)
        layers.append(z)
    return layers


def _gradients(weights: Weights, x: NDArray[np.float32], truth: NDArray[np.float32], config: MLPConfig) -> Weights:
    """Return the gradients of the mean cross-entropy of a batch and of the penalty, by back-propagation.

    `x` is float32 [mlp, row, feature], `truth` float32 [1, row, 1].
    """
    layers = _forward(weights, x, config.activation)
    # tanh(z / 2) is the logistic function without an exponential that overflows
    error = ((1 + np.tanh(layers[-1] / 2)) / 2 - truth) / np.float32(x.shape[1])
    gradients: Weights = [np.empty(0, dtype=np.float32)] * len(weights)
    for i in range(len(weights) - 2, -1, -2):
        h = layers[i // 2]
        gradients[i] = h.transpose(0, 2, 1) @ error + np.float32(config.l2) * weights[i]
        gradients[i + 1] = error.sum(axis=1, keepdims=True)
        if i:
            slope = h > 0 if config.activation == "relu" else 1 - h * h
            error = (error @ weights[i].transpose(0, 2, 1)) * slope
    return gradients


def _adam(weights: Weights, config: MLPConfig) -> Callable[[Weights], None]:
    """Return a step of Adam (Kingma and Ba 2015) with the paper's decay rates .9 and .999."""
    mean, square = ([np.zeros_like(w) for w in weights] for _ in range(2))
    count = 0

    def step(gradients: Weights) -> None:
        nonlocal count
        count += 1
        rate = np.float32(config.learning_rate * np.sqrt(1 - 0.999**count) / (1 - 0.9**count))
        for w, g, m, v in zip(weights, gradients, mean, square, strict=True):
            m += np.float32(0.1) * (g - m)
            v += np.float32(0.001) * (g * g - v)
            w -= rate * m / (np.sqrt(v) + np.float32(1e-8))

    return step


def _momentum(weights: Weights, config: MLPConfig) -> Callable[[Weights], None]:
    """Return a step of gradient descent with momentum .9."""
    velocity = [np.zeros_like(w) for w in weights]

    def step(gradients: Weights) -> None:
        for w, g, v in zip(weights, gradients, velocity, strict=True):
            v *= np.float32(0.9)
            v += g
            w -= np.float32(config.learning_rate) * v

    return step


@cached(1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def _one_thread() -> Any:
    """Limit matrix products to one thread, so that their bits do not depend on the number of threads."""
    return _controller().limit(limits=1, user_api="blas")
