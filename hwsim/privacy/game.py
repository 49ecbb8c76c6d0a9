"""Who is a member of which model: the membership game that every audit plays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.rng import derive_seed, stream


def balanced_keep(models: int, samples: int, seed: int) -> NDArray[np.bool_]:
    """Draw which samples train which model, every sample in exactly half of the models.

    Each sample draws one random key per model and belongs to the models with the smaller half of
    its keys, so a model's set is a random half of the samples (its size varies a little around
    `samples / 2`).

    Returns bool [model, sample]. Raises BadInput unless `models` is even and at least 4.
    Source: N. Carlini et al., Membership Inference Attacks From First Principles, 2022, section V.

    >>> balanced_keep(4, 6, seed=0).sum(axis=0).tolist()
    [2, 2, 2, 2, 2, 2]
    """
    _require_models(models)
    if samples < 1:
        raise BadInput("game.samples", samples, "1 or more")
    keys = stream(seed, "keep").random((samples, models))
    ranks = np.argsort(np.argsort(keys, axis=1, kind="stable"), axis=1, kind="stable")
    return np.ascontiguousarray((ranks < models // 2).T)


@dataclass(frozen=True, eq=False)
class Game:
    """Which model was trained on which sample, and the labels that the training saw.

    `keep` is bool [model, sample]: True where the sample is a member of the model. The number of
    models is even and at least 4, and every sample is a member of exactly half of them. `labels` is
    int64 [sample], noisy labels as the training saw them. Raises BadInput when they do not fit.

    >>> game = Game(balanced_keep(4, 6, seed=0), np.zeros(6, dtype=np.int64))
    >>> game.models, game.samples
    (4, 6)
    """

    keep: NDArray[np.bool_]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.keep.dtype != np.bool_ or self.keep.ndim != 2:
            raise BadInput("game.keep", f"{self.keep.dtype} {self.keep.shape}", "bool [model, sample]")
        _require_models(self.models)
        if self.labels.dtype != np.int64 or self.labels.shape != (self.samples,):
            raise BadInput("game.labels", f"{self.labels.dtype} {self.labels.shape}", f"int64 [{self.samples}]")
        members = self.keep.sum(axis=0)
        wrong = np.flatnonzero(members != self.models // 2)
        if wrong.size:
            given = f"sample {wrong[0]} in {members[wrong[0]]} of {self.models} models"
            raise BadInput("game.keep", given, f"every sample in exactly {self.models // 2}")

    @property
    def models(self) -> int:
        """Number of models; each is the target in turn, with the others as its shadow models."""
        return int(self.keep.shape[0])

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.keep.shape[1])

    def shuffled(self, seed: int) -> Game:
        """The null game: the same models and labels, membership drawn anew and so unrelated to the training.

        Every honest attack must score an AUC of one half in it.
        """
        return Game(balanced_keep(self.models, self.samples, derive_seed(seed, "null game")), self.labels)


def _require_models(models: int) -> None:
    if models < 4 or models % 2:
        raise BadInput("game.models", models, "an even number, 4 or more")
