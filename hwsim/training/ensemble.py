"""Train many models of one architecture together, each on its own members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hwsim.errors import BadInput
from hwsim.float_graph.graph import Arithmetic, FloatArithmetic, FloatGraph, Weights, logits, models_in, repeat_input
from hwsim.interop.torch.reader import import_module
from hwsim.rng import derive_seed, stream
from hwsim.training.checkpoint import Checkpoint, setting_key
from hwsim.training.fit import Loss, Parameters, Tick, TrainingPlan, fit, models_at_once, one_thread, silent
from hwsim.training.grouped import GroupArithmetic
from hwsim.training.models.base import Model
from hwsim.training.pgd import PGDConfig, perturb
from hwsim.version import MODEL_VERSION

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


def train(
    model: Model,
    members: Members,
    tick: Tick = silent,
    checkpoint: Path | None = None,
    device: str = "cpu",
) -> Ensemble:
    """Train one model per row of `members.keep` by the model's recipe, all together.

    With `checkpoint`, a file, the state is kept after every epoch: the same call after a kill goes on
    from the last finished epoch and ends with the same bits. The file is removed at the end; one that
    another setting left there is overwritten. `device` "cuda" trains on a GPU, with other bits than
    those of the CPU, to which the ensemble comes back. Raises BadInput for a device that is not there
    and for more weights than fit.

    >>> from hwsim.registry import build
    >>> x, labels = np.eye(8, dtype=np.float32), np.arange(8) % 2
    >>> members = Members(x, labels, np.ones((3, 8), dtype=np.bool_))
    >>> train(build("model", "mlp", hidden=(4,), epochs=1), members).logits(x).shape
    (3, 8, 2)
    """
    if device not in DEVICES or (device == "cuda" and not torch.cuda.is_available()):
        there = "cpu or cuda" if torch.cuda.is_available() else "cpu; torch finds no CUDA device here"
        raise BadInput("device", device, there)
    graph, weights = initial_weights(model, members, int(members.labels.max()) + 1)
    x, labels = torch.from_numpy(members.x).to(device), torch.from_numpy(members.labels).to(device)
    ball = None if model.adversarial_eps == 0 else PGDConfig(model.adversarial_eps, model.adversarial_steps)

    def loss(parameters: Parameters, models: slice, chosen: Tensor) -> Tensor:
        inputs, wanted = gather(x, chosen), labels[chosen]
        if ball is not None:
            inputs = perturb(graph, parameters, inputs, wanted, ball)
        arithmetic = GroupArithmetic(models, len(members.keep))
        return mean_cross_entropy(logits(graph, parameters, inputs, arithmetic), wanted)

    course = course_of(model, members, "train", model.epochs, loss)
    group = models_at_once(graph, weights, model.batch) if device == "cpu" else len(members.keep)
    settings = {"model": model.model_dump(mode="json"), "class": type(model).__qualname__, "device": device}
    kept = checkpoint_at(checkpoint, "train", members, settings)
    trained = fit({name: tensor.to(device) for name, tensor in weights.items()}, course, group, tick, kept)
    return Ensemble(graph, {name: tensor.cpu() for name, tensor in trained.items()})


DEVICES = ("cpu", "cuda")
"""Where `train` can train."""

MOST_WEIGHTS = 1 << 28
"""Most weights that are trained at once; with gradients and Adam's moments four times as many numbers."""


def initial_weights(model: Model, members: Members, classes: int) -> tuple[FloatGraph, Weights]:
    """The graph and the initial weights [model, ...] of every member model; each has a random stream of its own."""
    shape = members.x.shape[1:]
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


def course_of(model: Model, members: Members, purpose: str, epochs: int, loss: Loss) -> TrainingPlan:
    """A course by a model's recipe over its members; `purpose` names the random streams of the sample order."""
    order = partial(members.order, purpose, batch=model.batch)
    return TrainingPlan(epochs, model.batch, model.learning_rate, order, loss, model.weight_decay)


def gather(x: Tensor, chosen: Tensor) -> Tensor:
    """Inputs [batch, model * channel, ...] of the samples `chosen` int64 [model, batch] out of x [sample, ...].

    Images come channels last: grouped convolutions run up to three times faster in this layout, with
    the same numbers.
    """
    inputs = x[chosen.T].flatten(1, 2)
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs


def mean_cross_entropy(out: Tensor, labels: Tensor) -> Tensor:
    """Each model's mean cross-entropy, summed over models, which keeps their gradients apart.

    `out` is [model, sample, class], `labels` int64 [model, sample].
    """
    return F.cross_entropy(out.flatten(0, 1), labels.flatten(), reduction="sum") / labels.shape[1]


def checkpoint_at(
    path: Path | None,
    purpose: str,
    members: Members,
    settings: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | None = None,
) -> Checkpoint | None:
    """Return the checkpoint of a training at `path`, None without a path.

    Its key covers everything that affects the bits of the training: `purpose`, members, plain `settings`, start values
    `tensors`, and the versions of hwsim and torch.
    """
    if path is None:
        return None
    versions = {"purpose": purpose, "model_version": MODEL_VERSION, "torch": torch.__version__}
    numbers = {"first": members.first, "seed": members.seed}
    arrays: dict[str, NDArray[Any]] = {"x": members.x, "labels": members.labels, "keep": members.keep}
    arrays |= {name: tensor.detach().numpy() for name, tensor in (tensors or {}).items()}
    return Checkpoint(path, setting_key({**versions, **numbers, **settings}, arrays))
