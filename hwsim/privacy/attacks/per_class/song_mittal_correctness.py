"""Song and Mittal's correctness attack, weighed class by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed, target_rows
from hwsim.privacy.attack_tools.shadow_selection import balanced_shadows
from hwsim.registry import register


@register(
    "attack",
    "song_mittal_correctness",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class SongMittalCorrectness(Attack):
    """What a right or wrong answer says about membership in this class: P(member | right or wrong, class) - 1/2.

    The paper's own attack says member where the answer is right, and is `gap`. A threshold per class
    could only leave that as it is or call a whole class members, so this one learns on the shadow
    models how much a right answer is worth in each class (our own choice). Member where the score is
    above 0.
    """

    name = "song_mittal_correctness"

    @property
    def needs(self) -> tuple[str, ...]:
        """The predicted label."""
        return ("label",)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        right = np.asarray(observed["label"] == labels)
        classes = np.unique(labels, return_inverse=True)[1]
        rows = target_rows(len(keep), targets)
        return np.stack([_evidence(right, keep, classes, target) for target in rows.tolist()])


def _evidence(
    right: NDArray[np.bool_], keep: NDArray[np.bool_], classes: NDArray[np.int64], target: int
) -> NDArray[np.float64]:
    """P(member | answer, class) - 1/2 of one target's samples, one pseudo-count on either side."""
    chosen = balanced_shadows(keep, target)
    cells = 2 * classes + right  # [model, sample]: one cell for each class and answer
    inside, out = (np.bincount(cells[chosen & (keep == side)], minlength=cells.max() + 1) for side in (True, False))
    # every class has equally many entries on both sides, so counts compare as shares do
    return np.asarray(((inside - out) / (2 * (inside + out + 2)))[cells[target]])
