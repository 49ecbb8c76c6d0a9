"""Song and Mittal's modified-entropy attack, with a threshold for each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Observed
from hwsim.privacy.attack_tools.class_thresholds import ClassWise
from hwsim.privacy.attacks.metric.modified_entropy import ModifiedEntropy
from hwsim.registry import register


@register(
    "attack",
    "song_mittal_modified_entropy",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class SongMittalModifiedEntropy(ClassWise):
    """Negated modified entropy less the threshold of the label's class, learned on the shadow models.

    Member where the score is 0 or more. The modified entropy is that of the attack `modified_entropy`.
    """

    name = "song_mittal_modified_entropy"

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits."""
        return ModifiedEntropy().needs

    def values(self, observed: Observed, keep: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """The negated modified entropy."""
        return ModifiedEntropy().scores(observed, keep, labels)
