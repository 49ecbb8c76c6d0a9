"""Entropy attack: a confident prediction means member."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.registry import register

MIN_PROBABILITY = 1e-30
"""Probabilities below this are replaced by it in logarithms, as in the authors' formulas."""


@register(
    "attack", "entropy", citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021"
)
class Entropy(Attack):
    """The negated entropy of the predicted probabilities; reads no label and needs no shadow models."""

    name = "entropy"
    needs = ("probabilities",)
    min_models = 1

    def scores(self, game: GameView) -> Scores:
        """Return the negated entropy under each target."""
        return np.stack([negated_entropy(p) for p in game.of_targets("probabilities")])


def negated_entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of p log p over the classes, float64 [...], from probabilities [..., class]."""
    return np.asarray(np.sum(probabilities * np.log(np.maximum(probabilities, MIN_PROBABILITY)), axis=-1))
