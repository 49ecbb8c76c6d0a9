"""Confidence attack of Song and Mittal: the label's probability against a threshold of its class."""

from __future__ import annotations

import numpy as np

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.class_thresholds import threshold_scores
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.registry import register


@register(
    "attack",
    "song_mittal_confidence",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class SongMittalConfidence(Attack):
    """Confidence of the label less the threshold of its class, learned on the shadow models.

    Member where the score is 0 or more. The confidence is taken as log-odds, which have the order of the probability,
    make the same decisions, and do not all become 1 for confident predictions.
    """

    name = "song_mittal_confidence"
    needs = ("logits",)

    def scores(self, game: GameView) -> Scores:
        """Return the log-odds of the label less the threshold of its class."""
        values = np.stack([log_odds(logits, game.labels) for logits in game.observed["logits"]])
        return threshold_scores(values, game, game.labels)
