"""Verified worst-case logits in an L-infinity ball, by interval bound propagation.

Gowal et al., On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models,
arXiv 1810.12715.
As a channel of membership inference: Song et al., CCS 2019.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwsim.float_graph.graph import FloatArithmetic, FloatGraph, Node, Weights, multiply, node_output, repeat_input
from hwsim.network.layer import INPUT
from hwsim.training.ensemble import Ensemble
from hwsim.training.fit import one_thread
from hwsim.training.pgd import PGDConfig, check_samples

Interval = tuple[Tensor, Tensor]
"""Smallest and largest value, each [sample, model * channel, ...]."""

VERIFY_BATCH = 128


def verified_logits(
    ensemble: Ensemble, x: NDArray[np.float32], labels: NDArray[np.int64], eps: float
) -> NDArray[np.float64]:
    """Worst-case logits float64 [model, sample, class] over all inputs within `eps` of each sample and in 0..1.

    A lower bound of the label's logit and upper bounds of the others: no input of the ball gives
    the label less, or another class more. The bounds hold for the float network in real arithmetic; they are
    computed in float64, so that a float32 evaluation may pass them by its own rounding. `x` float32
    [sample, *shape] in 0..1. Raises BadInput.

    >>> from hwsim.registry import build
    >>> from hwsim.training.ensemble import Members, train
    >>> x, labels = np.eye(8, dtype=np.float32), np.arange(8) % 2
    >>> ensemble = train(build("model", "mlp", hidden=(4,), epochs=1), Members(x, labels, np.ones((2, 8), np.bool_)))
    >>> worst, plain = verified_logits(ensemble, x, labels, eps=0.1), ensemble.logits(x)
    >>> bool((worst[:, labels == 0, 0] < plain[:, labels == 0, 0]).all()), worst.shape
    (True, (2, 8, 2))
    """
    ball = PGDConfig(eps)
    check_samples(x, labels, ball)
    weights = {name: tensor.double() for name, tensor in ensemble.weights.items()}
    out = []
    with torch.no_grad(), one_thread():
        for begin in range(0, len(x), VERIFY_BATCH):
            rows = slice(begin, begin + VERIFY_BATCH)
            inputs = repeat_input(torch.from_numpy(np.ascontiguousarray(x[rows])).double(), ensemble.models)
            low, high = (_per_model(t, ensemble.models) for t in bounds(ensemble.graph, weights, ball.bounds(inputs)))
            wanted = torch.from_numpy(labels[rows])[None, :, None].expand(ensemble.models, -1, 1)
            out.append(high.scatter(2, wanted, low.gather(2, wanted)))
    together: NDArray[np.float64] = torch.cat(out, 1).numpy()
    return together


def bounds(graph: FloatGraph, weights: Weights, inputs: Interval) -> Interval:
    """The interval of the logits [sample, model * class] for an interval of inputs."""
    values: dict[str, Interval] = {INPUT: inputs}
    for node in graph.nodes:
        values[node.name] = _through(node, values, weights)
    return values[graph.output.name]


def _through(node: Node, values: Mapping[str, Interval], weights: Weights) -> Interval:
    """One layer. All but the sums of products never fall when an input rises: each end goes its own way."""
    if not node.has_macs:
        ends = [{name: pair[end] for name, pair in values.items()} for end in (0, 1)]
        low, high = (node_output(node, end, weights, FloatArithmetic()) for end in ends)
        return low, high
    low, high = values[node.inputs[0]]
    weight, bias = weights[f"{node.name}.weight"], weights[f"{node.name}.bias"]
    middle = multiply(node, (low + high) / 2, weight, bias)
    radius = multiply(node, (high - low) / 2, weight.abs(), None)
    arithmetic = FloatArithmetic()
    return arithmetic.output(node, middle - radius), arithmetic.output(node, middle + radius)


def _per_model(values: Tensor, models: int) -> Tensor:
    """[sample, model * class, ...] -> [model, sample, class]."""
    return values.reshape(values.shape[0], models, -1).transpose(0, 1)
