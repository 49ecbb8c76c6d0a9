"""Attack-R: the loss of a sample under the target against its losses under reference models."""

from __future__ import annotations

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.shadow_selection import ShadowRequirement, choose_shadows
from hwsim.registry import register


@register("attack", "attack_r", citation="J. Ye et al., Enhanced Membership Inference Attacks, CCS 2022, Attack-R")
class AttackR(Attack):
    """The share of reference models with a larger loss on the sample than the target; equal losses count half.

    Reference models are the OUT shadow models of the sample. With n of them the score has 2n + 1 values, and no
    false-positive rate finer than 1/n is possible. A sample without reference models scores one half. Compared by the
    log-odds, which have the order of the loss and do not saturate.
    """

    name = "attack_r"
    needs = ("logits",)
    min_models = 3
    shadow_requirement = ShadowRequirement("out")

    def scores(self, game: GameView) -> Scores:
        """Return the share of OUT models with smaller log-odds than each target."""
        odds = log_odds(game.observed["logits"], game.labels)
        return choose_shadows(game, self.shadow_requirement).share_below(odds)
