"""The arena of a membership game: the data that it is played on, and who is a member of which model."""

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

LEAST_POOL = 8

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GameData:
    """The audited pool, and beside it samples that no model trains on: for calibration, and an adversary's own.

    `pool` int64 are the audited samples of `data`; `calibration` float32 [sample, *shape] is what a
    quantizer may look at, and `auxiliary` what an adversary distils students with.
    """

    data: Data
    pool: Indices
    calibration: NDArray[np.float32]
    auxiliary: NDArray[np.float32]
    game: Game

    @property
    def x(self) -> NDArray[np.float32]:
        """Audited inputs float32 [sample, *shape]."""
        return self.data.x[self.pool]

    @property
    def clean_labels(self) -> Indices:
        """Labels of the audited samples before label noise."""
        return self.data.clean_labels[self.pool]

    @property
    def classes(self) -> int:
        """Number of classes that the models tell apart."""
        return int(self.game.labels.max()) + 1


def prepare(design: Design) -> GameData:
    """Load the data of a design, and draw pool, calibration samples and members from its seed.

    Without a split the pool is a random part of the data. With one, it is the members and non-members
    of the split's target; model 0 trains on exactly these members, the others on random halves of
    the pool, so that every sample is in half of the models. Calibration and auxiliary samples are members of no
    model, so that quantizing reveals nothing about members.
    """
    data: Data = design.dataset.load(design.seed)
    if design.game.split is None:
        pool, spare, first = *_random_pool(design, len(data.labels)), None
    else:
        pool, spare, first = _split_pool(design, data)
    calibration, auxiliary = np.split(spare, [design.game.calibration])
    keep = balanced_keep(design.game.models, len(pool), derive_seed(design.seed, "members"), first)
    game = Game(keep, data.labels[pool])
    return GameData(data, pool, data.x[calibration], data.x[auxiliary], game)


def _random_pool(design: Design, total: int) -> tuple[Indices, Indices]:
    """The pool, and the calibration samples with the auxiliary ones behind them."""
    game, left = design.game, total - LEAST_POOL
    for name, least in (("calibration", 1), ("auxiliary", 0)):
        given = getattr(game, name)
        if given > left:
            allowed = f"{least} to {left}, to leave {LEAST_POOL} samples for the pool"
            raise BadInput(f"game.{name}", given, allowed)
        left -= given
    free = total - game.calibration - game.auxiliary
    samples = free if game.samples is None else game.samples
    if not LEAST_POOL <= samples <= free:
        beside = f"{game.calibration} are for calibration" + (f", {game.auxiliary} auxiliary" if game.auxiliary else "")
        allowed = f"{LEAST_POOL} to {free}: {design.names['dataset']} has {total} samples, {beside}"
        raise BadInput("game.samples", samples, allowed)
    order = stream(design.seed, "pool").permutation(total)
    auxiliary = order[total - game.auxiliary :]
    pool = order[game.calibration :][:samples]
    return pool, np.concatenate([order[: game.calibration], auxiliary])


def _split_pool(design: Design, data: Data) -> tuple[Indices, Indices, NDArray[np.bool_] | None]:
    """The pool of a published split, samples outside of it, and the members of its target, bool [sample]."""
    assert design.game.split is not None
    parts = split(design.names["dataset"], design.game.split, data)
    if "target_member" in parts:
        members, others = parts["target_member"], parts["target_nonmember"]
        pool, first = np.concatenate([members, others]), np.arange(len(members) + len(others)) < len(members)
    else:
        pool, first = parts["pool"], None
    outside = np.setdiff1d(np.arange(len(data.labels)), pool)
    outside = stream(design.seed, "pool").permutation(outside)
    wanted = design.game.calibration + design.game.auxiliary
    if wanted <= len(outside):
        return pool, outside[:wanted], first
    if first is not None:
        place = f"{design.game.calibration} for calibration and {design.game.auxiliary} auxiliary"
        raise BadInput("game", place, f"{len(outside)} together, all that the split leaves outside of its pool")
    spare, pool = np.split(pool, [wanted])  # a split of one part names no others: they come out of it
    if len(pool) < LEAST_POOL:
        raise BadInput("game.calibration", design.game.calibration, f"at most {len(pool) + wanted - LEAST_POOL}")
    return pool, spare, None
