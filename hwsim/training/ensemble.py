"""Ensembles: many models of one architecture, each trained on its own members, in one computation."""

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

from hwsim.arithmetic import ceil_div
from hwsim.arrays import integer_array, real_array, require_finite, truth_array
from hwsim.checksums import code_checksums
from hwsim.errors import BadInput
from hwsim.float_graph.graph import Arithmetic, FloatArithmetic, FloatGraph, Weights, logits, model_count, repeat_input
from hwsim.interop.torch.reader import import_module
from hwsim.rng import derive_seed, stream
from hwsim.training.checkpoint import Checkpoint, setting_key
from hwsim.training.fit import (
    LossFunction,
    Parameters,
    Progress,
    TrainingPlan,
    fit,
    models_per_group,
    one_thread,
)
from hwsim.training.grouped import GroupArithmetic
from hwsim.training.models.base import Model
from hwsim.training.pgd import PGDConfig, perturb
from hwsim.version import MODEL_VERSION

EVALUATION_BATCH = 256
"""Samples that `Ensemble.logits` evaluates at once."""

DEVICES = ("cpu", "cuda")
"""Devices of `train`."""

MAX_WEIGHTS = 1 << 28
"""Largest number of weights that are trained at once; gradients and moments of Adam take three times as much."""


@dataclass(frozen=True, eq=False)
class Members:
    """Samples, and the members of each model, that is, the samples which it is trained on.

    Attributes
    ----------
    x : inputs float32 [sample, *shape]
    labels : int64 [sample]
    keep : bool [model, sample], True where the sample is a member of the model
    first : number of the model of row 0. The number selects the random streams of a model, so that a model does not
        depend on which other models are trained with it.
    seed : seed of initial weights and sample order
    """

    x: NDArray[np.float32]
    labels: NDArray[np.int64]
    keep: NDArray[np.bool_]
    first: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        x = real_array(self.x, "members.x")
        # frozen: lists and tensors become arrays here, once
        object.__setattr__(self, "x", x.astype(np.float32, copy=False))
        object.__setattr__(self, "labels", integer_array(self.labels, "members.labels").astype(np.int64, copy=False))
        object.__setattr__(self, "keep", truth_array(self.keep, "members.keep"))
        if self.x.ndim < 2 or self.x.size == 0:
            raise BadInput("members.x", f"shape {self.x.shape}", "[sample, *shape of a sample], at least one sample")
        require_finite(self.x, "members.x")
        if self.labels.size and self.labels.min() < 0:
            raise BadInput("members.labels", int(self.labels.min()), "classes from 0")
        if self.keep.ndim != 2 or self.keep.shape[1] != len(self.x) or self.labels.shape != (len(self.x),):
            given = f"x {self.x.shape}, labels {self.labels.shape}, keep {self.keep.shape}"
            raise BadInput("members", given, "x [sample, ...], labels [sample], keep [model, sample]")
        if not self.keep.any(axis=1).all():
            raise BadInput(
                "members.keep", f"model {int(self.keep.any(axis=1).argmin())} without members", "at least one"
            )

    @property
    def numbers(self) -> range:
        """Numbers of the models."""
        return range(self.first, self.first + len(self.keep))

    def steps(self, batch: int) -> int:
        """Return the steps per epoch, enough for the model with the most members."""
        return ceil_div(int(self.keep.sum(axis=1).max()), batch)

    def order(self, purpose: str, epoch: int, batch: int) -> NDArray[np.int64]:
        """Return the samples of one epoch in their order: int64 [model, steps * batch].

        An epoch is one pass over the members of each model. A model with fewer members begins a second pass in the
        last step. `purpose` names the random streams.
        """
        rows = []
        for number, members in zip(self.numbers, self.keep, strict=True):
            shuffled = stream(self.seed, purpose, number, epoch).permutation(np.flatnonzero(members))
            rows.append(np.resize(shuffled, self.steps(batch) * batch))
        return np.stack(rows)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Trained float models of one architecture: the graph, and its weights stacked [model, ...]."""

    graph: FloatGraph
    weights: Weights

    @property
    def models(self) -> int:
        """Number of models."""
        return model_count(self.weights)

    def logits(self, x: NDArray[np.float32], arithmetic: Arithmetic | None = None) -> NDArray[np.float64]:
        """Compute logits float64 [model, sample, class] for inputs [sample, *shape], by default in real arithmetic."""
        arithmetic, batches = arithmetic or FloatArithmetic(), []
        with torch.no_grad(), one_thread():
            for begin in range(0, len(x), EVALUATION_BATCH):
                batch = repeat_input(torch.from_numpy(x[begin : begin + EVALUATION_BATCH]), self.models)
                batches.append(logits(self.graph, self.weights, batch, arithmetic))
        all_logits: NDArray[np.float64] = torch.cat(batches, 1).double().numpy()
        return all_logits


def train(
    model: Model,
    members: Members,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
) -> Ensemble:
    """Train one model per row of `members.keep` by the recipe of `model`, all in one computation.

    Parameters
    ----------
    model : architecture and training recipe
    members : samples and members of each model
    progress : callback with the completed share of the work
    checkpoint : file of the training state between epochs. An interrupted call that is repeated continues after the
        last finished epoch, with the same bits. The file is removed at the end. A file of another setting is
        overwritten.
    device : "cpu" or "cuda". A GPU gives other bits than the CPU. The returned ensemble is on the CPU.

    Raises
    ------
    BadInput : for a device that does not exist, and for more than MAX_WEIGHTS weights.

    >>> from hwsim.registry import build
    >>> x, labels = np.eye(8, dtype=np.float32), np.arange(8) % 2
    >>> members = Members(x, labels, np.ones((3, 8), dtype=np.bool_))
    >>> train(build("model", "mlp", hidden=(4,), epochs=1), members).logits(x).shape
    (3, 8, 2)
    """
    if device not in DEVICES or (device == "cuda" and not torch.cuda.is_available()):
        allowed = "cpu or cuda" if torch.cuda.is_available() else "cpu; torch finds no CUDA device here"
        raise BadInput("device", device, allowed)
    if not isinstance(model, Model):
        raise BadInput("model", f"a {type(model).__name__}", 'hwsim.build("model", ...)')
    if not isinstance(members, Members):
        raise BadInput("members", f"a {type(members).__name__}", "Members")
    graph, weights = initial_weights(model, members, int(members.labels.max()) + 1)
    x, labels = torch.from_numpy(members.x).to(device), torch.from_numpy(members.labels).to(device)
    pgd = None if model.adversarial_eps == 0 else PGDConfig(model.adversarial_eps, model.adversarial_steps)

    def loss(parameters: Parameters, models: slice, chosen: Tensor) -> Tensor:
        inputs, targets = gather(x, chosen), labels[chosen]
        if pgd is not None:
            inputs = perturb(graph, parameters, inputs, targets, pgd)
        arithmetic = GroupArithmetic(models, len(members.keep))
        return mean_cross_entropy(logits(graph, parameters, inputs, arithmetic), targets)

    plan = training_plan(model, members, "train", model.epochs, loss)
    group_size = models_per_group(graph, weights, model.batch) if device == "cpu" else len(members.keep)
    settings: dict[str, Any] = {
        "model": model.model_dump(mode="json"),
        "class": type(model).__qualname__,
        "device": device,
    }
    settings["code"] = code_checksums(type(model)) if checkpoint else {}
    state = checkpoint_at(checkpoint, "train", members, settings)
    trained = fit({name: tensor.to(device) for name, tensor in weights.items()}, plan, group_size, progress, state)
    return Ensemble(graph, {name: tensor.cpu() for name, tensor in trained.items()})


def initial_weights(model: Model, members: Members, classes: int) -> tuple[FloatGraph, Weights]:
    """Return the graph and the initial weights [model, ...], each model from its own random stream.

    Raises BadInput for more than MAX_WEIGHTS weights, before memory is allocated.
    """
    shape = members.x.shape[1:]
    with torch.device("meta"):  # sizes without memory
        count = len(members.numbers) * sum(weight.numel() for weight in model.module(shape, classes).parameters())
    if count > MAX_WEIGHTS:
        given = f"{count // len(members.numbers):,} weights in each of {len(members.numbers)} models"
        raise BadInput("model", given, f"{MAX_WEIGHTS:,} weights at once; use fewer or smaller layers")
    stacks = []
    for number in members.numbers:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(members.seed, "initial weights", number))
            graph, weights = import_module(model.module(shape, classes), shape)
        stacks.append(weights)
    return graph, {name: torch.cat([w[name] for w in stacks]) for name in stacks[0]}


def training_plan(model: Model, members: Members, purpose: str, epochs: int, loss: LossFunction) -> TrainingPlan:
    """Return the plan of a training by the recipe of `model`; `purpose` names the random streams of the order."""
    order = partial(members.order, purpose, batch=model.batch)
    return TrainingPlan(epochs, model.batch, model.learning_rate, order, loss, model.weight_decay)


def gather(x: Tensor, chosen: Tensor) -> Tensor:
    """Select the samples `chosen` int64 [model, batch] of `x` [sample, ...] as [batch, model * channel, ...].

    Images are returned channels last: grouped convolutions run up to three times faster in this layout, with the same
    numbers.
    """
    inputs = x[chosen.T].flatten(1, 2)
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs


def mean_cross_entropy(out: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean cross-entropy of each model, summed over models, so that their gradients stay separate.

    `out` is [model, sample, class], `labels` int64 [model, sample].
    """
    return F.cross_entropy(out.flatten(0, 1), labels.flatten(), reduction="sum") / labels.shape[1]


def checkpoint_at(
    path: Path | None,
    purpose: str,
    members: Members,
    settings: Mapping[str, Any],
    start: Mapping[str, Tensor] | None = None,
) -> Checkpoint | None:
    """Return the checkpoint of a training at `path`, None without a path.

    The key of the checkpoint covers everything that affects the bits of the training: `purpose`, `members`, plain
    `settings`, the tensors `start` that the training starts from, and the versions of hwsim and torch.
    """
    if path is None:
        return None
    versions = {"purpose": purpose, "model_version": MODEL_VERSION, "torch": torch.__version__}
    numbers = {"first": members.first, "seed": members.seed}
    arrays: dict[str, NDArray[Any]] = {"x": members.x, "labels": members.labels, "keep": members.keep}
    arrays |= {name: tensor.detach().numpy() for name, tensor in (start or {}).items()}
    return Checkpoint(path, setting_key({**versions, **numbers, **settings}, arrays))
