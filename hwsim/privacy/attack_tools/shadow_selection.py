"""Which shadow models speak for a sample, and how many, so that their number gives nothing away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.attack import Attack, target_rows

Sides = Literal["both", "out"]
"""Whether an attack reads the shadows that hold a sample beside those that do not."""

OUT, IN = 0, 1


@dataclass(frozen=True, eq=False)
class Shadows:
    """The shadows that an attack takes for each of its targets.

    `keep` bool [model, sample] and `targets` int64 [target]. `sizes` int64 [side, target, count], with
    side 0 = out and 1 = in, is the number of shadows taken on a side of a sample that `count`
    models other than the target hold. They are the first ones met when walking on from the target.
    `holding` int64 [sample] is the number of all models that hold a sample.
    """

    keep: NDArray[np.bool_]
    targets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    holding: NDArray[np.int64]

    def taken(self, target: int) -> NDArray[np.int64]:
        """How many shadows speak on either side, int64 [side, sample], for the target with this place in `targets`."""
        count = self.holding - self.keep[self.targets[target]]
        return np.asarray(self.sizes[:, target, count])


class ShadowAttack(Attack):
    """Base of the attacks that hold a sample's value against those of its own shadow models.

    A sample without shadows on a side that the attack reads cannot be told anything about: it gets
    the score in the middle, and `without_shadows` counts such samples.
    """

    least_models = 3

    @property
    def sides(self) -> Sides:
        """The shadows that the attack reads: of both sides, or only those that do not hold the sample."""
        return "both"

    @property
    def least_per_side(self) -> int:
        """Fewest shadows on a side that say something about a sample."""
        return 1

    def without_shadows(self, keep: NDArray[np.bool_], targets: Sequence[int] | None = None) -> NDArray[np.int64]:
        """Number of samples that `scores` leaves in the middle for want of shadows, int64 [target].

        Arguments as in `scores`. Raises BadInput where `scores` would: too few models, or a target
        for which no sample has the shadows.
        """
        shadows = choose_shadows(keep, targets, self.sides, self.least_models, self.least_per_side)
        usable = [has_shadows(shadows.taken(i), self.sides, self.least_per_side) for i in range(len(shadows.targets))]
        return np.array([int((~row).sum()) for row in usable], dtype=np.int64)


def choose_shadows(
    keep: NDArray[np.bool_],
    targets: Sequence[int] | None = None,
    sides: Sides = "both",
    least_models: int = 3,
    least_per_side: int = 1,
) -> Shadows:
    """Decide for each target how many shadows of each sample an attack takes.

    `keep` bool [model, sample] need not be balanced; the row of a target is never read for it.

    How many shadows hold a sample may give away whether the target does: where each sample is in
    exactly k models, it does so fully. Such samples show: the counts met among all samples of the
    game then are k - 1 and k, with a gap on either side. All of them get the numbers of shadows
    that samples with either count have. Where memberships are coins of their own, counts run over
    a longer range, and tell nothing about the target. To be safe where they are nearly balanced,
    "both" takes equally many shadows on both sides even then, and "out" at most half of all.
    (Our own choice.)

    Raises BadInput with fewer than `least_models` models, or when for a target no sample has
    `least_per_side` shadows on the sides that are read.

    >>> balanced = np.array([[True, False], [False, True], [True, True], [False, False]])
    >>> choose_shadows(balanced).taken(0).tolist()
    [[1, 1], [1, 1]]
    """
    models = len(keep)
    if models < least_models:
        raise BadInput("game.models", models, f"{least_models} or more for an attack with shadow models")
    rows = target_rows(models, targets)
    sizes = np.zeros((2, len(rows), models), dtype=np.int64)
    holding = keep.sum(axis=0, dtype=np.int64)
    for i, target in enumerate(rows.tolist()):
        met = np.flatnonzero(np.bincount(holding - keep[target]))
        inside, out = _without_a_tell(met, models - 1)
        if sides == "both":
            sizes[OUT, i, met] = sizes[IN, i, met] = np.minimum(inside, out)
        else:
            sizes[OUT, i, met] = out
        if not has_shadows(sizes[:, i, met], sides, least_per_side).any():
            side = "that do not hold it" if sides == "out" else "on both sides"
            number = f"{least_per_side} shadow model" + "s" * (least_per_side > 1)
            given = f"{models} models, no sample with {number} {side} of model {target}"
            raise BadInput("game.keep", given, "more models, or other memberships")
    return Shadows(keep, rows, sizes, holding)


def has_shadows(taken: NDArray[np.int64], sides: Sides, least: int = 1) -> NDArray[np.bool_]:
    """Whether a sample has enough shadows on each side that is read, bool [sample], of `Shadows.taken`."""
    fewest = taken.min(axis=0) if sides == "both" else taken[OUT]
    return np.asarray(fewest >= least)


def _without_a_tell(met: NDArray[np.int64], others: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shadows to take inside and outside for each count that was met, of `others` models; see `choose_shadows`."""
    inside, out = met.copy(), np.minimum(others - met, others // 2)
    gaps = np.flatnonzero(np.diff(met) > 1) + 1
    for begin, end in pairwise([0, *gaps.tolist(), len(met)]):
        if end - begin <= 2:
            inside[begin:end], out[begin:end] = met[begin], others - met[end - 1]
    return inside, out


def balanced_shadows(keep: NDArray[np.bool_], target: int) -> NDArray[np.bool_]:
    """Which shadow models speak for which sample, bool [model, sample]: equally many in and out.

    `keep` is bool [model, sample]. As many per side as the smaller side has, the first ones met when
    walking on from the target. In a balanced game the target is missing on one side, so the
    numbers themselves would give its membership away. Never reads `keep[target]`.

    >>> balanced_shadows(np.array([[True], [True], [False], [False]]), target=0).ravel().tolist()
    [False, True, True, False]
    """
    walk = (target + np.arange(1, len(keep))) % len(keep)
    chosen = np.zeros(keep.shape, dtype=np.bool_)
    chosen[walk] = first_per_set(keep[walk])
    return chosen


def first_per_set(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of shadows in this order, bool [shadow, sample], the first ones of each sample: equally many in and out.

    >>> first_per_set(np.array([[True], [True], [False], [True]]))[:, 0].tolist()
    [True, False, True, False]
    """
    met_in, met_out = np.cumsum(inside, axis=0), np.cumsum(~inside, axis=0)
    chosen: NDArray[np.bool_] = np.where(inside, met_in, met_out) <= np.minimum(met_in[-1], met_out[-1])
    return chosen
