"""Energy attack: the energy of one inference against the energies of each sample's shadow models."""

from __future__ import annotations

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.likelihood_ratio import online_lira_score
from hwsim.privacy.attack_tools.shadow_selection import IN_OUT
from hwsim.registry import register


@register("attack", "energy", citation="Own definition: the likelihood ratio of LiRA on the energy of one inference")
class Energy(Attack):
    """Likelihood ratio on the energy of one inference alone, with shrinkage variance as in `lira`.

    Where no model's energy depends on the weights every score is zero, and the AUC exactly one half.
    """

    name = "energy"
    needs = ("energy_pj",)
    min_models = 3
    shadow_requirement = IN_OUT

    def scores(self, game: GameView) -> Scores:
        """Return the log-likelihood ratio of the energy of each target."""
        return online_lira_score(game.observed["energy_pj"], game)
