"""Selection of the IN and OUT shadow models of each sample, with counts that do not reveal the target's membership."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.kernels.membership.shadow_moments import fixed_point_grid, log_means, shadow_moments, shadow_percentiles
from hwsim.privacy.attack_tools.game_view import GameView

ShadowSets = Literal["in_out", "out"]
"""Shadow models that an attack reads: IN and OUT models of a sample, or OUT models alone."""

OUT, IN = 0, 1


@dataclass(frozen=True)
class ShadowRequirement:
    """Shadow models that a sample needs to be scored.

    A sample without them gets a neutral score, and `samples_without_shadows` counts such samples.

    Attributes
    ----------
    sets : the sets of shadow models that the attack reads
    min_per_set : smallest number of shadow models in each of these sets
    min_models : smallest number of models of the game
    """

    sets: ShadowSets = "in_out"
    min_per_set: int = 1
    min_models: int = 3

    def met(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each sample has enough shadow models, bool [sample], from int64 [set, sample]."""
        fewest = counts.min(axis=0) if self.sets == "in_out" else counts[OUT]
        return np.asarray(fewest >= self.min_per_set)


IN_OUT = ShadowRequirement()


@dataclass(frozen=True, eq=False)
class ShadowSelection:
    """The shadow models of each sample and target, and the statistics that kernels compute over them.

    The shadow models taken from a set are the first ones after the target, in the cyclic order of the models.

    Attributes
    ----------
    targets : int64 [target]
    sizes : int64 [set, target, count], set 0 = OUT and 1 = IN: the number of shadow models taken from a set for a
        sample that is in `count` of the models other than the target
    in_count : int64 [sample], the number of all models that a sample is in
    """

    targets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    in_count: NDArray[np.int64]
    _keep: NDArray[np.bool_] = field(repr=False)

    def counts(self, row: int) -> NDArray[np.int64]:
        """Return the number of shadow models taken, int64 [set, sample], for target `targets[row]`."""
        in_shadows = self.in_count - self._keep[self.targets[row]]
        return np.asarray(self.sizes[:, row, in_shadows])

    def moments(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and centered sum of squares over each set, float64 [set, target, sample] each.

        `values` is float64 [model, sample].
        """
        means, squares = shadow_moments(values, self._keep, self.targets, self.sizes, *fixed_point_grid(values))
        return means, squares

    def log_means(self, odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log of the mean probability over both sets, float64 [target, sample]; NaN without shadows.

        `odds` is float64 [model, sample], log-odds of the label.
        """
        return np.asarray(log_means(odds, self._keep, self.targets, self.sizes))

    def share_below(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of shadow models with a smaller value than the target, equal ones counted half.

        `values` is float64 [model, sample]; returns float64 [target, sample], one half without shadows.
        """
        return np.asarray(shadow_percentiles(values, self._keep, self.targets, self.sizes))


def choose_shadows(game: GameView, requirement: ShadowRequirement = IN_OUT) -> ShadowSelection:
    """Decide for each target how many shadow models of each sample an attack takes.

    The game need not be balanced. The membership of a target does not influence its selection.

    The number of shadow models that contain a sample may reveal whether the target contains it: where each sample is
    in exactly k models, it does so fully. Such samples are recognizable. Their counts over all samples of the game
    are k - 1 and k, with a gap on either side. All of them get the numbers of shadow models that both counts allow.
    Where memberships are independent coins, counts run over a longer range and reveal nothing about the target.

    Raises BadInput with fewer than `requirement.min_models` models, or when for a target no sample has the required
    shadow models.

    Design choice: for memberships that are nearly balanced, "in_out" takes equal numbers of IN and OUT models even
    where counts run over a longer range, and "out" takes at most half of all models.

    >>> from hwsim.privacy.attack_tools.game_view import view_game
    >>> balanced = np.array([[True, False], [False, True], [True, True], [False, False]])
    >>> choose_shadows(view_game({}, balanced, np.zeros(2, dtype=np.int64))).counts(0).tolist()
    [[1, 1], [1, 1]]
    """
    keep, models, rows = game._keep, game.models, game.targets
    if models < requirement.min_models:
        allowed = f"{requirement.min_models} or more for an attack with shadow models"
        raise BadInput("game.models", models, allowed)
    sizes = np.zeros((2, len(rows), models), dtype=np.int64)
    in_count = keep.sum(axis=0, dtype=np.int64)
    for i, target in enumerate(rows.tolist()):
        present = np.flatnonzero(np.bincount(in_count - keep[target]))
        in_size, out_size = _set_sizes(present, models - 1)
        if requirement.sets == "in_out":
            sizes[OUT, i, present] = sizes[IN, i, present] = np.minimum(in_size, out_size)
        else:
            sizes[OUT, i, present] = out_size
        if not requirement.met(sizes[:, i, present]).any():
            number, plural = requirement.min_per_set, "s" if requirement.min_per_set > 1 else ""
            wanted = f"{number} OUT" if requirement.sets == "out" else f"{number} IN and {number} OUT"
            given = f"{models} models, no sample with {wanted} shadow model{plural} for target {target}"
            raise BadInput("game.keep", given, "more models, or other memberships")
    return ShadowSelection(rows, sizes, in_count, np.ascontiguousarray(keep))


def samples_without_shadows(game: GameView, requirement: ShadowRequirement) -> NDArray[np.int64]:
    """Return the number of samples without the required shadow models, int64 [target]; raises as `choose_shadows`."""
    shadows = choose_shadows(game, requirement)
    met = [requirement.met(shadows.counts(row)) for row in range(len(shadows.targets))]
    return np.array([int((~row).sum()) for row in met], dtype=np.int64)


def _set_sizes(present: NDArray[np.int64], shadows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of IN and OUT models to take, int64 [count] each; see `choose_shadows`.

    `present` int64 [count] are the numbers of shadow models, of `shadows` in all, that some sample is in.
    """
    in_size, out_size = present.copy(), np.minimum(shadows - present, shadows // 2)
    gaps = np.flatnonzero(np.diff(present) > 1) + 1
    for begin, end in pairwise([0, *gaps.tolist(), len(present)]):
        if end - begin <= 2:
            in_size[begin:end], out_size[begin:end] = present[begin], shadows - present[end - 1]
    return in_size, out_size


def balanced_shadows(game: GameView, target: int) -> NDArray[np.bool_]:
    """Select equally many IN and OUT shadow models of each sample, bool [model, sample].

    Each set has the size of the smaller one and contains the first models after the target in the ring. In a balanced
    game the target is missing in one set, so unequal numbers would reveal its membership.

    >>> from hwsim.privacy.attack_tools.game_view import view_game
    >>> keep = np.array([[True], [True], [False], [False]])
    >>> balanced_shadows(view_game({}, keep, np.zeros(1, dtype=np.int64)), target=0).ravel().tolist()
    [False, True, True, False]
    """
    ring = (target + np.arange(1, game.models)) % game.models
    selected = np.zeros((game.models, game.samples), dtype=np.bool_)
    selected[ring] = first_per_set(game.shadow_members(target)[ring])
    return selected


def first_per_set(member: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Select the first shadow models of each sample in this order, equally many IN and OUT: bool [shadow, sample].

    `member` is bool [shadow, sample].

    >>> first_per_set(np.array([[True], [True], [False], [True]]))[:, 0].tolist()
    [True, False, True, False]
    """
    in_rank, out_rank = np.cumsum(member, axis=0), np.cumsum(~member, axis=0)
    selected: NDArray[np.bool_] = np.where(member, in_rank, out_rank) <= np.minimum(in_rank[-1], out_rank[-1])
    return selected
