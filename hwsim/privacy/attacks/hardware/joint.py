"""Joint attack: outputs and side channels together."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.likelihood_ratio import online_lira_score
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.shadow_selection import IN_OUT
from hwsim.registry import register

JointChannel = Literal["logits", "latency_cycles", "energy_pj", "sensitive_regions"]


@register("attack", "joint", citation="Own definition, after N. Carlini et al. 2022 and Z. Li et al., CCS 2022")
class Joint(Attack):
    """The sum of the log-likelihood ratios of several `channels`, each with shrinkage variance as in `lira`.

    The sum assumes that the channels are independent given the membership, so the same information in two channels
    counts twice. A channel that is constant adds exactly nothing.
    """

    name = "joint"
    min_models = 3
    shadow_requirement = IN_OUT

    channels: tuple[JointChannel, ...] = Field(default=("logits", "latency_cycles", "energy_pj"), min_length=1)

    @field_validator("channels")
    @classmethod
    def _each_once(cls, channels: tuple[JointChannel, ...]) -> tuple[JointChannel, ...]:
        if len(set(channels)) < len(channels):
            raise ValueError("each channel once")
        return channels

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """The chosen channels."""
        return self.channels

    def scores(self, game: GameView) -> Scores:
        """Return the sum of the log-likelihood ratios of the channels for each target."""
        total = np.zeros((len(game.targets), game.samples))
        for name in self.channels:
            values = game.observed[name]
            total += online_lira_score(log_odds(values, game.labels) if name == "logits" else values, game)
        return total
