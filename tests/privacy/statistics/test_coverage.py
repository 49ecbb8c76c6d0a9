"""How often the 95 % interval of a mean over targets contains the truth, in five simulated worlds.

A world is the log-odds of every sample in every model. The attack is the likelihood ratio of Gaussians with one
variance, on equally many IN and OUT models; all models are targets. The truth is the mean over all games of a world,
whose error is a twentieth of the spread of one game.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.privacy.audit.audit import attack_result
from hwsim.privacy.audit.leakage import paired_auc
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.statistics.bootstrap import resample_seeds
from hwsim.privacy.statistics.roc import Interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

WORLDS = ("null", "leak", "models differ", "levels", "classes differ")
SAMPLES, CLASSES = 1000, 10
STATISTICS = (
    "auc",
    "balanced_accuracy",
    "tpr_at_1_percent",
    "accuracy",
    "precision",
    "recall",
    "gain_of_a_channel",
    "coarser_outputs",
)
RESAMPLES = 100


def log_odds(world: str, keep: Bools, rng: np.random.Generator) -> Floats:
    """Return log-odds [model, sample]: the sample's hardness, the model's noise, and what distinguishes the world."""
    models, samples = keep.shape
    odds = rng.normal(size=samples) + rng.normal(size=keep.shape)
    if world == "levels":  # no leak, but each model has a level of its own, as a latency has
        return odds + rng.normal(size=(models, 1))
    leak = {"null": 0.0, "leak": 0.8, "models differ": 1.5, "classes differ": 0.8}[world]
    of_model = leak + (0.3 * rng.normal(size=(models, 1)) if world == "models differ" else 0.0)
    if world == "classes differ":  # the classes that a model knows well
        odds += 0.7 * rng.normal(size=(models, CLASSES))[:, rng.integers(CLASSES, size=samples)]
    return odds + of_model * keep


def likelihood_ratio(odds: Floats, keep: Bools) -> Floats:
    """Return scores [target, sample]: squared distance to the mean of the OUT models less that to the IN models."""
    models = len(odds)
    size = models // 2 - 1
    scores = np.empty(odds.shape)
    for target in range(models):
        ring = (target + np.arange(1, models)) % models
        member, values = keep[ring], odds[ring]
        means = [
            np.where(chosen & (np.cumsum(chosen, axis=0) <= size), values, 0).sum(axis=0) / size
            for chosen in (member, ~member)
        ]
        scores[target] = (odds[target] - means[1]) ** 2 - (odds[target] - means[0]) ** 2
    return scores


def play(world: str, models: int, game: int) -> dict[str, tuple[float, Interval]]:
    """Return mean and interval of every statistic in one game."""
    rng = np.random.default_rng([WORLDS.index(world), models, game])
    keep = balanced_keep(models, SAMPLES, game)
    odds, channel = (log_odds(world, keep, rng) for _ in range(2))
    seeds = resample_seeds(RESAMPLES, game)
    of_odds = likelihood_ratio(odds, keep)
    ratio, joint, coarser = (
        attack_result("", scores, keep, seeds)
        for scores in (of_odds, of_odds + likelihood_ratio(channel, keep), likelihood_ratio(np.rint(odds), keep))
    )
    at_best = ratio.at_best
    found = {
        "auc": ratio.auc,
        "balanced_accuracy": ratio.balanced_accuracy,
        "tpr_at_1_percent": ratio.tpr,
        **{name: at_best[name] for name in ("accuracy", "precision", "recall")},
        "gain_of_a_channel": paired_auc(joint, ratio),
        "coarser_outputs": paired_auc(coarser, ratio),
    }
    return {name: (statistic.mean, statistic.ci) for name, statistic in found.items()}


def coverage(world: str, models: int, games: int) -> dict[str, float]:
    """Return the share of games whose interval contains the mean over all games, for each statistic."""
    played = [play(world, models, game) for game in range(games)]
    found = {}
    for name in STATISTICS:
        truth = float(np.mean([one[name][0] for one in played]))
        found[name] = float(np.mean([one[name][1].low <= truth <= one[name][1].high for one in played]))
    return found


@pytest.mark.long
@pytest.mark.parametrize("models", [8, 16])
@pytest.mark.parametrize("world", WORLDS)
def test_the_interval_covers_the_truth(world: str, models: int) -> None:
    """400 games: a true coverage of 95 % is measured within 2.2 points, at two standard deviations."""
    found = coverage(world, models, games=400)
    print(world, models, found)
    assert min(found.values()) >= 0.92, found


@pytest.mark.parametrize("world", WORLDS)
def test_the_interval_covers_the_truth_in_a_few_games(world: str) -> None:
    """30 games of 8 models: 92 % are 27.6, and fewer than 25 have a probability of 3 % in each."""
    found = coverage(world, 8, games=30)
    assert found["auc"] >= 25 / 30, found
    assert found["balanced_accuracy"] >= 25 / 30, found
