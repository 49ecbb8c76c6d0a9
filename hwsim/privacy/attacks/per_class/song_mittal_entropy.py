"""Entropy attack of Song and Mittal: the entropy of the prediction against a threshold of the label's class."""

from __future__ import annotations

import numpy as np

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.class_thresholds import threshold_scores
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attacks.metric.entropy import negated_entropy
from hwsim.registry import register


@register(
    "attack",
    "song_mittal_entropy",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class SongMittalEntropy(Attack):
    """Negated entropy less the threshold of the label's class, learned on the shadow models.

    Member where the score is 0 or more. The entropy is that of the attack `entropy`.
    """

    name = "song_mittal_entropy"
    needs = ("probabilities",)

    def scores(self, game: GameView) -> Scores:
        """Return the negated entropy less the threshold of the label's class."""
        values = np.stack([negated_entropy(p) for p in game.observed["probabilities"]])
        return threshold_scores(values, game, game.labels)
