"""Mean probability of the label over a sample's shadow models, the reference of BASE and RMIA."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.shadow_selection import ShadowRequirement, ShadowSelection

Mode = Literal["online", "offline"]

MODE = "IN and OUT shadow models, or OUT models alone"
"""Description of the parameter `mode`."""


def mean_requirement(mode: Mode) -> ShadowRequirement:
    """Return the shadow models that a mean needs: IN and OUT models online, OUT models offline."""
    return ShadowRequirement("in_out" if mode == "online" else "out", min_models=2)


def log_mean_probability(odds: NDArray[np.float64], shadows: ShadowSelection) -> NDArray[np.float64]:
    """Return the log of the mean p over the selected shadows, float64 [target, sample]; NaN for a sample without any.

    `odds` is float64 [model, sample], log-odds of the label. The order of the shadows changes no bit. Raises BadInput
    for odds that are not finite.
    """
    if not np.isfinite(odds).all():
        raise BadInput("logits", "NaN or infinity", "finite logits")
    return shadows.log_means(np.ascontiguousarray(odds))
