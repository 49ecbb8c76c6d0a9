"""Loss attack: a small loss means member."""

from __future__ import annotations

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.registry import register


@register("attack", "loss", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018")
class Loss(Attack):
    """A small cross-entropy of the label: one threshold for all samples, no shadow models.

    The score is the log-odds of the label. The loss is log(1 + exp(-log-odds)), so the order is that of the losses, and
    the losses of confident predictions do not all round to zero.
    """

    name = "loss"
    needs = ("logits",)
    min_models = 1

    def scores(self, game: GameView) -> Scores:
        """Return the log-odds of the label under each target."""
        return log_odds(game.of_targets("logits"), game.labels)
