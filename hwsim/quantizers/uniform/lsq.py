"""Learned step size quantization (LSQ): fine-tuning of weights and scales together."""

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
from hwsim.quantizers.range_estimators import RangeEstimator, normal_scale
from hwsim.quantizers.scheme import QuantParams, Scheme
from hwsim.registry import register


@dataclass(frozen=True)
class LSQEstimator(RangeEstimator):
    """Initial scales of LSQ: 2 mean|v| / sqrt(largest code), one scale per tensor.

    With `narrow_range` the most negative weight code is not used.
    """

    narrow_range: bool = False

    def weights(self, weight: Tensor, bits: int, per_channel: bool) -> QuantParams:
        """Return signed parameters with one scale per layer; at 1 bit -m and +m with m = mean |weight|.

        `weight` is [model, channel, ...].
        """
        mean, zero_point = weight.flatten(1).abs().mean(1), torch.zeros(len(weight))
        if bits == 1:
            return QuantParams(1, False, normal_scale(mean), zero_point, kind=Kind.BINARY)
        scale = _initial_scale(mean, 2 ** (bits - 1) - 1)
        return QuantParams(bits, True, scale, zero_point, narrow_range=self.narrow_range)

    def activations(self, values: Tensor, bits: int, unsigned: bool) -> QuantParams:
        """Return unsigned parameters where values cannot be negative, else signed ones (2 bits or more).

        `values` is [model, value].
        """
        mean, zero_point = values.abs().mean(1), torch.zeros(len(values))
        if unsigned:
            return QuantParams(bits, False, _initial_scale(mean, 2**bits - 1), zero_point)
        bits = max(bits, 2)
        return QuantParams(bits, True, _initial_scale(mean, 2 ** (bits - 1) - 1), zero_point)


@register("quantizer", "lsq", citation="Esser et al., Learned Step Size Quantization, ICLR 2020, arXiv 1902.08153")
class LSQ(UniformBits):
    """Quantization-aware training: scales are learned with the weights, by gradient.

    The trained float network is fine-tuned on its own members. The gradient of a scale is multiplied by
    1/sqrt(values x largest code). The default where few bits must keep their accuracy.
    Design choice: Adam with the default epochs and learning rate; public re-implementations train 90 epochs by SGD with
    momentum .9 and a rate of .01.
    """

    trains: ClassVar[bool] = True

    epochs: int = Field(10, ge=1, le=1000, description="epochs of fine-tuning")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="initial learning rate of Adam, with a cosine decay")
    narrow_range: bool = Field(
        False, description="leave out the most negative weight code: 2 bits are then ternary (1.58 bits)"
    )

    def scheme(self, graph: FloatGraph, weights: Weights, calibration: Tensor) -> Scheme:
        """Return the scheme from which the fine-tuning starts."""
        estimator = LSQEstimator(self.narrow_range)
        return calibrate(estimator, self.bit_widths, graph, weights, calibration, self.power_of_two)


def _initial_scale(mean: Tensor, max_code: int) -> Tensor:
    return normal_scale(2 * mean / math.sqrt(max_code))
