"""Training loop: Adam with cosine decay over many models, in groups on all threads, with checkpoints.

Models are independent of each other, so they are split into groups. A group is one computation (a grouped
convolution, a batched matrix product) whose values stay in the cache. Groups run in parallel on threads. The split
depends on the network and the batch alone, so the bits of the result depend neither on the number of threads nor on
an interruption.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwsim.arithmetic import ceil_div
from hwsim.float_graph.graph import FloatArithmetic, FloatGraph, Weights, forward
from hwsim.training.checkpoint import Arrays, Checkpoint

Progress = Callable[[float], None]
"""Callback with the completed share of the work, 0 to 1."""

Parameters = dict[str, Tensor]
"""Trained tensors by name, stacked [model, ...]."""

EpochCallback = Callable[[int, Parameters], None]
"""Callback after each epoch with its number, from 0, and the parameters of all models."""

GROUP_BYTES = 8 << 20
"""Approximate memory of one training step of a group; more does not stay in one core's share of the cache."""


class LossFunction(Protocol):
    """Function that the training minimizes."""

    def __call__(self, parameters: Parameters, models: slice, chosen: Tensor) -> Tensor:
        """Return the sum over `models` of the mean loss of each on its samples `chosen` int64 [model, batch].

        `parameters` contains the tensors of `models` only.
        """


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """Settings of one training.

    Attributes
    ----------
    epochs : number of epochs
    batch : samples per step and model
    learning_rate : initial rate of Adam, which decays to zero along a cosine
    order : function of the epoch that returns its samples int64 [model, steps * batch]
    loss : function to minimize
    weight_decay : weight decay of Adam
    """

    epochs: int
    batch: int
    learning_rate: float
    order: Callable[[int], NDArray[np.int64]]
    loss: LossFunction
    weight_decay: float = 0.0


def fit(
    parameters: Mapping[str, Tensor],
    plan: TrainingPlan,
    group_size: int,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    epoch_callback: EpochCallback | None = None,
) -> Parameters:
    """Train stacked parameters [model, ...], about `group_size` models at a time; returns new tensors.

    With a `checkpoint` the state is stored after every epoch, and an interrupted training continues from it with the
    same bits. The checkpoint is removed at the end.
    """
    models = len(next(iter(parameters.values())))
    groups = [_Group(rows, parameters, plan) for rows in model_groups(models, group_size)]
    first_epoch = _restore(groups, checkpoint)
    steps = plan.order(0).shape[1] // plan.batch
    rates = cosine_rates(plan.learning_rate, plan.epochs * steps)
    with _parallel_map(len(groups)) as run_all:
        for epoch in range(first_epoch, plan.epochs):
            order = torch.from_numpy(plan.order(epoch)).to(groups[0].device)
            epoch_rates = rates[epoch * steps : (epoch + 1) * steps]
            work = [_Epoch(g, order[g.models].split(plan.batch, dim=1), epoch_rates) for g in groups]
            for _ in run_all(_Epoch.run, work):
                pass
            if checkpoint is not None:
                checkpoint.save(epoch + 1, _state(groups))
            if epoch_callback is not None:
                epoch_callback(epoch, _all_parameters(groups))
            if progress is not None:
                progress((epoch + 1) / plan.epochs)
    if checkpoint is not None:
        checkpoint.remove()
    return _all_parameters(groups)


def model_groups(models: int, group_size: int) -> list[slice]:
    """Split models into groups of `group_size` or a few more; a group has one model only where there is just one.

    torch convolves a single group with another kernel than several groups, which sums in another order.

    >>> model_groups(7, 3), model_groups(3, 2), model_groups(1, 2)
    ([slice(0, 4, None), slice(4, 7, None)], [slice(0, 3, None)], [slice(0, 1, None)])
    """
    count = max(1, models // max(group_size, 2))
    edges = [ceil_div(models * number, count) for number in range(count + 1)]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def models_per_group(graph: FloatGraph, weights: Weights, batch: int) -> int:
    """Compute how many models form a group: the values and weights of a step take about GROUP_BYTES."""
    one_model = {name: torch.empty((1, *tensor.shape[1:]), device="meta") for name, tensor in weights.items()}
    sample = torch.empty((1, *graph.input_shape), device="meta")
    values = sum(value.numel() for value in forward(graph, one_model, sample, FloatArithmetic()).values())
    trained = sum(tensor.numel() for tensor in one_model.values())
    return max(2, GROUP_BYTES // (4 * (batch * values + 4 * trained)))


def cosine_rates(start: float, steps: int) -> list[float]:
    """Compute learning rates that decay from `start` to zero along half a cosine, with CosineAnnealingLR's rounding.

    >>> [round(rate, 3) for rate in cosine_rates(1.0, 4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    rates = [start]
    for step in range(1, steps):  # torch multiplies from step to step; the closed form rounds otherwise
        factor = (1 + math.cos(math.pi * step / steps)) / (1 + math.cos(math.pi * (step - 1) / steps))
        rates.append(factor * rates[-1])
    return rates


class _Group:
    """Models that are trained in one computation: their parameters [model of the group, ...] and their optimizer."""

    def __init__(self, models: slice, parameters: Mapping[str, Tensor], plan: TrainingPlan) -> None:
        self.models, self.loss = models, plan.loss
        self.parameters = {name: t.detach()[models].clone().requires_grad_() for name, t in parameters.items()}
        self.device = next(iter(self.parameters.values())).device
        self.optimizer = torch.optim.Adam(self.parameters.values(), plan.learning_rate, weight_decay=plan.weight_decay)

    def step(self, chosen: Tensor, rate: float) -> None:
        """Take one step of Adam on the samples `chosen` int64 [model, batch]."""
        self.optimizer.param_groups[0]["lr"] = rate
        loss = self.loss(self.parameters, self.models, chosen)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Return parameters and moments of Adam [model, ...], and its step counts [model]."""
        out: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            moments = self.optimizer.state.get(parameter, {})
            zero = torch.zeros_like(parameter)
            count = torch.as_tensor(moments.get("step", 0.0), dtype=torch.float32)
            out[f"value {name}"] = parameter.detach()
            out[f"mean {name}"] = moments.get("exp_avg", zero)
            out[f"square {name}"] = moments.get("exp_avg_sq", zero)
            out[f"steps {name}"] = count.expand(len(parameter))
        return out

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Set parameters and moments from the `state` [model, ...] of all models."""
        for name, parameter in self.parameters.items():
            own = {part: state[f"{part} {name}"][self.models].clone() for part in ("value", "mean", "square")}
            with torch.no_grad():
                parameter.copy_(own["value"])
            moments = {"exp_avg": own["mean"].to(self.device), "exp_avg_sq": own["square"].to(self.device)}
            self.optimizer.state[parameter] = {"step": state[f"steps {name}"][0].clone()} | moments


@dataclass(frozen=True, eq=False)
class _Epoch:
    """One epoch of one group: samples int64 [model, batch] and learning rate of each step."""

    group: _Group
    batches: Sequence[Tensor]
    rates: Sequence[float]

    def run(self) -> None:
        for chosen, rate in zip(self.batches, self.rates, strict=True):
            self.group.step(chosen, rate)


def _state(groups: Sequence[_Group]) -> Arrays:
    """Return the state of all models, stacked [model, ...]."""
    states = [group.state() for group in groups]
    return {name: torch.cat([state[name] for state in states]).cpu().numpy() for name in states[0]}


def _all_parameters(groups: Sequence[_Group]) -> Parameters:
    """Return the parameters of all models, stacked [model, ...]."""
    names = groups[0].parameters
    return {name: torch.cat([group.parameters[name].detach() for group in groups]) for name in names}


def _restore(groups: Sequence[_Group], checkpoint: Checkpoint | None) -> int:
    """Restore the state of an interrupted training; returns the number of finished epochs."""
    stored = None if checkpoint is None else checkpoint.load(_state(groups))
    if stored is None:
        return 0
    epochs, arrays = stored
    for group in groups:
        group.restore({name: torch.from_numpy(array) for name, array in arrays.items()})
    return epochs


@contextmanager
def one_thread() -> Iterator[None]:
    """Restrict torch to one thread: sums then have one order, so results do not depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _parallel_map(groups: int) -> Iterator[Callable[[Callable[[_Epoch], None], Sequence[_Epoch]], Iterable[None]]]:
    """Provide a `map` that runs groups in parallel on torch's threads, each torch operation on one thread."""
    workers = min(torch.get_num_threads(), groups)
    with one_thread():
        if workers == 1:
            yield map
            return
        with ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, 1)) as pool:
            yield pool.map
