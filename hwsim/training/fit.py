"""The training loop: Adam with cosine decay over many models, a few at a time, on all threads, with checkpoints.

Models are independent of each other, so they are cut into groups. A group is one computation (a
grouped convolution, a batched matrix product) whose values stay in the cache; groups run side by
side on threads. How the models are cut depends on the network and on the batch alone, so the bits of the result
depend neither on the number of threads nor on where a training was interrupted.
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

from hwsim.float_graph.graph import FloatArithmetic, FloatGraph, Weights, forward
from hwsim.training.checkpoint import Arrays, Checkpoint

Tick = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1."""

Parameters = dict[str, Tensor]
"""What is trained, stacked [model, ...], by name."""

Watch = Callable[[int, Parameters], None]
"""Called after each epoch with its number, from 0, and the parameters of all models."""

GROUP_BYTES = 8 << 20
"""About so much memory does a group touch in one step: more does not stay in a core's share of the cache."""


class Loss(Protocol):
    """What is minimised."""

    def __call__(self, parameters: Parameters, models: slice, chosen: Tensor) -> Tensor:
        """Sum over `models` of each one's mean loss on its samples `chosen` int64 [model, batch]."""


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """One training: its recipe, its loss, and the samples of each epoch int64 [model, steps * batch]."""

    epochs: int
    batch: int
    learning_rate: float
    order: Callable[[int], NDArray[np.int64]]
    loss: Loss
    weight_decay: float = 0.0


def silent(done: float) -> None:
    """A tick that tells nobody."""


def unwatched(epoch: int, parameters: Parameters) -> None:
    """A watch that looks at nothing."""


def fit(
    parameters: Mapping[str, Tensor],
    course: TrainingPlan,
    group: int,
    tick: Tick = silent,
    checkpoint: Checkpoint | None = None,
    watch: Watch = unwatched,
) -> Parameters:
    """Train stacked parameters [model, ...], about `group` models at a time; returns new tensors.

    With a `checkpoint` the state is stored after every epoch, and a training that was stopped continues from there
    with the same bits. The checkpoint is removed at the end.
    """
    models = len(next(iter(parameters.values())))
    groups = [_Group(rows, parameters, course) for rows in cut(models, group)]
    begun = _restore(groups, checkpoint)
    steps = course.order(0).shape[1] // course.batch
    rates = cosine_rates(course.learning_rate, course.epochs * steps)
    with _threads(len(groups)) as each:
        for epoch in range(begun, course.epochs):
            order = torch.from_numpy(course.order(epoch)).to(groups[0].device)
            now = rates[epoch * steps : (epoch + 1) * steps]
            work = [_Epoch(member, order[member.models].split(course.batch, dim=1), now) for member in groups]
            for _ in each(_Epoch.run, work):
                pass
            if checkpoint is not None:
                checkpoint.save(epoch + 1, _state(groups))
            watch(epoch, _together(groups))
            tick((epoch + 1) / course.epochs)
    if checkpoint is not None:
        checkpoint.remove()
    return _together(groups)


def cut(models: int, group: int) -> list[slice]:
    """Cut models into groups of `group` or a few more; one model is never left alone.

    A convolution of one group runs in another kernel than a grouped one, which adds in another order.

    >>> cut(7, 3), cut(3, 2), cut(1, 2)
    ([slice(0, 4, None), slice(4, 7, None)], [slice(0, 3, None)], [slice(0, 1, None)])
    """
    count = max(1, models // max(group, 2))
    edges = [-(-models * number // count) for number in range(count + 1)]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def models_at_once(graph: FloatGraph, weights: Weights, batch: int) -> int:
    """How many models of this kind make a group: the values and weights of a step fill about GROUP_BYTES."""
    one = {name: torch.empty((1, *tensor.shape[1:]), device="meta") for name, tensor in weights.items()}
    sample = torch.empty((1, *graph.input_shape), device="meta")
    values = sum(value.numel() for value in forward(graph, one, sample, FloatArithmetic()).values())
    trained = sum(tensor.numel() for tensor in one.values())
    return max(2, GROUP_BYTES // (4 * (batch * values + 4 * trained)))


def cosine_rates(start: float, steps: int) -> list[float]:
    """Learning rates that fall from `start` to zero along half a cosine, as torch's CosineAnnealingLR has them.

    >>> [round(rate, 3) for rate in cosine_rates(1.0, 4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    rates = [start]
    for step in range(1, steps):  # torch multiplies from step to step; the closed form rounds otherwise
        factor = (1 + math.cos(math.pi * step / steps)) / (1 + math.cos(math.pi * (step - 1) / steps))
        rates.append(factor * rates[-1])
    return rates


class _Group:
    """A few of the models, their parameters and their optimizer."""

    def __init__(self, models: slice, parameters: Mapping[str, Tensor], course: TrainingPlan) -> None:
        self.models, self.loss = models, course.loss
        self.parameters = {name: t.detach()[models].clone().requires_grad_() for name, t in parameters.items()}
        self.device = next(iter(self.parameters.values())).device
        self.optimizer = torch.optim.Adam(
            self.parameters.values(), course.learning_rate, weight_decay=course.weight_decay
        )

    def step(self, chosen: Tensor, rate: float) -> None:
        self.optimizer.param_groups[0]["lr"] = rate
        loss = self.loss(self.parameters, self.models, chosen)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Parameters, Adam's moments and its step count [model]."""
        out: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            kept = self.optimizer.state.get(parameter, {})
            zero = torch.zeros_like(parameter)
            count = torch.as_tensor(kept.get("step", 0.0), dtype=torch.float32)
            out[f"value {name}"] = parameter.detach()
            out[f"mean {name}"] = kept.get("exp_avg", zero)
            out[f"square {name}"] = kept.get("exp_avg_sq", zero)
            out[f"steps {name}"] = count.expand(len(parameter))
        return out

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up a state [model, ...] of all models."""
        for name, parameter in self.parameters.items():
            mine = {what: state[f"{what} {name}"][self.models].clone() for what in ("value", "mean", "square")}
            with torch.no_grad():
                parameter.copy_(mine["value"])
            moments = {"exp_avg": mine["mean"].to(self.device), "exp_avg_sq": mine["square"].to(self.device)}
            self.optimizer.state[parameter] = {"step": state[f"steps {name}"][0].clone()} | moments


@dataclass(frozen=True, eq=False)
class _Epoch:
    group: _Group
    batches: Sequence[Tensor]
    rates: Sequence[float]

    def run(self) -> None:
        for chosen, rate in zip(self.batches, self.rates, strict=True):
            self.group.step(chosen, rate)


def _state(groups: Sequence[_Group]) -> Arrays:
    states = [group.state() for group in groups]
    return {name: torch.cat([state[name] for state in states]).cpu().numpy() for name in states[0]}


def _together(groups: Sequence[_Group]) -> Parameters:
    names = groups[0].parameters
    return {name: torch.cat([group.parameters[name].detach() for group in groups]) for name in names}


def _restore(groups: Sequence[_Group], checkpoint: Checkpoint | None) -> int:
    """Take up the state of a training that was stopped; returns how many epochs it had finished."""
    found = None if checkpoint is None else checkpoint.load(_state(groups))
    if found is None:
        return 0
    epochs, arrays = found
    for group in groups:
        group.restore({name: torch.from_numpy(array) for name, array in arrays.items()})
    return epochs


@contextmanager
def one_thread() -> Iterator[None]:
    """Pin torch to one thread: sums then run in one order, so results do not depend on the machine's cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _threads(groups: int) -> Iterator[Callable[[Callable[[_Epoch], None], Sequence[_Epoch]], Iterable[None]]]:
    """A `map` that runs groups side by side on the threads that torch may use, each operation on one of them."""
    workers = min(torch.get_num_threads(), groups)
    with one_thread():
        if workers == 1:
            yield map
            return
        with ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, 1)) as pool:
            yield pool.map
