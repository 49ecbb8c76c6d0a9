"""Classifier-based attacks: cross-fitting and balanced shadow sets, which keep memorized membership out of the scores.

In a balanced game a sample is in half of the models, so the number of shadow models that contain it reveals whether
the target does. A classifier with enough freedom would memorize each sample, count, and find a leak without any. Three
rules prevent it:

1. **Cross-fitting.** The samples are split into two halves. The attack model that scores a sample against the target
   was trained on samples of the other half.
2. **Equally many IN and OUT shadow models** of every sample in an attack training set.
3. **A canonical order.** Halves and rows are ordered by a hash of the label, the membership in the shadow models and
   the observed channels of a sample. The order of the samples changes no bit, and samples equal in all of these get
   one score.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.shadow_selection import first_per_set
from hwsim.privacy.sample_keys import content_keys
from hwsim.rng import derive_seed

Predictor = Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]
"""A fitted attack model: features float64 [n, feature] and labels int64 [n] -> scores float64 [n]."""

MAX_NUMBERS = 2**24
"""Default largest number of features in all attack training sets that are in memory together."""


@dataclass(frozen=True, eq=False)
class AttackTrainingSet:
    """Training set of one attack model: outputs of the shadow models on one half of the samples.

    Attributes
    ----------
    features : float64 [row, feature]
    member : bool [row], with both values
    labels : int64 [row]
    seed : seed of the training
    """

    features: NDArray[np.float64]
    member: NDArray[np.bool_]
    labels: NDArray[np.int64]
    seed: int


class LearnedAttack(Attack):
    """Base of the attacks with an attack model trained on shadow models; a subclass gives `features` and `fit`.

    The shadow models are the first `shadows` ones after the target in the ring of models. With two or more, a sample
    enters with equally many IN and OUT models; a single shadow model enters with all its samples.
    """

    shadows: int | None = Field(default=None, ge=1, description="number of shadow models; all others when not given")
    most_rows: int = Field(
        default=20_000, ge=10, description="largest number of rows that one attack model learns from"
    )

    @abstractmethod
    def features(self, game: GameView) -> NDArray[np.float64]:
        """Return the inputs of the attack model, float64 [model, sample, feature]."""

    @abstractmethod
    def fit(self, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """Train one attack model on each training set, independently of the other sets.

        `rows` is the largest number of rows of a training set in this game. It is the same for all sets of all
        targets, so that a number of training steps derived from it does not depend on the other sets.
        """

    @final
    def scores(self, game: GameView) -> Scores:
        """Score both halves of the samples, each by attack models trained on the other half."""
        return cross_fitted_scores(self, game)


def cross_fitted_scores(attack: LearnedAttack, game: GameView, max_numbers: int = MAX_NUMBERS) -> Scores:
    """Return the scores of a learned attack by cross-fitting, float64 [target, sample].

    A half with members only, or with none, trains no attack model, and the other half scores 0. `max_numbers` bounds
    the memory and changes no score. Raises BadInput when the game has fewer shadow models than `attack.shadows`.
    """
    if attack.shadows is not None and attack.shadows >= game.models:
        allowed = f"1 to {game.models - 1}, the models less the target"
        raise BadInput(f"attack {attack.name}.shadows", attack.shadows, allowed)
    features = np.asarray(attack.features(game), dtype=np.float64)
    keys = content_keys(game.labels, *(np.moveaxis(game.observed[name], 0, 1) for name in attack.needs))
    rows = _max_rows(attack, game)
    step = max(1, max_numbers // (2 * rows * features.shape[2]))
    targets = game.targets.tolist()
    scores = np.zeros((len(targets), game.samples))
    for start in range(0, len(targets), step):
        part = targets[start : start + step]
        scores[start : start + step] = _scores_of(attack, game, features, keys, part, rows)
    return scores


def _max_rows(attack: LearnedAttack, game: GameView) -> int:
    """Return the number of rows of a training set for even halves and samples that are in half of the models."""
    count = attack.shadows or game.models - 1
    per_sample = 1 if count == 1 else 2 * (count // 2)
    return min(attack.most_rows, per_sample * ceil_div(game.samples, 2))


def _scores_of(
    attack: LearnedAttack,
    game: GameView,
    features: NDArray[np.float64],
    keys: NDArray[np.uint64],
    targets: Sequence[int],
    rows: int,
) -> Scores:
    """Return the scores of some targets, whose attack models are trained together.

    `features` is float64 [model, sample, feature], `keys` uint64 [sample].
    """
    members = [game.shadow_members(target) for target in targets]
    by_half = {
        (i, half.number): half
        for i, target in enumerate(targets)
        for half in halves(keys, np.delete(members[i], target, axis=0))
    }
    training_sets = {
        (i, number): _training_set(attack, game, features, members[i], targets[i], half)
        for (i, number), half in by_half.items()
    }
    trainable = {at: t for at, t in training_sets.items() if t.member.any() and not t.member.all()}
    predictors = dict(zip(trainable, attack.fit(list(trainable.values()), rows), strict=True)) if trainable else {}
    scores = np.zeros((len(targets), game.samples))
    for (i, number), predict in predictors.items():
        other = by_half[i, 1 - number]
        distinct = predict(features[targets[i], other.distinct], game.labels[other.distinct])
        scores[i, other.samples] = distinct[other.kind]
    return scores


def _training_set(
    attack: LearnedAttack,
    game: GameView,
    features: NDArray[np.float64],
    members: NDArray[np.bool_],
    target: int,
    half: Half,
) -> AttackTrainingSet:
    """Return the training set of one target and half.

    `features` is float64 [model, sample, feature]; `members` bool [model, sample] is the membership in the shadows.
    """
    ring = [(target + 1 + step) % game.models for step in range(attack.shadows or game.models - 1)]
    samples = half.samples[: max(1, attack.most_rows // len(ring))]
    member = members[ring][:, samples]
    selected = first_per_set(member) if len(member) > 1 else np.ones_like(member)
    column, row = np.nonzero(selected.T)
    picked = samples[column]
    return AttackTrainingSet(
        features[np.array(ring)[row], picked],
        member[row, column],
        game.labels[picked],
        derive_seed(0, "attack model", attack.name, target, half.number),
    )


@dataclass(frozen=True, eq=False)
class Half:
    """One half of the samples in canonical order.

    Attributes
    ----------
    number : 0 or 1
    samples : int64 [sample of the half], their indices in the game
    distinct : int64 [kind], the first sample of each kind; samples of a kind are equal in everything hashed
    kind : int64 [sample of the half], the kind of each sample
    """

    number: int
    samples: NDArray[np.int64]
    distinct: NDArray[np.int64]
    kind: NDArray[np.int64]


def halves(keys: NDArray[np.uint64], shadow_members: NDArray[np.bool_]) -> tuple[Half, Half]:
    """Return the even and the odd kinds of samples, ordered by a hash without the target's membership.

    `keys` is uint64 [sample], `shadow_members` bool [shadow, sample] in the order of the models.
    """
    membership = np.packbits(shadow_members, axis=0).T
    _, first, kind = np.unique(content_keys(keys, membership), return_index=True, return_inverse=True)
    order = np.argsort(kind, kind="stable")

    def half(number: int) -> Half:
        samples = order[kind[order] % 2 == number]
        return Half(number, samples, first[number::2], kind[samples] // 2)

    return half(0), half(1)
