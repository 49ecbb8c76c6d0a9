"""Song and Mittal's entropy attack: the entropy of the answer against a threshold of the label's class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Observed
from hwsim.privacy.attack_tools.class_thresholds import ClassWise
from hwsim.privacy.attacks.metric.entropy import Entropy
from hwsim.registry import register


@register(
    "attack",
    "song_mittal_entropy",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class SongMittalEntropy(ClassWise):
    """Negated entropy less the threshold of the label's class, learned on the shadow models.

    Member where the score is 0 or more. The entropy is that of the attack `entropy`.
    """

    name = "song_mittal_entropy"

    @property
    def needs(self) -> tuple[str, ...]:
        """The probabilities."""
        return Entropy().needs

    def values(self, observed: Observed, keep: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """The negated entropy."""
        return Entropy().scores(observed, keep, labels)
