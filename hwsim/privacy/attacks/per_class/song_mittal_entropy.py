"""Entropy attack of Song and Mittal: the entropy of the prediction against a threshold of the label's class."""

from __future__ import annotations

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.class_thresholds import threshold_scores
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_entropy import log_entropy, log_probabilities
from hwsim.registry import register


@register(
    "attack",
    "song_mittal_entropy",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class SongMittalEntropy(Attack):
    """Entropy against the threshold of the label's class, learned on the shadow models.

    Member where the score is 0 or more. The entropy is that of the attack `entropy`.
    """

    name = "song_mittal_entropy"
    needs = ("probabilities",)
    reads_log_probabilities = True

    def scores(self, game: GameView) -> Scores:
        """Return the negated logarithm of the entropy less the threshold of the label's class."""
        return threshold_scores(-log_entropy(log_probabilities(game.observed)), game, game.labels)
