"""Entropy attack: a confident prediction means member."""

from __future__ import annotations

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_entropy import log_entropy, log_probabilities
from hwsim.registry import register


@register(
    "attack", "entropy", citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021"
)
class Entropy(Attack):
    """A small entropy of the predicted probabilities; reads no label and needs no shadow models.

    The score is the negated logarithm of the entropy: confident predictions, whose entropies round to zero, stay
    different.
    """

    name = "entropy"
    needs = ("probabilities",)
    min_models = 1
    reads_log_probabilities = True

    def scores(self, game: GameView) -> Scores:
        """Return the negated logarithm of the entropy under each target."""
        return -log_entropy(log_probabilities(game.observed, game.targets))
