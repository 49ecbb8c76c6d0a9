"""DRQ-style dynamic region quantization: 8 bits in sensitive regions of the input, few bits elsewhere."""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor

from hwsim.float_graph.graph import FloatGraph, Weights, forward, model_count, repeat_input
from hwsim.network.layer import FRACTION_BITS, INPUT, Op
from hwsim.quantizers.base import PowerOfTwo, Quantizer
from hwsim.quantizers.calibration import calibrate
from hwsim.quantizers.lowering.fake_quant import FakeQuantArithmetic, region_sums
from hwsim.quantizers.range_estimators import MinMaxEstimator
from hwsim.quantizers.scheme import BitWidths, RegionRule, Scheme, value_source
from hwsim.registry import register

FULL_BITS = 8
"""Bits of weights and activations in sensitive regions."""


@register(
    "quantizer",
    "drq",
    citation="after Song et al., DRQ: Dynamic Region-based Quantization for Deep Neural Network Acceleration, "
    "ISCA 2020",
)
class DRQ(Quantizer):
    """Post-training, 8 bits in sensitive regions of each image and `low_bits` elsewhere, decided at run time.

    A region is sensitive when its mean activation reaches a threshold. The mean is over all channels, which then share
    one mask, or with `per_channel` over each channel separately. The mask is an integer comparison, and one accumulator
    serves both precisions. Thresholds are set on calibration data so that about `sensitive` of the regions have 8 bits.
    Every convolution whose input comes from a ReLU takes part; the first layer and the linear layers have 8 bits.
    Design choice: region sizes, thresholds and the integer rule. Only the idea is the paper's, so its tables are not
    claimed.
    """

    region_height: int = Field(2, ge=1, le=64, description="rows of a region")
    region_width: int = Field(2, ge=1, le=64, description="columns of a region")
    sensitive: float = Field(0.3, ge=0, le=1, description="share of regions to keep at 8 bits on calibration data")
    per_channel: bool = Field(
        False, description="decide for every channel of a region separately instead of for all channels together"
    )
    low_bits: int = Field(4, ge=2, le=7, description="bits of weights and activations elsewhere")
    power_of_two: PowerOfTwo = False

    def scheme(self, graph: FloatGraph, weights: Weights, calibration: Tensor) -> Scheme:
        """Return the 8-bit min-max scheme with a region rule for every convolution that takes part."""
        bits = BitWidths(FULL_BITS, FULL_BITS)
        full = calibrate(MinMaxEstimator(), bits, graph, weights, calibration, self.power_of_two)
        models = model_count(weights)
        with torch.no_grad():
            values = forward(graph, weights, repeat_input(calibration, models), FakeQuantArithmetic(graph, full))
        regions = {}
        for node in graph.nodes:
            source = value_source(graph, node.inputs[0])
            if node.op is not Op.CONV or source == INPUT or bool((full.quant_params[source].zero_point != 0).any()):
                continue
            scale = full.quant_params[source].scale
            x = values[node.inputs[0]]
            codes = torch.round(x / scale.repeat_interleave(x.shape[1] // models)[:, None, None])
            regions[node.name] = self.region_rule(codes, models)
        return Scheme(full.quant_params, regions, self.power_of_two)

    def region_rule(self, codes: Tensor, models: int) -> RegionRule:
        """Return the rule with the threshold that a share `sensitive` of all decisions reaches, for each model.

        `codes` is [sample, model * channel, row, column].
        """
        unreachable = torch.full((models,), (1 << FULL_BITS) << FRACTION_BITS, dtype=torch.int64)
        rule = RegionRule(self.region_height, self.region_width, unreachable, self.low_bits, self.per_channel)
        sums, counts = region_sums(rule, codes, models)
        means = (sums / counts).transpose(0, 1).reshape(models, -1).double().sort(dim=1, descending=True).values
        sensitive = round(self.sensitive * means.shape[1])
        if sensitive == 0:
            return rule
        return replace(rule, threshold=torch.floor(means[:, sensitive - 1] * (1 << FRACTION_BITS)).long())
