"""Threshold and masks of DRQ, for whole regions and for single channels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwsim.network.layer import Region
from hwsim.quantizers.lowering.fake_quant import region_sums, sensitive_pixels
from hwsim.quantizers.scheme import RegionRule
from hwsim.reference import sensitive_regions, spread
from hwsim.registry import build

MODELS, CHANNELS, SIZE = 2, 3, (5, 7)


def codes_of_channels(seed: int = 0) -> torch.Tensor:
    """Codes [sample, model * channel, row, column] of channels with very different magnitudes."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (6, MODELS, CHANNELS, *SIZE)) // np.array([1, 3, 20])[:, None, None]
    return torch.from_numpy(codes.reshape(6, MODELS * CHANNELS, *SIZE)).float()


def one_model(codes: torch.Tensor, model: int) -> np.ndarray:
    return codes.numpy()[:, model * CHANNELS : (model + 1) * CHANNELS].astype(np.int64)


def definition(rule: RegionRule, model: int) -> Region:
    return Region(
        rule.height, rule.width, int(rule.threshold[model]), np.zeros(1, np.int8), per_channel=rule.per_channel
    )


@pytest.mark.parametrize("per_channel", [False, True])
def test_masks_of_stacked_models_equal_the_definition(per_channel: bool) -> None:
    codes = codes_of_channels()
    rule = RegionRule(2, 3, torch.tensor([900, 1300]), 4, per_channel)
    pixels = sensitive_pixels(rule, codes, MODELS).numpy()
    assert pixels.shape == codes.shape
    for model in range(MODELS):
        mine = one_model(codes, model)
        want = spread(sensitive_regions(definition(rule, model), mine), definition(rule, model), mine.shape)
        np.testing.assert_array_equal(one_model(torch.from_numpy(pixels), model), np.broadcast_to(want, mine.shape))
        assert 0 < want.mean() < 1


@pytest.mark.parametrize(("per_channel", "deciders", "largest"), [(False, 1, 6 * CHANNELS), (True, CHANNELS, 6)])
def test_a_decision_counts_its_own_codes(per_channel: bool, deciders: int, largest: int) -> None:
    rule = RegionRule(2, 3, torch.zeros(MODELS, dtype=torch.int64), 4, per_channel)
    sums, counts = region_sums(rule, torch.ones(1, MODELS * CHANNELS, *SIZE), MODELS)
    assert sums.shape == (1, MODELS, deciders, 3, 3) and counts.max() == largest
    assert (sums == counts).all() and counts.sum() * deciders == CHANNELS * SIZE[0] * SIZE[1]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_share_of_sensitive_decisions_is_met_for_each_model(share: float, per_channel: bool) -> None:
    quantizer = build("quantizer", "drq", sensitive=share, per_channel=per_channel, region_width=3)
    codes = codes_of_channels()
    rule = quantizer.region_rule(codes, MODELS)  # type: ignore[attr-defined]
    assert rule.per_channel == per_channel
    for model in range(MODELS):
        mask = sensitive_regions(definition(rule, model), one_model(codes, model))
        assert abs(mask.mean() - share) < 0.03
        if per_channel and share == 0.1:  # one threshold: the channel of large codes keeps its bits
            assert mask[:, 0].mean() > 0.2 and not mask[:, 2].any()
