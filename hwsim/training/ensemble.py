"""Train many models of one architecture as one grouped computation, each on its own members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hwsim.errors import BadInput
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


@dataclass(frozen=True, eq=False)
class Members:
    """Who trains on what: inputs float32 [sample, *shape], labels int64 [sample], keep bool [model, sample].

    Row i of `keep` is model number `first + i`. The number names the model's random streams, so that a
    model comes out the same whichever others it is trained with.
    """

    x: NDArray[np.float32]
    labels: NDArray[np.int64]
    keep: NDArray[np.bool_]
    first: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.keep.ndim != 2 or self.keep.shape[1] != len(self.x) or self.labels.shape != (len(self.x),):
            given = f"x {self.x.shape}, labels {self.labels.shape}, keep {self.keep.shape}"
            raise BadInput("members", given, "x [sample, ...], labels [sample], keep [model, sample]")
        if not self.keep.any(axis=1).all():
            raise BadInput(
                "members.keep", f"model {int(self.keep.any(axis=1).argmin())} without members", "at least one"
            )

    @property
    def numbers(self) -> range:
        """The models' numbers."""
        return range(self.first, self.first + len(self.keep))

    def steps(self, batch: int) -> int:
        """Steps per epoch: enough for the model with most members."""
        return -(-int(self.keep.sum(axis=1).max()) // batch)

    def order(self, purpose: str, epoch: int, batch: int) -> NDArray[np.int64]:
        """Samples in the order of one epoch: int64 [model, steps * batch].

        One pass over each model's own members; a model with fewer of them begins its pass anew in the last step.
        """
        rows = []
        for number, kept in zip(self.numbers, self.keep, strict=True):
            shuffled = stream(self.seed, purpose, number, epoch).permutation(np.flatnonzero(kept))
            rows.append(np.resize(shuffled, self.steps(batch) * batch))
        return np.stack(rows)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Trained float models of one architecture: the graph and its weights, stacked [model, ...]."""

    graph: FloatGraph
    weights: Weights

    @property
    def models(self) -> int:
        """How many models there are."""
        return models_in(self.weights)

    def logits(self, x: NDArray[np.float32], arithmetic: Arithmetic | None = None) -> NDArray[np.float64]:
        """Logits float64 [model, sample, class] for inputs [sample, *shape], in real or any other arithmetic."""
        arithmetic, out = arithmetic or FloatArithmetic(), []
        with torch.no_grad(), one_thread():
            for begin in range(0, len(x), EVALUATION_BATCH):
                batch = repeat_input(torch.from_numpy(x[begin : begin + EVALUATION_BATCH]), self.models)
                out.append(logits(self.graph, self.weights, batch, arithmetic))
        together: NDArray[np.float64] = torch.cat(out, 1).double().numpy()
        return together


def silent(done: float) -> None:
    """A tick that tells nobody."""


def train(model: Model, members: Members, tick: Tick = silent) -> Ensemble:
    """Train one model per row of `members.keep` by the model's recipe, all as one computation.

    >>> from hwsim.registry import build
    >>> x, labels = np.eye(8, dtype=np.float32), np.arange(8) % 2
    >>> members = Members(x, labels, np.ones((3, 8), dtype=np.bool_))
    >>> train(build("model", "mlp", hidden=(4,), epochs=1), members).logits(x).shape
    (3, 8, 2)
    """
    graph, weights = _start(model, members)
    for tensor in weights.values():
        tensor.requires_grad_()
    optimizer = torch.optim.Adam(weights.values(), model.learning_rate, weight_decay=model.weight_decay)
    recipe = _Recipe("train", model.epochs, model.batch, optimizer)
    _fit(graph, weights, FloatArithmetic(), members, recipe, tick)
    return Ensemble(graph, _detached(weights))


def fine_tune(
    ensemble: Ensemble,
    quantizer: Quantizer,
    calibration: NDArray[np.float32],
    members: Members,
    batch: int = 64,
    tick: Tick = silent,
) -> tuple[Ensemble, Scheme]:
    """Fine-tune weights and step sizes together, for a quantizer that trains; the scheme holds the learned steps."""
    graph = ensemble.graph
    start = quantizer.scheme(graph, ensemble.weights, torch.from_numpy(calibration))
    weights = {name: tensor.clone().requires_grad_() for name, tensor in ensemble.weights.items()}
    steps = {name: step.clone().requires_grad_() for name, step in start.steps().items()}
    scheme = start.with_steps(steps)
    settings = quantizer.model_dump()
    optimizer = torch.optim.Adam([*weights.values(), *steps.values()], settings["learning_rate"])
    recipe = _Recipe("fine_tune", settings["epochs"], batch, optimizer)
    _fit(graph, weights, FakeQuantArithmetic(graph, scheme), members, recipe, tick)
    return Ensemble(graph, _detached(weights)), scheme.with_steps(_detached(steps))


@dataclass(frozen=True, eq=False)
class _Recipe:
    purpose: str
    epochs: int
    batch: int
    optimizer: torch.optim.Optimizer


MOST_WEIGHTS = 1 << 28
"""Most weights that are trained at once; with gradients and Adam's moments four times as many numbers."""


def _start(model: Model, members: Members) -> tuple[FloatGraph, Weights]:
    shape, classes = members.x.shape[1:], int(members.labels.max()) + 1
    with torch.device("meta"):  # sizes without memory
        count = len(members.numbers) * sum(weight.numel() for weight in model.module(shape, classes).parameters())
    if count > MOST_WEIGHTS:
        each = f"{count // len(members.numbers):,} weights in each of {len(members.numbers)} models"
        raise BadInput("model", each, f"{MOST_WEIGHTS:,} weights at once; use fewer or smaller layers")
    stacks = []
    for number in members.numbers:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(members.seed, "initial weights", number))
            graph, weights = import_module(model.module(shape, classes), shape)
        stacks.append(weights)
    return graph, {name: torch.cat([w[name] for w in stacks]) for name in stacks[0]}


def _fit(
    graph: FloatGraph, weights: Weights, arithmetic: Arithmetic, members: Members, recipe: _Recipe, tick: Tick
) -> None:
    """Minimise each model's cross-entropy; the sum over models keeps their gradients apart."""
    all_x, all_labels = torch.from_numpy(members.x), torch.from_numpy(members.labels)
    steps = members.steps(recipe.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(recipe.optimizer, recipe.epochs * steps)
    with one_thread():
        for epoch in range(recipe.epochs):
            order = torch.from_numpy(members.order(recipe.purpose, epoch, recipe.batch))
            for chosen in order.split(recipe.batch, dim=1):  # [model, batch]
                x = _channels_last(all_x[chosen.T].flatten(1, 2))  # [batch, model * channel, ...]
                labels = all_labels[chosen]
                out = logits(graph, weights, x, arithmetic)
                loss = F.cross_entropy(out.flatten(0, 1), labels.flatten(), reduction="sum") / recipe.batch
                recipe.optimizer.zero_grad()
                loss.backward()
                recipe.optimizer.step()
                schedule.step()
            tick((epoch + 1) / recipe.epochs)


def _detached(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in tensors.items()}


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
