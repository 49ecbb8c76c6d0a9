"""DRQ-style dynamic region quantization: 8 bits where the input is sensitive, few bits elsewhere."""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor

from hwsim.float_graph.graph import FloatGraph, Weights, forward, model_count, repeat_input
from hwsim.network.layer import FRACTION_BITS, INPUT, Op
from hwsim.quantizers.base import Quantizer
from hwsim.quantizers.lowering.fake_quant import FakeQuantArithmetic, region_sums
from hwsim.quantizers.scheme import RegionRule, Scheme, value_source
from hwsim.quantizers.uniform.minmax import MinMax
from hwsim.registry import register

FULL_BITS = 8


@register(
    "quantizer",
    "drq",
    citation="after Song et al., DRQ: Dynamic Region-based Quantization for Deep Neural Network Acceleration, "
    "ISCA 2020",
)
class DRQ(Quantizer):
    """Post-training, 8 bits in sensitive regions of each image and `low_bits` elsewhere, decided while it runs.

    A region is sensitive when its mean activation reaches a threshold: the mean over all channels,
    which then share one mask, or with `per_channel` that of every channel for itself. The mask is an
    integer comparison, and one accumulator serves both precisions.
    Thresholds are set on calibration data so that about `sensitive` of the regions stay at 8 bits.
    Every convolution whose input comes from a ReLU takes part; the first and the linear layers
    stay at 8 bits. The idea is the paper's; region sizes, thresholds and the integer rule are our own
    (the paper's were not available to us), so its tables are not claimed.
    """

    region_height: int = Field(2, ge=1, le=64, description="rows of a region")
    region_width: int = Field(2, ge=1, le=64, description="columns of a region")
    sensitive: float = Field(0.3, ge=0, le=1, description="share of regions to keep at 8 bits on calibration data")
    per_channel: bool = Field(
        False, description="let every channel of a region decide for itself instead of all channels together"
    )
    low_bits: int = Field(4, ge=2, le=7, description="bits of weights and activations elsewhere")
    power_of_two: bool = Field(
        False, description="round every step to a power of two: torch and the integers are then identical"
    )

    def scheme(self, graph: FloatGraph, weights: Weights, calibration: Tensor) -> Scheme:
        """The 8-bit range grids, plus a region rule for every convolution that takes part."""
        plain = MinMax(w_bits=FULL_BITS, a_bits=FULL_BITS, power_of_two=self.power_of_two).scheme(
            graph, weights, calibration
        )
        models = model_count(weights)
        with torch.no_grad():
            values = forward(graph, weights, repeat_input(calibration, models), FakeQuantArithmetic(graph, plain))
        regions = {}
        for node in graph.nodes:
            source = value_source(graph, node.inputs[0])
            if node.op is not Op.CONV or source == INPUT or bool((plain.grids[source].zero_point != 0).any()):
                continue
            step = plain.grids[source].scale
            x = values[node.inputs[0]]
            codes = torch.round(x / step.repeat_interleave(x.shape[1] // models)[:, None, None])
            regions[node.name] = self._calibrated(codes, models)
        return Scheme(plain.grids, regions, self.power_of_two)

    def _calibrated(self, codes: Tensor, models: int) -> RegionRule:
        """The rule whose threshold `sensitive` of all decisions about these codes reach, model by model."""
        never = torch.full((models,), (1 << FULL_BITS) << FRACTION_BITS, dtype=torch.int64)
        rule = RegionRule(self.region_height, self.region_width, never, self.low_bits, self.per_channel)
        sums, counts = region_sums(rule, codes, models)
        means = (sums / counts).transpose(0, 1).reshape(models, -1).double().sort(dim=1, descending=True).values
        keep = round(self.sensitive * means.shape[1])
        if keep == 0:
            return rule
        return replace(rule, threshold=torch.floor(means[:, keep - 1] * (1 << FRACTION_BITS)).long())
