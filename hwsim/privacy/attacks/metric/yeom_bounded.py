"""Adversary 1 of Yeom et al.: predicts member with a probability that falls with the loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import cross_entropy
from hwsim.registry import register


@register("attack", "yeom_bounded", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018, adversary 1")
class YeomBounded(Attack):
    """The probability 1 - loss / B, clipped to 0..1, with which the bounded-loss adversary predicts member.

    If no loss exceeds `bound` (B), its advantage TPR - FPR is (mean loss of non-members - mean loss of members) / B:
    the generalization gap over B. Without a bound, B is the largest training loss of the shadow models.
    """

    name = "yeom_bounded"
    needs = ("logits",)

    bound: float | None = Field(None, gt=0, description="largest possible loss B; none = largest of the shadows")

    def scores(self, game: GameView) -> Scores:
        """Return the probability of predicting member for each target."""
        losses = cross_entropy(game.observed["logits"], game.labels)
        if self.bound is None:
            bounds = game.shadow_statistics(losses, lambda members: members.max(initial=0.0)).max(axis=1)
        else:
            bounds = np.full(len(game.targets), self.bound)
        return np.stack([_member_probability(losses[t], b) for t, b in zip(game.targets, bounds, strict=True)])


def _member_probability(losses: NDArray[np.float64], bound: float) -> NDArray[np.float64]:
    """Return 1 - loss / bound in 0..1, float64 [sample]."""
    if bound <= 0:  # all training losses of the shadows are zero: only a loss of zero looks like a member
        return (losses <= 0).astype(np.float64)
    return np.clip(1 - losses / bound, 0.0, 1.0)
