"""The mean probability that a sample's shadow models give its label: what BASE and RMIA compare a target with."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.errors import BadInput
from hwsim.kernels.membership.shadow_moments import log_means
from hwsim.privacy.attack_tools.shadow_selection import ShadowAttack, Shadows, Sides


class MeanShadowAttack(ShadowAttack):
    """Base of the attacks that compare p of the label with its mean over the sample's shadow models."""

    least_models = 2

    mode: Literal["online", "offline"] = Field(
        default="online", description="in- and out-shadows, or out-shadows alone"
    )

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits."""
        return ("logits",)

    @property
    def sides(self) -> Sides:
        """Both online, the out-shadows offline."""
        return "both" if self.mode == "online" else "out"


def log_probability(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """log p of the label from its log-odds, any shape; neither sure nor hopeless answers saturate.

    >>> log_probability(np.array([-800.0, 0.0, 50.0])).tolist()
    [-800.0, -0.6931471805599453, -1.9287498479639178e-22]
    """
    return np.asarray(-np.logaddexp(0.0, -odds))


def log_mean_probability(odds: NDArray[np.float64], shadows: Shadows) -> NDArray[np.float64]:
    """log of the mean p over the chosen shadows, float64 [target, sample]; NaN where a sample has none.

    `odds` float64 [model, sample] are log-odds of the label. The same bits in any order of the
    shadows. Raises BadInput for odds that are not finite.
    """
    if not np.isfinite(odds).all():
        raise BadInput("logits", "NaN or infinity", "finite logits")
    values, keep = np.ascontiguousarray(odds), np.ascontiguousarray(shadows.keep)
    return np.asarray(log_means(values, keep, shadows.targets, shadows.sizes))
