"""Latency attack: the cycles of one inference against the cycles of each sample's shadow models."""

from __future__ import annotations

from pydantic import Field

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.likelihood_ratio import online_lira_score
from hwsim.privacy.attack_tools.model_level import LEVEL, less_model_mean
from hwsim.privacy.attack_tools.shadow_selection import IN_OUT
from hwsim.registry import register


@register(
    "attack", "latency", citation="After Z. Li et al., Auditing Membership Leakages of Multi-Exit Networks, CCS 2022"
)
class Latency(Attack):
    """Likelihood ratio on the cycles of one inference alone, as in `lira`.

    Whole models differ in their mean, whoever is a member, so each value is taken less its model's mean;
    `remove_level = false` takes the bare values. Where no model's time depends on the weights, every score is zero and
    the AUC exactly one half.
    """

    name = "latency"
    needs = ("latency_cycles",)
    min_models = 3
    shadow_requirement = IN_OUT

    remove_level: bool = Field(default=True, description=LEVEL)

    def scores(self, game: GameView) -> Scores:
        """Return the log-likelihood ratio of the cycles of each target."""
        values = game.observed["latency_cycles"]
        return online_lira_score(less_model_mean(values) if self.remove_level else values, game)
