"""Data of a membership game: the audited pool, the calibration set, the auxiliary set, and the memberships."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.datasets import Data
from hwsim.datasets.splits import split
from hwsim.design import Design
from hwsim.errors import BadInput
from hwsim.privacy.game import Game, balanced_keep
from hwsim.rng import derive_seed, stream

MIN_POOL = 8
"""Smallest number of audited samples."""

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GameData:
    """The audited pool, the calibration set and the adversary's auxiliary set; the last two contain no member.

    Attributes
    ----------
    data : the whole data set
    pool : indices of the audited samples in `data`, int64 [sample]
    calibration : samples for the calibration of quantizers, float32 [calibration sample, *shape]
    auxiliary : samples on which an adversary distills students, float32 [auxiliary sample, *shape]
    game : memberships and labels of the audited samples
    """

    data: Data
    pool: Indices
    calibration: NDArray[np.float32]
    auxiliary: NDArray[np.float32]
    game: Game

    @property
    def x(self) -> NDArray[np.float32]:
        """Audited inputs, float32 [sample, *shape]."""
        return self.data.x[self.pool]

    @property
    def clean_labels(self) -> Indices:
        """Labels of the audited samples before label noise, int64 [sample]."""
        return self.data.clean_labels[self.pool]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.game.labels.max()) + 1


@dataclass(frozen=True, eq=False)
class _Samples:
    """Indices of the samples of a game in its data set.

    Attributes
    ----------
    pool : audited samples, int64 [sample]
    outside : calibration samples followed by auxiliary samples, int64 [outside sample]
    members : members of model 0 where a split prescribes them, bool [sample], else None
    """

    pool: Indices
    outside: Indices
    members: NDArray[np.bool_] | None = None


def prepare(design: Design) -> GameData:
    """Load the data of a design and draw the pool, the samples outside it and the memberships from its seed.

    Without a split the pool is a random part of the data. With a split it is the members and non-members
    of the split's target: model 0 trains on exactly these members, the other models on random halves of
    the pool, so that every sample is in half of the models. Calibration and auxiliary samples are members of no
    model, so calibration reveals nothing about members.
    """
    data: Data = design.dataset.load(design.seed)
    if design.game.split is None:
        samples = _random_samples(design, len(data.labels))
    else:
        samples = _split_samples(design, design.game.split, data)
    calibration, auxiliary = np.split(samples.outside, [design.game.calibration])
    seed = derive_seed(design.seed, "members")
    keep = balanced_keep(design.game.models, len(samples.pool), seed, samples.members)
    game = Game(keep, data.labels[samples.pool])
    return GameData(data, samples.pool, data.x[calibration], data.x[auxiliary], game)


def _random_samples(design: Design, total: int) -> _Samples:
    """Draw a random pool from `total` samples; raises BadInput when they are too few."""
    game, left = design.game, total - MIN_POOL
    for name, smallest in (("calibration", 1), ("auxiliary", 0)):
        given = getattr(game, name)
        if given > left:
            allowed = f"{smallest} to {left}, to leave {MIN_POOL} samples for the pool"
            raise BadInput(f"game.{name}", given, allowed)
        left -= given
    free = total - game.calibration - game.auxiliary
    size = free if game.samples is None else game.samples
    if not MIN_POOL <= size <= free:
        reserved = f"{game.calibration} are for calibration"
        if game.auxiliary:
            reserved += f", {game.auxiliary} auxiliary"
        allowed = f"{MIN_POOL} to {free}: {design.names['dataset']} has {total} samples, {reserved}"
        raise BadInput("game.samples", size, allowed)
    order = stream(design.seed, "pool").permutation(total)
    calibration, auxiliary = order[: game.calibration], order[total - game.auxiliary :]
    pool = order[game.calibration :][:size]
    return _Samples(pool, np.concatenate([calibration, auxiliary]))


def _split_samples(design: Design, name: str, data: Data) -> _Samples:
    """Read the pool from a published split; raises BadInput when it leaves too few samples outside the pool."""
    parts = split(design.names["dataset"], name, data)
    members = None
    if "target_member" in parts:
        pool = np.concatenate([parts["target_member"], parts["target_nonmember"]])
        members = np.arange(len(pool)) < len(parts["target_member"])
    else:
        pool = parts["pool"]
    outside = np.setdiff1d(np.arange(len(data.labels)), pool)
    outside = stream(design.seed, "pool").permutation(outside)
    needed = design.game.calibration + design.game.auxiliary
    if needed <= len(outside):
        return _Samples(pool, outside[:needed], members)
    if members is not None:
        given = f"{design.game.calibration} for calibration and {design.game.auxiliary} auxiliary"
        raise BadInput("game", given, f"{len(outside)} together, all that the split leaves outside of its pool")
    outside, pool = np.split(pool, [needed])  # a split without a target has one part, so both come out of it
    if len(pool) < MIN_POOL:
        raise BadInput("game.calibration", design.game.calibration, f"at most {len(pool) + needed - MIN_POOL}")
    return _Samples(pool, outside)
