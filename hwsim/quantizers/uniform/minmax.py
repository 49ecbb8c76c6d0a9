"""Post-training quantization by the range of the values."""

from __future__ import annotations

from torch import Tensor

from hwsim.float_graph.graph import FloatGraph, Weights
from hwsim.quantizers.base import UniformBits
from hwsim.quantizers.calibration import calibrate
from hwsim.quantizers.range_estimators import MinMaxEstimator
from hwsim.quantizers.scheme import Scheme
from hwsim.registry import register


@register(
    "quantizer",
    "minmax",
    citation="Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only "
    "Inference, CVPR 2018",
)
class MinMax(UniformBits):
    """Post-training quantization to the range of the calibration data, with one weight scale per output channel.

    Weights are symmetric around zero. Activations range from the smallest to the largest calibration value, with a zero
    point where some are negative. Nothing is trained. Accurate down to about 5 bits; with fewer, one outlier stretches
    the range and the accuracy falls fast.
    """

    def scheme(self, graph: FloatGraph, weights: Weights, calibration: Tensor) -> Scheme:
        """Return the scheme of the calibrated ranges."""
        return calibrate(MinMaxEstimator(), self.bit_widths, graph, weights, calibration, self.power_of_two)
