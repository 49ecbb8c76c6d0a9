"""LiRA: the log-odds of the label against those of each sample's shadow models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Observed, log_odds
from hwsim.privacy.attack_tools.likelihood_ratio import (
    PRIOR_STRENGTH,
    Variance,
    least_per_side,
    offline_lira_score,
    online_lira_score,
)
from hwsim.privacy.attack_tools.shadow_selection import ShadowAttack, Sides
from hwsim.registry import register


@register(
    "attack",
    "lira",
    citation="N. Carlini et al., Membership Inference Attacks From First Principles, IEEE S&P 2022",
)
class Lira(ShadowAttack):
    """Likelihood-ratio attack on the log-odds of the label.

    `mode` "online" (default) asks whether the target looks more like the shadows that hold the sample
    or like those that do not. "offline" knows only the latter, and asks how few of them would be as
    sure as the target: the paper's one-sided test. "offline_two_sided" is what the code released with
    the paper computes, the negated log density of the out-shadows, which takes a target that is
    much *less* sure than they are for a member too.

    `variance` says how the spread of a sample's shadows is estimated: "shrinkage" (default) between
    its own and the pooled one, with the weight `prior_strength`, good at any number of shadows; it
    predicts a Student-t and is the idea of BaVarIA (arXiv 2603.11799), which has no entry of its own.
    "pooled" is the paper's fixed variance; "per_point" serves from 64 models on, and needs two shadows on
    each side.

    Means stand where the paper takes medians. With 4 models a side has one shadow and nothing can be
    pooled; the variance is then a common one, too large. Samples without shadows on a side score 0 (the
    median, if two-sided).
    """

    name = "lira"

    mode: Literal["online", "offline", "offline_two_sided"] = Field(
        default="online", description="in- and out-shadows, or out-shadows alone with a one- or two-sided test"
    )
    variance: Variance = Field(default="shrinkage", description="how the spread of a sample's shadows is estimated")
    prior_strength: float = Field(
        default=PRIOR_STRENGTH, gt=0, description="observations that the pooled variance counts for in the shrinkage"
    )

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits."""
        return ("logits",)

    @property
    def sides(self) -> Sides:
        """Both online, the out-shadows offline."""
        return "both" if self.mode == "online" else "out"

    @property
    def least_per_side(self) -> int:
        """Two where the variance is a sample's own, else one."""
        return least_per_side(self.variance)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        odds = log_odds(observed["logits"], labels)
        if self.mode == "online":
            return online_lira_score(odds, keep, self.variance, self.prior_strength, targets)
        two_sided = self.mode == "offline_two_sided"
        return offline_lira_score(odds, keep, self.variance, self.prior_strength, targets, two_sided)
