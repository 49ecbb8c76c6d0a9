"""Interval bound propagation (IBP): verified worst-case logits in an L-infinity ball.

Gowal et al., On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models,
arXiv 1810.12715. As a channel of membership inference: Song et al., CCS 2019.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwsim.float_graph.graph import (
    FloatArithmetic,
    FloatGraph,
    Node,
    Weights,
    node_output,
    repeat_input,
    sum_of_products,
)
from hwsim.network.layer import INPUT
from hwsim.training.ensemble import Ensemble
from hwsim.training.fit import one_thread
from hwsim.training.pgd import PGDConfig, check_samples

Bounds = tuple[Tensor, Tensor]
"""Lower and upper bound of a value, each [sample, model * channel, ...]."""

VERIFY_BATCH = 128
"""Samples that are verified at once."""


def verified_logits(
    ensemble: Ensemble, x: NDArray[np.float32], labels: NDArray[np.int64], eps: float
) -> NDArray[np.float64]:
    """Compute worst-case logits float64 [model, sample, class] over all inputs within `eps` of a sample and in 0..1.

    The result is a lower bound of the logit of the label, and upper bounds of all other logits. The bounds are valid
    for the float network in real arithmetic. They are computed in float64; a float32 evaluation may exceed them by its
    own rounding. `x` is float32 [sample, *shape] in 0..1, `labels` int64 [sample]. Raises BadInput.

    >>> from hwsim.registry import build
    >>> from hwsim.training.ensemble import Members, train
    >>> x, labels = np.eye(8, dtype=np.float32), np.arange(8) % 2
    >>> ensemble = train(build("model", "mlp", hidden=(4,), epochs=1), Members(x, labels, np.ones((2, 8), np.bool_)))
    >>> worst, plain = verified_logits(ensemble, x, labels, eps=0.1), ensemble.logits(x)
    >>> bool((worst[:, labels == 0, 0] < plain[:, labels == 0, 0]).all()), worst.shape
    (True, (2, 8, 2))
    """
    config = PGDConfig(eps)
    check_samples(x, labels, config)
    weights = {name: tensor.double() for name, tensor in ensemble.weights.items()}
    batches = []
    with torch.no_grad(), one_thread():
        for begin in range(0, len(x), VERIFY_BATCH):
            rows = slice(begin, begin + VERIFY_BATCH)
            inputs = repeat_input(torch.from_numpy(np.ascontiguousarray(x[rows])).double(), ensemble.models)
            bounds = logit_bounds(ensemble.graph, weights, config.bounds(inputs))
            low, high = (_by_model(t, ensemble.models) for t in bounds)
            targets = torch.from_numpy(labels[rows])[None, :, None].expand(ensemble.models, -1, 1)
            batches.append(high.scatter(2, targets, low.gather(2, targets)))
    worst: NDArray[np.float64] = torch.cat(batches, 1).numpy()
    return worst


def logit_bounds(graph: FloatGraph, weights: Weights, inputs: Bounds) -> Bounds:
    """Compute bounds of the logits [sample, model * class] from bounds of the inputs."""
    values: dict[str, Bounds] = {INPUT: inputs}
    for node in graph.nodes:
        values[node.name] = _node_bounds(node, values, weights)
    return values[graph.output.name]


def _node_bounds(node: Node, values: Mapping[str, Bounds], weights: Weights) -> Bounds:
    """Propagate bounds through one layer.

    All operations except sums of products are monotonic, so the bounds of their outputs are the outputs of the bounds.
    """
    if not node.has_macs:
        by_end = [{name: bounds[end] for name, bounds in values.items()} for end in (0, 1)]
        low, high = (node_output(node, inputs, weights, FloatArithmetic()) for inputs in by_end)
        return low, high
    low, high = values[node.inputs[0]]
    weight, bias = weights[f"{node.name}.weight"], weights[f"{node.name}.bias"]
    center = sum_of_products(node, (low + high) / 2, weight, bias)
    radius = sum_of_products(node, (high - low) / 2, weight.abs(), None)
    arithmetic = FloatArithmetic()
    return arithmetic.output(node, center - radius), arithmetic.output(node, center + radius)


def _by_model(values: Tensor, models: int) -> Tensor:
    """[sample, model * class, ...] -> [model, sample, class]."""
    return values.reshape(values.shape[0], models, -1).transpose(0, 1)
