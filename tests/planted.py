"""A membership game whose leak is planted by hand, in every channel, with no network and no training."""

from __future__ import annotations

import numpy as np

from hwsim.privacy import Game, Observation, balanced_keep
from hwsim.privacy.observe import softmax

CLASSES = 5


def planted(models: int, samples: int, seed: int, leak: float) -> tuple[Game, list[Observation]]:
    """A game and one observation per model; members stand `leak` standard deviations apart in every channel."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=samples)
    game = Game(balanced_keep(models, samples, seed), labels)
    hardness = rng.normal(size=(samples, CLASSES))
    observations = []
    for member in game.keep:
        logits = hardness + rng.normal(size=(samples, CLASSES))
        logits[np.arange(samples), labels] += leak * member
        cycles = 1000 + 50 * hardness[:, 0] + 8 * (rng.normal(size=samples) - leak * member)
        energy = 2e5 + 900 * hardness[:, 1] + 70 * (rng.normal(size=samples) - leak * member)
        regions = 40 + 6 * hardness[:, 2] + 4 * (rng.normal(size=samples) + leak * member)
        channels = {
            "logits": logits,
            "probabilities": softmax(logits),
            "label": logits.argmax(axis=1),
            "latency_cycles": cycles.astype(np.int64),
            "energy_pj": energy,
            "sensitive_regions": regions.astype(np.int64),
        }
        observations.append(Observation(channels, "planted"))
    return game, observations
