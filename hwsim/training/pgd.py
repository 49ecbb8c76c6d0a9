"""Projected gradient descent (PGD) on the inputs of many models at once: adversarial inputs in an L-infinity ball.

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
"""Default number of PGD steps. Design choice."""


@dataclass(frozen=True)
class PGDConfig:
    """Settings of PGD: the L-infinity ball around a sample, clipped to the input range, and the steps.

    Attributes
    ----------
    eps : radius of the ball
    steps : number of steps
    step_size : length of a step; None gives 2.5 eps / steps
    low, high : range of the inputs

    Design choice: with the default step length, all steps in one direction are longer than the diameter of the ball.
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
    def step(self) -> float:
        """Length of a step."""
        return 2.5 * self.eps / self.steps if self.step_size is None else self.step_size

    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smallest and the largest allowed value of every component of inputs `x`."""
        return (x - self.eps).clamp_min(self.low), (x + self.eps).clamp_max(self.high)


def perturb(graph: FloatGraph, weights: Weights, x: Tensor, labels: Tensor, config: PGDConfig) -> Tensor:
    """Maximize the cross-entropy over the ball around `x` [sample, model * channel, ...] by signed gradient steps.

    `labels` is int64 [model, sample]. The start is the sample itself, so the result is deterministic. Weights receive
    no gradient.
    """
    frozen = {name: tensor.detach() for name, tensor in weights.items()}
    low, high = config.bounds(x)
    adversarial = x.detach()
    for _ in range(config.steps):
        adversarial = adversarial.detach().requires_grad_()
        out = logits(graph, frozen, adversarial, FloatArithmetic())
        loss = F.cross_entropy(out.flatten(0, 1), labels.flatten(), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, adversarial)
        stepped = adversarial.detach() + config.step * gradient.sign()
        adversarial = torch.minimum(torch.maximum(stepped, low), high)
    return adversarial.detach()


def check_samples(x: NDArray[np.float32], labels: NDArray[np.int64], config: PGDConfig) -> None:
    """Raise BadInput for `labels` that do not match `x` [sample, ...], and for inputs outside the range of `config`."""
    if labels.shape != (len(x),):
        raise BadInput("labels", f"shape {labels.shape}", f"one label for each of the {len(x)} samples")
    if len(x) and not (x.min() >= config.low and x.max() <= config.high):
        raise BadInput("x", f"values from {x.min():g} to {x.max():g}", f"{config.low:g} to {config.high:g}")
