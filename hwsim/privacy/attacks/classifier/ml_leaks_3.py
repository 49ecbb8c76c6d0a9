"""ML-Leaks, adversary 3: no shadow model, no training; a confident prediction means member."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_entropy import log_entropy, log_impurity, log_probabilities, log_rest
from hwsim.registry import register


@register(
    "attack",
    "ml_leaks_3",
    citation="A. Salem et al., ML-Leaks: Model and Data Independent Membership Inference Attacks, NDSS 2019",
)
class MlLeaks3(Attack):
    """A statistic of the posteriors: their maximum, negated entropy, or standard deviation.

    Reads neither labels nor shadow models. The score is the negated logarithm of one less the maximum, of the entropy,
    or of one less the sum of squares: it has the order of the statistic, and confident predictions stay different.
    Design choice: the score is evaluated at every threshold, as in the authors' code; no threshold is chosen.
    """

    name = "ml_leaks_3"
    needs = ("probabilities",)
    reads_log_probabilities = True

    statistic: Literal["max", "entropy", "std"] = Field(default="max", description="statistic of the posteriors")

    def scores(self, game: GameView) -> Scores:
        """Return the statistic under each target."""
        log_p = log_probabilities(game.observed, game.targets)
        small = {"max": log_rest, "entropy": log_entropy, "std": log_impurity}[self.statistic]
        return -small(log_p)
