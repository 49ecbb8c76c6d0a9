"""Adversary 1 of Yeom et al.: predicts member with a probability that falls with the loss."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_loss, log_odds
from hwsim.registry import register


@register("attack", "yeom_bounded", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018, adversary 1")
class YeomBounded(Attack):
    """The bounded-loss adversary, which predicts member with the probability 1 - loss / B, clipped to 0..1.

    The score is -log(1 - probability) = log B - log loss, at least 0: it has the order of the probability, and losses
    far below B stay different. If no loss exceeds `bound` (B), the advantage TPR - FPR of the adversary who draws by
    this probability is (mean loss of non-members - mean loss of members) / B: the generalization gap over B. Without a
    bound, B is the largest training loss of the shadow models.
    """

    name = "yeom_bounded"
    needs = ("logits",)

    bound: float | None = Field(None, gt=0, description="largest possible loss B; none = largest of the shadows")

    def scores(self, game: GameView) -> Scores:
        """Return log B - log loss for each target, 0 where the loss exceeds B."""
        logs = log_loss(log_odds(game.observed["logits"], game.labels))
        if self.bound is None:
            bounds = game.shadow_statistics(logs, lambda members: members.max(initial=-np.inf)).max(axis=1)
        else:
            bounds = np.full(len(game.targets), np.log(self.bound))
        return np.asarray(np.maximum(0.0, bounds[:, None] - logs[game.targets]))
