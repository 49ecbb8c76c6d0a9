"""The joint attack: outputs and side channels together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from hwsim.privacy.attack_tools.attack import Observed, log_odds, target_rows
from hwsim.privacy.attack_tools.likelihood_ratio import online_lira_score
from hwsim.privacy.attack_tools.shadow_selection import ShadowAttack
from hwsim.registry import register

JointChannel = Literal["logits", "latency_cycles", "energy_pj", "sensitive_regions"]


@register("attack", "joint", citation="Own definition, after N. Carlini et al. 2022 and Z. Li et al., CCS 2022")
class Joint(ShadowAttack):
    """The sum of the log-likelihood ratios of several `channels`, each with shrinkage variance as in `lira`.

    The sum takes the channels as independent given the membership, so channels that say the same
    thing count twice. A channel that is constant adds exactly nothing.
    """

    name = "joint"

    channels: tuple[JointChannel, ...] = Field(default=("logits", "latency_cycles", "energy_pj"), min_length=1)

    @field_validator("channels")
    @classmethod
    def _each_once(cls, channels: tuple[JointChannel, ...]) -> tuple[JointChannel, ...]:
        if len(set(channels)) < len(channels):
            raise ValueError("each channel once")
        return channels

    @property
    def needs(self) -> tuple[str, ...]:
        """The chosen channels."""
        return self.channels

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        total = np.zeros((len(target_rows(len(keep), targets)), keep.shape[1]))
        for name in self.channels:
            values = log_odds(observed[name], labels) if name == "logits" else observed[name]
            total += online_lira_score(values, keep, targets=targets)
        return total
