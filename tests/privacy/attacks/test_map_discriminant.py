"""Map discriminant: regions that rise and regions that fall with membership, where their count says nothing."""

from __future__ import annotations

import numpy as np

from hwsim.privacy.attacks.hardware.joint import Joint
from hwsim.privacy.attacks.hardware.map_discriminant import MapDiscriminant
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.statistics.roc import roc
from tests.support.planted import scores_of


def mean_auc(scores: np.ndarray, keep: np.ndarray) -> float:
    return float(np.mean([roc(row, k).auc for row, k in zip(scores, keep, strict=True)]))


def test_it_finds_what_moves_between_regions() -> None:
    """Half of the regions are sensitive more often for members, half less often: their number is the same."""
    rng = np.random.default_rng(0)
    keep, labels = balanced_keep(8, 600, seed=0), np.zeros(600, dtype=np.int64)
    sign = np.repeat([1.0, -1.0], 10)
    share = rng.uniform(0.3, 0.7, size=(600, 20)) + 0.12 * sign * (keep[..., None] - 0.5)
    maps = (rng.random((8, 600, 20)) < share).astype(np.uint8)
    maps[..., 0] = 1  # a constant region
    found = mean_auc(scores_of(MapDiscriminant(), {"precision_map": maps}, keep, labels), keep)
    count = Joint(channels=("sensitive_regions",))
    counted = mean_auc(scores_of(count, {"sensitive_regions": maps.sum(axis=2)}, keep, labels), keep)
    assert found > 0.57
    assert abs(counted - 0.5) < 0.03


def test_it_is_the_discriminant_of_a_plain_loop_for_one_region() -> None:
    rng = np.random.default_rng(1)
    keep, labels = balanced_keep(6, 40, seed=1), np.zeros(40, dtype=np.int64)
    counts = rng.poisson(9, size=(6, 40, 1)) + 3 * keep[..., None]
    attack = MapDiscriminant(channel="region_counts", remove_level=False)
    scores = scores_of(attack, {"region_counts": counts}, keep, labels, [0])[0]
    ring = range(1, 6)
    gaps, errors, centers, variances = [], [], [], []
    sets = [[[counts[m, s, 0] for m in ring if keep[m, s] == side][:2] for side in (True, False)] for s in range(40)]
    pooled = sum(np.var(side) * 2 for two in sets for side in two) / 80
    for s in range(40):
        (inside, outside) = (np.array(side, dtype=float) for side in sets[s])
        squares = ((inside - inside.mean()) ** 2).sum() + ((outside - outside.mean()) ** 2).sum()
        variances.append((8 * pooled + squares) / 10)
        gaps.append(inside.mean() - outside.mean())
        errors.append(2 * variances[-1] / 2)
        centers.append((inside.mean() + outside.mean()) / 2)
    gap, error, weights = np.array(gaps), np.array(errors), np.ones(40)
    for _ in range(200):
        mean = (weights * gap).sum() / weights.sum()
        spread = max(0.0, (weights**2 * ((gap - mean) ** 2 - error)).sum() / (weights**2).sum())
        weights = 1 / (spread + error)
    shrunk = mean + spread / (spread + error) * (gap - mean)
    np.testing.assert_allclose(scores, shrunk / variances * (counts[0, :, 0] - centers), rtol=1e-5, atol=1e-8)


def test_a_map_that_is_the_same_in_every_model_scores_exactly_zero() -> None:
    maps = np.broadcast_to(np.random.default_rng(2).random((30, 5)) < 0.4, (6, 30, 5)).astype(np.uint8)
    keep = balanced_keep(6, 30, seed=2)
    assert not scores_of(MapDiscriminant(), {"precision_map": maps}, keep, np.zeros(30, dtype=np.int64)).any()
