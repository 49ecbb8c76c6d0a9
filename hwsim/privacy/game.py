"""Who is a member of which model: the membership game that every audit plays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.rng import derive_seed, stream

_LEAST_MODELS = 3


def balanced_keep(models: int, samples: int, seed: int, first: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Draw which samples train which model, every sample in exactly half of the models.

    Each sample draws one random key per model and belongs to the models with the smaller half of
    its keys, so a model's set is a random half of the samples (its size varies a little around
    `samples / 2`). `first` bool [sample] are the members of model 0 where they are given, those of a
    published split for instance.

    Returns bool [model, sample]. Raises BadInput unless `models` is even and at least 4.
    Source: N. Carlini et al., Membership Inference Attacks From First Principles, 2022, section V.

    >>> balanced_keep(4, 6, seed=0).sum(axis=0).tolist()
    [2, 2, 2, 2, 2, 2]
    """
    if models < 4 or models % 2:
        raise BadInput("game.models", models, "an even number, 4 or more")
    if samples < 1:
        raise BadInput("game.samples", samples, "1 or more")
    return _half_of_the_models(models, samples, seed, first)


@dataclass(frozen=True, eq=False)
class Game:
    """Which model was trained on which sample, and the labels that the training saw.

    `keep` is bool [model, sample]: True where the sample is a member of the model. There are 3 models
    or more, a target and two shadows, and every sample is out of one of them or more; one that is in
    none is a non-member whom attacks with in-shadows can only score in the middle. `labels` is int64
    [sample], noisy labels as the training saw them. Raises BadInput when they do not fit.
    `balanced_keep` makes the matrix of the literature.

    >>> game = Game(balanced_keep(4, 6, seed=0), np.zeros(6, dtype=np.int64))
    >>> game.models, game.samples
    (4, 6)
    """

    keep: NDArray[np.bool_]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.keep.dtype != np.bool_ or self.keep.ndim != 2:
            raise BadInput("game.keep", f"{self.keep.dtype} {self.keep.shape}", "bool [model, sample]")
        if self.models < _LEAST_MODELS:
            raise BadInput("game.models", self.models, f"{_LEAST_MODELS} or more, a target and two shadows")
        if self.samples < 1:
            raise BadInput("game.samples", self.samples, "1 or more")
        if self.labels.dtype != np.int64 or self.labels.shape != (self.samples,):
            raise BadInput("game.labels", f"{self.labels.dtype} {self.labels.shape}", f"int64 [{self.samples}]")
        members = self.keep.sum(axis=0)
        never_out = np.flatnonzero(members == self.models)
        if never_out.size:
            given = f"sample {never_out[0]} in all of the {self.models} models"
            raise BadInput("game.keep", given, "every sample out of one model or more")

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

        Every sample is in half of the models, or in one of the two numbers next to that by a coin.
        The true numbers are not kept: a sample of many models fits all of them, and attacks that find
        such samples would look better than guessing. Every honest attack scores an AUC of one half.
        """
        return Game(_half_of_the_models(self.models, self.samples, derive_seed(seed, "null game")), self.labels)


def _half_of_the_models(
    models: int, samples: int, seed: int, first: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Each sample belongs to the models with the smaller half of its keys; bool [model, sample]."""
    keys = stream(seed, "keep").random((samples, models))
    if first is not None:
        keys[:, 0] = np.where(first, -1.0, 2.0)
    ranks = np.argsort(np.argsort(keys, axis=1, kind="stable"), axis=1, kind="stable")
    odd_one = stream(seed, "odd one").integers(models % 2 + 1, size=(samples, 1))
    return np.ascontiguousarray((ranks < models // 2 + odd_one).T)
