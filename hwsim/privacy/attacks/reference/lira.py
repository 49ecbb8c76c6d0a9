"""LiRA: the log-odds of the label against the log-odds of each sample's shadow models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.likelihood_ratio import (
    PRIOR_STRENGTH,
    Variance,
    offline_lira_score,
    offline_requirement,
    online_lira_score,
    online_requirement,
)
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.shadow_selection import ShadowRequirement
from hwsim.registry import register


@register(
    "attack",
    "lira",
    citation="N. Carlini et al., Membership Inference Attacks From First Principles, IEEE S&P 2022",
)
class Lira(Attack):
    """Likelihood-ratio attack on the log-odds of the label.

    `mode` "online" (default) is the ratio of the likelihoods under the IN and the OUT models of the sample. "offline"
    is the probability of smaller log-odds under the OUT models alone: the paper's one-sided test. "offline_two_sided"
    is the negated log density under the OUT models, as in the code released with the paper; it takes a target that is
    much *less* confident than the OUT models for a member too.

    `variance` is the estimate of the spread of a sample's shadow models. "shrinkage" combines the sample's own and the
    pooled variance with the weight `prior_strength`, is good at any number of shadow models, and predicts a Student-t;
    it is the idea of BaVarIA (arXiv 2603.11799), which has no entry of its own. "empirical_bayes" (default) shrinks the
    gap between IN and OUT models as well, towards the mean gap of all samples; offline, without IN models, it is
    "shrinkage". "pooled" is the paper's fixed variance. "per_point" is useful from 64 models on, and needs two shadow
    models in each set.

    "released" gives the numbers of the code released with the paper, with its fixed variance: medians, and one standard
    deviation over all IN values, uncentered. Offline it is the released two-sided score in both offline modes.
    "released_per_point" is the released code without the fixed variance. Only log-odds beyond +-103 differ, where the
    released ones saturate.

    With 4 models a set has one shadow model and nothing can be pooled; the variance is then a common one, too large.
    Samples without shadow models in a set score 0 (the median, if two-sided).
    Design choice: the empirical Bayes, and means in place of the paper's medians where not "released".
    """

    name = "lira"
    needs = ("logits",)
    min_models = 3

    mode: Literal["online", "offline", "offline_two_sided"] = Field(
        default="online", description="IN and OUT shadow models, or OUT models alone with a one- or two-sided test"
    )
    variance: Variance = Field(
        default="empirical_bayes", description="estimate of the spread of a sample's shadow models"
    )
    prior_strength: float = Field(
        default=PRIOR_STRENGTH, gt=0, description="observations that the pooled variance counts for in the shrinkage"
    )

    @property
    def shadow_requirement(self) -> ShadowRequirement:  # type: ignore[override]
        """IN and OUT models online, OUT models offline; two of each for a variance of the sample's own."""
        return online_requirement(self.variance) if self.mode == "online" else offline_requirement(self.variance)

    def scores(self, game: GameView) -> Scores:
        """Return the log-likelihood ratio of each target, or its offline test."""
        odds = log_odds(game.observed["logits"], game.labels)
        if self.mode == "online":
            return online_lira_score(odds, game, self.variance, self.prior_strength)
        two_sided = self.mode == "offline_two_sided"
        return offline_lira_score(odds, game, self.variance, self.prior_strength, two_sided)
