"""ML-Leaks, adversary 3: no shadow model, no training; a confident prediction means member."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attacks.metric.entropy import negated_entropy
from hwsim.registry import register


@register(
    "attack",
    "ml_leaks_3",
    citation="A. Salem et al., ML-Leaks: Model and Data Independent Membership Inference Attacks, NDSS 2019",
)
class MlLeaks3(Attack):
    """A statistic of the posteriors as the score: their maximum, negated entropy, or standard deviation.

    Reads neither labels nor shadow models.
    Design choice: the score is evaluated at every threshold, as in the authors' code; no threshold is chosen.
    """

    name = "ml_leaks_3"
    needs = ("probabilities",)

    statistic: Literal["max", "entropy", "std"] = Field(default="max", description="statistic of the posteriors")

    def scores(self, game: GameView) -> Scores:
        """Return the statistic under each target."""
        probabilities = game.of_targets("probabilities")
        if self.statistic == "max":
            return np.asarray(probabilities.max(axis=-1), dtype=np.float64)
        if self.statistic == "std":
            return np.asarray(probabilities.std(axis=-1))
        return negated_entropy(probabilities)
