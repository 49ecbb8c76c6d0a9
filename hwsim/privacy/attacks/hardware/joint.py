"""Joint attack: outputs and side channels together."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from hwsim.privacy.attack_tools.attack import Attack, Choices
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.model_level import LEVEL, less_model_mean
from hwsim.privacy.attack_tools.shadow_selection import IN_OUT
from hwsim.privacy.attack_tools.stacking import stacked_ratio
from hwsim.privacy.sample_keys import content_keys
from hwsim.registry import register

JointChannel = Literal["logits", "latency_cycles", "energy_pj", "sensitive_regions"]


@register("attack", "joint", citation="Own definition, after N. Carlini et al. 2022 and Z. Li et al., CCS 2022")
class Joint(Attack):
    """A weighted sum of the log-likelihood ratios of several `channels`, each as in `lira`.

    The weights are learned on the target's shadow models, each as the target in turn (stacking). The ratios of a
    channel without a leak are close to 0, and channels with the same information share its weight, so the attack is
    not clearly weaker than the best of its channels. With fewer than 6 models the weights are 1.

    Side channels are taken less their model's mean over the samples, because whole models differ in latency and energy;
    `remove_level = false` takes the bare values. A channel that is constant adds exactly nothing.
    """

    name = "joint"
    min_models = 3
    shadow_requirement = IN_OUT

    channels: tuple[JointChannel, ...] = Field(default=("logits", "latency_cycles", "energy_pj"), min_length=1)
    remove_level: bool = Field(default=True, description=LEVEL)

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
        """Return the weighted sum of the log-likelihood ratios of the channels for each target."""
        return self.scored(game)[0]

    def scored(self, game: GameView) -> tuple[Scores, Choices]:
        """Return the scores, and the weight of each channel."""
        keys = content_keys(game.labels, *(np.moveaxis(game.observed[name], 0, 1) for name in self.channels))
        scores, weights = stacked_ratio([self._values(game, name) for name in self.channels], game, keys)
        return scores, {f"weight_{name}": weights[:, k] for k, name in enumerate(self.channels)}

    def _values(self, game: GameView, name: JointChannel) -> NDArray[np.float64]:
        """Return one number per model and sample, float64 [model, sample]."""
        values = np.asarray(game.observed[name], dtype=np.float64)
        if name == "logits":
            return log_odds(values, game.labels)
        return less_model_mean(values) if self.remove_level else values
