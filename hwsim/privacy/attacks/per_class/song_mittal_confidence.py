"""Song and Mittal's confidence attack: the label's probability against a threshold of its class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Observed, log_odds
from hwsim.privacy.attack_tools.class_thresholds import ClassWise
from hwsim.registry import register


@register(
    "attack",
    "song_mittal_confidence",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class SongMittalConfidence(ClassWise):
    """Confidence of the label less the threshold of its class, learned on the shadow models.

    Member where the score is 0 or more. The confidence is taken as log-odds, which order as
    probabilities do and decide alike, but do not all become 1 where the model is sure.
    """

    name = "song_mittal_confidence"

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits."""
        return ("logits",)

    def values(self, observed: Observed, keep: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """The log-odds of the label."""
        return np.stack([log_odds(logits, labels) for logits in observed["logits"]])
