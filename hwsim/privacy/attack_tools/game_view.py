"""GameView: the part of a membership game that an attack may read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput

Observed = Mapping[str, NDArray[Any]]
"""Channel name -> array [model, sample, ...]."""

Scores = NDArray[np.float64]
"""Membership scores, float64 [target, sample]; larger is more member-like."""


@dataclass(frozen=True, eq=False)
class GameView:
    """Observations and labels of a membership game, and the membership of the shadow models of each target.

    The membership of a target is not part of the view. `view_game` makes one.

    Attributes
    ----------
    observed : channel name -> array [model, sample, ...]; at least the channels that the attack needs
    labels : int64 [sample]
    targets : int64 [target], the models to score; the other models are the shadow models of each target
    """

    observed: Observed
    labels: NDArray[np.int64]
    targets: NDArray[np.int64]
    _keep: NDArray[np.bool_] = field(repr=False)

    @property
    def models(self) -> int:
        """Number of models, the target included."""
        return int(self._keep.shape[0])

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self._keep.shape[1])

    def of_targets(self, channel: str) -> NDArray[Any]:
        """Return a channel of the targets, [target, sample, ...]."""
        return np.asarray(self.observed[channel][self.targets])

    def shadow_members(self, target: int) -> NDArray[np.bool_]:
        """Return the membership in the shadow models of one target, bool [model, sample]; row `target` is all False.

        >>> keep = np.array([[True, False], [False, True], [True, True]])
        >>> view_game({}, keep, np.zeros(2, dtype=np.int64)).shadow_members(0).tolist()
        [[False, False], [False, True], [True, True]]
        """
        members = self._keep.copy()
        members[target] = False
        return members

    def shadow_statistics(
        self, values: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], float]
    ) -> NDArray[np.float64]:
        """Return a statistic over the members of each shadow model, float64 [target, model - 1].

        `values` is float64 [model, sample]. `statistic` reduces one model's values at its members, float64 [member].

        >>> keep = np.array([[True, False], [False, True], [True, True]])
        >>> game = view_game({}, keep, np.zeros(2, dtype=np.int64), targets=[0])
        >>> game.shadow_statistics(np.arange(6.0).reshape(3, 2), np.sum).tolist()
        [[3.0, 9.0]]
        """
        by_model = np.array([statistic(row[member]) for row, member in zip(values, self._keep, strict=True)])
        return np.stack([np.delete(by_model, target) for target in self.targets.tolist()])

    def shadow_game(self, target: int, shadows: int, samples: NDArray[np.int64]) -> tuple[GameView, NDArray[np.bool_]]:
        """Return the game of the shadow models of one target, on some samples, and the membership in the new targets.

        The new targets are the first `shadows` models after the target in the ring, so that an attack can be tried
        where the membership is known. The target and its row of the membership are not part of the new game. The
        membership is bool [new target, sample]; the view has no observations.

        >>> view = view_game({}, np.eye(4, dtype=bool), np.zeros(4, dtype=np.int64))
        >>> game, member = view.shadow_game(2, 2, np.array([0, 3]))
        >>> game.models, game.targets.tolist(), member.tolist()
        (3, [2, 0], [[False, True], [True, False]])
        """
        ring = (target + np.arange(1, self.models)) % self.models
        chosen = ring[:shadows]
        keep = np.delete(self._keep, target, axis=0)[:, samples]
        game = GameView({}, self.labels[samples], chosen - (chosen > target), keep)
        return game, self._keep[np.ix_(chosen, samples)]

    def with_observed(self, observed: Observed, targets: Sequence[int]) -> GameView:
        """Return the view of the same game with other observations and targets."""
        return replace(self, observed=observed, targets=np.asarray(targets, dtype=np.int64))


def view_game(
    observed: Observed,
    keep: NDArray[np.bool_],
    labels: NDArray[np.int64],
    targets: Sequence[int] | NDArray[np.int64] | None = None,
) -> GameView:
    """Return the view of a game for attacks on `targets`, by default on every model in turn.

    `observed` maps channel names to arrays [model, sample, ...], `keep` is bool [model, sample] and `labels` int64
    [sample], as in a Game. Raises BadInput for a target that is not a model of the game.

    >>> view_game({}, np.zeros((3, 1), dtype=bool), np.zeros(1, dtype=np.int64)).targets.tolist()
    [0, 1, 2]
    """
    models = len(keep)
    rows = np.arange(models, dtype=np.int64) if targets is None else np.asarray(targets, dtype=np.int64).reshape(-1)
    for row in rows.tolist():
        if not 0 <= row < models:
            raise BadInput("targets", row, f"0 to {models - 1}, the models of the game")
    return GameView(observed, labels, rows, keep)
