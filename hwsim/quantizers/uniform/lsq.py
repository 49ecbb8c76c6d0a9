"""Learned step size quantization: fine-tune the weights and the step sizes together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from hwsim.float_graph.graph import FloatGraph, Weights
from hwsim.formats import Kind
from hwsim.quantizers.base import UniformBits
from hwsim.quantizers.calibration import calibrate
from hwsim.quantizers.lowering.fake_quant import MIN_STEP
from hwsim.quantizers.scheme import QuantParams, Scheme
from hwsim.registry import register


@dataclass(frozen=True)
class LSQEstimator:
    """Step sizes start at 2 mean|v| / sqrt(largest code); one step per tensor.

    With `narrow_range` weights have as many codes below zero as above.
    """

    narrow_range: bool = False

    def weights(self, weight: Tensor, bits: int, per_channel: bool) -> QuantParams:
        """Signed grid with one step per layer, as in the paper; at 1 bit -m and +m with m = mean |weight|."""
        mean, zero = weight.flatten(1).abs().mean(1), torch.zeros(len(weight))
        if bits == 1:
            return QuantParams(1, False, mean.float().clamp_min(MIN_STEP), zero, kind=Kind.BINARY)
        return QuantParams(bits, True, _start(mean, 2 ** (bits - 1) - 1), zero, narrow_range=self.narrow_range)

    def activations(self, values: Tensor, bits: int, unsigned: bool) -> QuantParams:
        """Unsigned grid where values cannot be negative, else signed (of 2 bits at least)."""
        mean, zero = values.abs().mean(1), torch.zeros(len(values))
        if unsigned:
            return QuantParams(bits, False, _start(mean, 2**bits - 1), zero)
        bits = max(bits, 2)
        return QuantParams(bits, True, _start(mean, 2 ** (bits - 1) - 1), zero)


@register("quantizer", "lsq", citation="Esser et al., Learned Step Size Quantization, ICLR 2020, arXiv 1902.08153")
class LSQ(UniformBits):
    """Quantization-aware training: step sizes are learned with the weights, by gradient.

    Starts from the trained float network and fine-tunes on the same members with the same data
    order recipe. The gradient of a step is scaled by 1/sqrt(values x largest code). The recipe's
    epochs and learning rate are our own choice (the paper's text was not available to us).
    The default where few bits must keep their accuracy.
    """

    trains: ClassVar[bool] = True

    epochs: int = Field(10, ge=1, le=1000, description="epochs of fine-tuning")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Adam's rate at the start of a cosine decay")
    narrow_range: bool = Field(
        False, description="leave out the most negative weight code: 2 bits are then ternary (1.58 bits)"
    )

    def scheme(self, graph: FloatGraph, weights: Weights, calibration: Tensor) -> Scheme:
        """Grids to start the fine-tuning from."""
        return calibrate(LSQEstimator(self.narrow_range), self, graph, weights, calibration)


def _start(mean: Tensor, top: int) -> Tensor:
    return (2 * mean / math.sqrt(top)).float().clamp_min(MIN_STEP)
