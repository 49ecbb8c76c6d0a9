"""Train many models of one architecture as one grouped computation, each on its own members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hwsim.interop.float_graph import Arithmetic, FloatArithmetic, FloatGraph, Weights, logits, models_in, repeat_input
from hwsim.interop.torch_module import import_module
from hwsim.quantizers.base import Quantizer
from hwsim.quantizers.fake import FakeQuantArithmetic
from hwsim.quantizers.grid import Scheme
from hwsim.rng import derive_seed, stream
from hwsim.training.models import Model

Tick = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1."""

EVALUATION_BATCH = 256


def train(
    model: Model,
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    keep: NDArray[np.bool_],
    first: int,
    seed: int,
    tick: Tick,
) -> tuple[FloatGraph, Weights]:
    """Train models `first`, `first + 1`, ... on their members; returns the graph and stacked weights.

    `x` float32 [sample, *shape], `labels` int64 [sample], `keep` bool [model, sample] (true: member).
    The number of the first model names the random streams, so a model comes out the same whichever
    others it is trained with.
    """
    classes = int(labels.max()) + 1
    graph, weights = _start(model, x.shape[1:], classes, range(first, first + len(keep)), seed)
    members = _Members(x, labels, keep, first, seed, "train")
    for tensor in weights.values():
        tensor.requires_grad_()
    optimizer = torch.optim.Adam(weights.values(), model.learning_rate, weight_decay=model.weight_decay)
    _fit(graph, weights, FloatArithmetic(), members, optimizer, model.epochs, model.batch, tick)
    return graph, {name: tensor.detach() for name, tensor in weights.items()}


def fine_tune(
    graph: FloatGraph,
    weights: Weights,
    quantizer: Quantizer,
    calibration: NDArray[np.float32],
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    keep: NDArray[np.bool_],
    first: int,
    seed: int,
    batch: int,
    tick: Tick,
) -> tuple[Weights, Scheme]:
    """Fine-tune stacked weights and step sizes of a quantizer that trains; returns both."""
    start = quantizer.scheme(graph, weights, torch.from_numpy(calibration))
    weights = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    steps = {name: step.clone().requires_grad_() for name, step in start.steps().items()}
    scheme = start.with_steps(steps)
    members = _Members(x, labels, keep, first, seed, "fine_tune")
    rate: float = getattr(quantizer, "learning_rate")  # noqa: B009 (every quantizer that trains has one)
    optimizer = torch.optim.Adam([*weights.values(), *steps.values()], rate)
    epochs: int = getattr(quantizer, "epochs")  # noqa: B009
    _fit(graph, weights, FakeQuantArithmetic(graph, scheme), members, optimizer, epochs, batch, tick)
    trained = {name: step.detach() for name, step in steps.items()}
    return {name: tensor.detach() for name, tensor in weights.items()}, scheme.with_steps(trained)


def float_logits(graph: FloatGraph, weights: Weights, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits float64 [model, sample, class] of the float networks."""
    return ensemble_logits(graph, weights, x, FloatArithmetic())


def ensemble_logits(
    graph: FloatGraph, weights: Weights, x: NDArray[np.float32], arithmetic: Arithmetic
) -> NDArray[np.float64]:
    """Logits float64 [model, sample, class] under any arithmetic."""
    models, out = models_in(weights), []
    with torch.no_grad(), one_thread():
        for begin in range(0, len(x), EVALUATION_BATCH):
            batch = torch.from_numpy(x[begin : begin + EVALUATION_BATCH])
            out.append(logits(graph, weights, repeat_input(batch, models), arithmetic))
    return torch.cat(out, 1).double().numpy()  # type: ignore[no-any-return]


class _Members:
    """Batches for every model at once: each epoch is one pass over each model's own members."""

    def __init__(
        self,
        x: NDArray[np.float32],
        labels: NDArray[np.int64],
        keep: NDArray[np.bool_],
        first: int,
        seed: int,
        purpose: str,
    ) -> None:
        self.x, self.labels = torch.from_numpy(x), torch.from_numpy(labels)
        self.indices = [np.flatnonzero(row) for row in keep]
        self.first, self.seed, self.purpose = first, seed, purpose

    def steps(self, batch: int) -> int:
        """Steps per epoch: enough for the model with most members; others begin their pass anew in the last step."""
        return -(-max(map(len, self.indices)) // batch)

    def epoch(self, number: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches: inputs [batch, model * channel, ...] and labels [model, batch]."""
        steps = self.steps(batch)
        order = np.stack([self._order(i, number, steps * batch) for i in range(len(self.indices))])
        for step in range(steps):
            chosen = torch.from_numpy(order[:, step * batch : (step + 1) * batch])
            x = self.x[chosen.T]  # [batch, model, *shape]
            yield x.flatten(1, 2), self.labels[chosen]

    def _order(self, model: int, epoch: int, draws: int) -> NDArray[np.int64]:
        shuffled = stream(self.seed, self.purpose, self.first + model, epoch).permutation(self.indices[model])
        return np.resize(shuffled, draws)


def _start(model: Model, shape: tuple[int, ...], classes: int, numbers: range, seed: int) -> tuple[FloatGraph, Weights]:
    stacks = []
    for number in numbers:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "initial weights", number))
            graph, weights = import_module(model.module(shape, classes), shape)
        stacks.append(weights)
    return graph, {name: torch.cat([w[name] for w in stacks]) for name in stacks[0]}


def _fit(
    graph: FloatGraph, weights: Mapping[str, Tensor], arithmetic: Arithmetic, members: _Members,
    optimizer: torch.optim.Optimizer, epochs: int, batch: int, tick: Tick,
) -> None:  # fmt: skip
    """Minimise each model's cross-entropy; the sum over models keeps their gradients apart."""
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * members.steps(batch))
    with one_thread():
        for epoch in range(epochs):
            for x, labels in members.epoch(epoch, batch):
                out = logits(graph, dict(weights), _channels_last(x), arithmetic)
                loss = F.cross_entropy(out.flatten(0, 1), labels.flatten(), reduction="sum") / labels.shape[1]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            tick((epoch + 1) / epochs)


def _channels_last(x: Tensor) -> Tensor:
    """Grouped convolutions run up to three times faster in this layout; the numbers are the same."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


@contextmanager
def one_thread() -> Iterator[None]:
    """Pin torch to one thread: sums then run in one order, so results do not depend on the machine's cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
