"""Post-training quantization by the range of the values."""

from __future__ import annotations

import torch
from torch import Tensor

from hwsim.float_graph.graph import FloatGraph, Weights
from hwsim.formats import Kind
from hwsim.quantizers.base import UniformBits
from hwsim.quantizers.calibration import calibrate
from hwsim.quantizers.lowering.fake_quant import MIN_STEP
from hwsim.quantizers.scheme import QuantParams, Scheme
from hwsim.registry import register


class MinMaxEstimator:
    """Weights: symmetric, by the largest magnitude. Activations: affine, from the smallest to the largest."""

    def weights(self, weight: Tensor, bits: int, per_channel: bool) -> QuantParams:
        """Narrow signed grid up to the largest |weight|; at 1 bit -m and +m with m = mean |weight|."""
        flat = weight.flatten(2) if per_channel else weight.flatten(1)
        zero = torch.zeros(len(weight))
        if bits == 1:
            return QuantParams(1, False, _positive(flat.abs().mean(-1)), zero, kind=Kind.BINARY)
        return QuantParams(bits, True, _positive(flat.abs().amax(-1) / (2 ** (bits - 1) - 1)), zero, narrow_range=True)

    def activations(self, values: Tensor, bits: int, unsigned: bool) -> QuantParams:
        """Unsigned grid from min(0, smallest) to the largest value, with a zero point where values are negative."""
        low, high = values.amin(1).clamp_max(0), values.amax(1).clamp_min(0)
        top = 2**bits - 1
        step = _positive((high - low) / top)
        return QuantParams(bits, False, step, torch.clamp(torch.floor(-low / step + 0.5), 0, top))


@register(
    "quantizer",
    "minmax",
    citation="Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only "
    "Inference, CVPR 2018",
)
class MinMax(UniformBits):
    """Post-training: each range is what calibration saw, weights per output channel.

    Weights are symmetric around zero; activations reach from the smallest to the largest value seen,
    with a zero point where some are negative. Nothing is trained. Fine down to about 5 bits; below,
    one outlier stretches the range and accuracy falls fast.
    """

    def scheme(self, graph: FloatGraph, weights: Weights, calibration: Tensor) -> Scheme:
        """Grids by range."""
        return calibrate(MinMaxEstimator(), self, graph, weights, calibration)


def _positive(step: Tensor) -> Tensor:
    return step.float().clamp_min(MIN_STEP)
