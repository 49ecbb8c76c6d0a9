"""Correctness attack of Song and Mittal, weighted class by class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.shadow_selection import balanced_shadows
from hwsim.registry import register


@register(
    "attack",
    "song_mittal_correctness",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class SongMittalCorrectness(Attack):
    """Evidence of a correct or wrong prediction in its class: P(member | correct or wrong, class) - 1/2.

    Member where the score is above 0. The paper's own attack predicts member for a correct prediction, and is `gap`.

    Design choice: a threshold per class could only leave that prediction as it is or predict a whole class as members,
    so this attack learns on the shadow models how much a correct prediction is worth in each class.
    """

    name = "song_mittal_correctness"
    needs = ("label",)

    def scores(self, game: GameView) -> Scores:
        """Return P(member | correct or wrong, class) - 1/2 for each target."""
        correct = np.asarray(game.observed["label"] == game.labels)
        classes = np.unique(game.labels, return_inverse=True)[1]
        return np.stack([_evidence(correct, classes, game, target) for target in game.targets.tolist()])


def _evidence(
    correct: NDArray[np.bool_], classes: NDArray[np.int64], game: GameView, target: int
) -> NDArray[np.float64]:
    """Return P(member | correct or wrong, class) - 1/2, float64 [sample], with one pseudo-count for each outcome.

    `correct` is bool [model, sample], `classes` int64 [sample].
    """
    selected, member = balanced_shadows(game, target), game.shadow_members(target)
    cells = 2 * classes + correct  # [model, sample]: one cell for each class and outcome
    in_count, out_count = (
        np.bincount(cells[selected & (member == value)], minlength=cells.max() + 1) for value in (True, False)
    )
    # every class has equally many IN and OUT entries, so counts compare as shares do
    return np.asarray(((in_count - out_count) / (2 * (in_count + out_count + 2)))[cells[target]])
