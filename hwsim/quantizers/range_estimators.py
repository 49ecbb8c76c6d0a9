"""Range estimators: QuantParams of one tensor from its values, and the min-max estimator."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from hwsim.formats import Kind
from hwsim.quantizers.scheme import QuantParams

SMALLEST_SCALE = torch.finfo(torch.float32).tiny
"""Smallest positive float32 with all its bits."""


class RangeEstimator(ABC):
    """Base of range estimators: the part of a quantizer that chooses scale and zero point.

    The scale is proportional to the values, so the codes do not depend on their unit. Where all values are zero the
    scale is 0, which stands for any scale: `calibrate` then chooses one.
    """

    @abstractmethod
    def weights(self, weight: Tensor, bits: int, per_channel: bool) -> QuantParams:
        """Return the parameters of weights [model, channel, ...].

        Without `per_channel` all channels of a layer must have one scale; with it, they may.
        """

    @abstractmethod
    def activations(self, values: Tensor, bits: int, unsigned: bool) -> QuantParams:
        """Return the parameters of activations [model, value]; `unsigned` where these cannot be negative."""


class MinMaxEstimator(RangeEstimator):
    """Weights: symmetric, up to the largest magnitude. Activations: affine, from the smallest to the largest value."""

    def weights(self, weight: Tensor, bits: int, per_channel: bool) -> QuantParams:
        """Return signed, narrow-range parameters up to the largest |weight|; at 1 bit -m and +m with m = mean |weight|.

        `weight` is [model, channel, ...]; the scale is per channel where `per_channel`.
        """
        flat = weight.flatten(2) if per_channel else weight.flatten(1)
        zero_point = torch.zeros(len(weight))
        if bits == 1:
            return QuantParams(1, False, normal_scale(flat.abs().mean(-1)), zero_point, kind=Kind.BINARY)
        scale = normal_scale(flat.abs().amax(-1) / (2 ** (bits - 1) - 1))
        return QuantParams(bits, True, scale, zero_point, narrow_range=True)

    def activations(self, values: Tensor, bits: int, unsigned: bool) -> QuantParams:
        """Return unsigned parameters from min(0, smallest) to max(0, largest value); `values` is [model, value].

        The zero point is above 0 where values are negative.
        """
        low, high = values.amin(1).clamp_max(0), values.amax(1).clamp_min(0)
        max_code = 2**bits - 1
        span = high - low
        step = torch.where(torch.isfinite(span), span / max_code, high / max_code - low / max_code)
        scale = normal_scale(step)
        zero_point = torch.where(scale > 0, torch.floor(-low / scale + 0.5), 0.0)
        return QuantParams(bits, False, scale, torch.clamp(zero_point, 0, max_code))


def normal_scale(scale: Tensor) -> Tensor:
    """Return scales of 0 or more as float32, where a positive scale is SMALLEST_SCALE or more.

    >>> normal_scale(torch.tensor([0.0, 1e-10, 0.5])).tolist() == torch.tensor([0.0, 1e-10, 0.5]).tolist()
    True
    """
    return torch.where(scale > 0, scale.float().clamp_min(SMALLEST_SCALE), 0.0)
