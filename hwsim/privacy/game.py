"""The membership game: which sample is a member of which model."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from hwsim.arrays import integer_array, truth_array
from hwsim.errors import BadInput
from hwsim.rng import derive_seed, stream

_MIN_MODELS = 1


def balanced_keep(models: int, samples: int, seed: int, first: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Draw the membership matrix, bool [model, sample], with every sample in exactly half of the models.

    Each sample draws one random key per model and is a member of the models with the smaller half of its keys, so the
    training set of a model is a random half of the samples (its size varies a little around `samples / 2`). `first`
    bool [sample] are the members of model 0 where they are given, such as the members of a published split.

    Raises BadInput unless `models` is even and at least 4.
    Source: N. Carlini et al., Membership Inference Attacks From First Principles, 2022, section V.

    >>> balanced_keep(4, 6, seed=0).sum(axis=0).tolist()
    [2, 2, 2, 2, 2, 2]
    """
    for place, number in (("game.models", models), ("game.samples", samples), ("game.seed", seed)):
        if not isinstance(number, Integral) or isinstance(number, bool):
            raise BadInput(place, f"{number!r:.40} ({type(number).__name__})", "an integer")
    if models < 4 or models % 2:
        raise BadInput("game.models", models, "an even number, 4 or more")
    if samples < 1:
        raise BadInput("game.samples", samples, "1 or more")
    if first is not None:
        first = truth_array(first, "game.first")
        if first.shape != (samples,):
            raise BadInput("game.first", f"shape {first.shape}", f"[{samples}], one truth value per sample")
    return _draw_halves(models, samples, seed, first)


@dataclass(frozen=True, eq=False)
class Game:
    """Membership of samples in models, and the labels of the training.

    Attributes
    ----------
    keep : bool [model, sample], True where the sample is a member of the model. Attacks with shadow models need three
        models or more, other attacks one. A sample that is in no model has no IN models, one that is in all models has
        no OUT models, and attacks that need them score it in the middle.
    labels : int64 [sample], with the label noise of the training

    Raises BadInput when they do not fit. `balanced_keep` makes the matrix of the literature.

    >>> game = Game(balanced_keep(4, 6, seed=0), np.zeros(6, dtype=np.int64))
    >>> game.models, game.samples
    (4, 6)
    """

    keep: NDArray[np.bool_]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        # frozen: lists and tensors become arrays here, once
        object.__setattr__(self, "keep", truth_array(self.keep, "game.keep"))
        object.__setattr__(self, "labels", integer_array(self.labels, "game.labels").astype(np.int64, copy=False))
        if self.keep.dtype != np.bool_ or self.keep.ndim != 2:
            raise BadInput("game.keep", f"{self.keep.dtype} {self.keep.shape}", "bool [model, sample]")
        if self.models < _MIN_MODELS:
            raise BadInput("game.models", self.models, f"{_MIN_MODELS} or more")
        if self.samples < 1:
            raise BadInput("game.samples", self.samples, "1 or more")
        if self.labels.dtype != np.int64 or self.labels.shape != (self.samples,):
            raise BadInput("game.labels", f"{self.labels.dtype} {self.labels.shape}", f"int64 [{self.samples}]")

    @property
    def models(self) -> int:
        """Number of models; each is the target in turn, with the other models as its shadow models."""
        return int(self.keep.shape[0])

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.keep.shape[1])

    def shuffled(self, seed: int) -> Game:
        """Return the null game: the same models and labels, with membership drawn independently of the training.

        Every sample is in half of the models; for an odd number of models a coin rounds the half up or down. The true
        numbers are not kept: a sample in many models has a small loss in all of them, and attacks that find such
        samples would look better than guessing. A sound attack has an AUC of one half.
        """
        return Game(_draw_halves(self.models, self.samples, derive_seed(seed, "null game")), self.labels)


def _draw_halves(models: int, samples: int, seed: int, first: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Return bool [model, sample], True for the smaller half of each sample's keys; `first` is bool [sample]."""
    keys = stream(seed, "keep").random((samples, models))
    if first is not None:
        keys[:, 0] = np.where(first, -1.0, 2.0)
    ranks = np.argsort(np.argsort(keys, axis=1, kind="stable"), axis=1, kind="stable")
    odd_one = stream(seed, "odd one").integers(models % 2 + 1, size=(samples, 1))
    return np.ascontiguousarray((ranks < models // 2 + odd_one).T)
