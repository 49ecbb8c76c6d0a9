"""Adversarial inputs by projected gradient ascent (PGD), on many models at once: the ball, and the climb in it.

Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hwsim.errors import BadInput
from hwsim.float_graph.graph import FloatArithmetic, FloatGraph, Weights, logits

STEPS = 10
"""Steps of an ascent when not given: our own choice."""


@dataclass(frozen=True)
class PGDConfig:
    """The inputs within `eps` of a sample in every component and within `low` to `high`, and how to climb in it.

    `step_size` is 2.5 eps / steps when not given: enough to cross the ball, a usual choice (as remembered, unverified).
    """

    eps: float
    steps: int = STEPS
    step_size: float | None = None
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.eps) and self.eps >= 0):
            raise BadInput("eps", self.eps, "a finite number, 0 or more")
        if self.steps < 1:
            raise BadInput("steps", self.steps, "1 or more")
        if self.step_size is not None and not (np.isfinite(self.step_size) and self.step_size > 0):
            raise BadInput("step_size", self.step_size, "a finite number above 0")

    @property
    def stride(self) -> float:
        """Length of a step."""
        return 2.5 * self.eps / self.steps if self.step_size is None else self.step_size

    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Smallest and largest allowed value of every component of inputs `x`."""
        return (x - self.eps).clamp_min(self.low), (x + self.eps).clamp_max(self.high)


def perturb(graph: FloatGraph, weights: Weights, x: Tensor, labels: Tensor, ball: PGDConfig) -> Tensor:
    """Climb the cross-entropy from `x` [sample, model * channel, ...] by the sign of the gradient, inside the ball.

    `labels` is int64 [model, sample]. Starts at the sample itself, so it is deterministic, and weights get no gradient.
    """
    frozen = {name: tensor.detach() for name, tensor in weights.items()}
    low, high = ball.bounds(x)
    at = x.detach()
    for _ in range(ball.steps):
        at = at.detach().requires_grad_()
        out = logits(graph, frozen, at, FloatArithmetic())
        loss = F.cross_entropy(out.flatten(0, 1), labels.flatten(), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, at)
        at = torch.minimum(torch.maximum(at.detach() + ball.stride * gradient.sign(), low), high)
    return at.detach()


def check_samples(x: NDArray[np.float32], labels: NDArray[np.int64], ball: PGDConfig) -> None:
    """Raise BadInput where inputs lie outside the box of `ball` or do not go with the labels."""
    if labels.shape != (len(x),):
        raise BadInput("labels", f"shape {labels.shape}", f"one label for each of the {len(x)} samples")
    if len(x) and not (x.min() >= ball.low and x.max() <= ball.high):
        raise BadInput("x", f"values from {x.min():g} to {x.max():g}", f"{ball.low:g} to {ball.high:g}")
