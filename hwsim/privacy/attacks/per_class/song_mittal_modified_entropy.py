"""Modified-entropy attack of Song and Mittal, with a threshold for each class."""

from __future__ import annotations

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.class_thresholds import threshold_scores
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attacks.metric.modified_entropy import negated_log_modified_entropy
from hwsim.registry import register


@register(
    "attack",
    "song_mittal_modified_entropy",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class SongMittalModifiedEntropy(Attack):
    """Modified entropy against the threshold of the label's class, learned on the shadow models.

    Member where the score is 0 or more. The modified entropy is that of the attack
    `modified_entropy`, as a negated logarithm.
    """

    name = "song_mittal_modified_entropy"
    needs = ("logits",)

    def scores(self, game: GameView) -> Scores:
        """Return the negated logarithm of the modified entropy less the threshold of the label's class."""
        values = negated_log_modified_entropy(game.observed["logits"], game.labels)
        return threshold_scores(values, game, game.labels)
