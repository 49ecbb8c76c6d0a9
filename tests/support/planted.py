"""Membership games with a planted leak in every channel, without networks and training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy import Game, Observation, balanced_keep
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Observed, Scores, view_game
from hwsim.privacy.observation.channels.outputs import softmax

CLASSES = 5


def membership_view(keep: NDArray[np.bool_], targets: Sequence[int] | None = None) -> GameView:
    """Return the view of a game without observations, with all labels 0."""
    return view_game({}, keep, np.zeros(keep.shape[1], dtype=np.int64), targets)


def scores_of(
    attack: Attack,
    observed: Observed,
    keep: NDArray[np.bool_],
    labels: NDArray[np.int64],
    targets: Sequence[int] | None = None,
) -> Scores:
    """Return the scores of an attack on arrays [model, sample, ...]."""
    return attack.scores(view_game(observed, keep, labels, targets))


def planted(models: int, samples: int, seed: int, leak: float) -> tuple[Game, list[Observation]]:
    """Return a game and one observation per model; members differ by `leak` standard deviations in every channel.

    The inputs have no leak.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=samples)
    game = Game(balanced_keep(models, samples, seed), labels)
    hardness = rng.normal(size=(samples, CLASSES))
    inputs = rng.random((samples, 6))
    observations = [
        Observation(_channels(rng, member, labels, hardness, leak) | {"inputs": inputs}, "planted")
        for member in game.keep
    ]
    return game, observations


def _channels(
    rng: np.random.Generator,
    member: NDArray[np.bool_],
    labels: NDArray[np.int64],
    hardness: NDArray[np.float64],
    leak: float,
) -> dict[str, NDArray[Any]]:
    samples = len(labels)

    def outputs() -> NDArray[np.float64]:
        logits = hardness + rng.normal(size=(samples, CLASSES))
        logits[np.arange(samples), labels] += leak * member
        return logits

    def shifted(spread: float, own: int) -> NDArray[np.float64]:
        return spread * (hardness[:, own] + rng.normal(size=samples) - leak * member)

    logits = outputs()
    probabilities = softmax(logits)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    by_layer = rng.poisson(20 + 4 * leak * member[:, None], size=(samples, 3))
    augmented = np.stack([logits.argmax(axis=1)] + [outputs().argmax(axis=1) for _ in range(4)], axis=1)
    transfer_member = rng.random(samples) < 0.5
    transfer = softmax(rng.normal(size=(samples, CLASSES)) + leak * transfer_member[:, None] * np.eye(CLASSES)[0])
    return {
        "logits": logits,
        "probabilities": probabilities,
        "top_k": np.stack([order.astype(np.float64), np.take_along_axis(probabilities, order, axis=1)], axis=2),
        "label": logits.argmax(axis=1),
        "latency_cycles": (1000 + 50 * hardness[:, 0] + shifted(8, 0)).astype(np.int64),
        "energy_pj": 2e5 + 900 * hardness[:, 1] + shifted(70, 1),
        "sensitive_regions": by_layer.sum(axis=1),
        "region_counts": by_layer,
        "precision_map": (rng.random((samples, 24)) < 0.3 + 0.2 * min(leak, 2) * member[:, None]).astype(np.uint8),
        "float_logits": outputs(),
        "augmented_labels": augmented,
        "boundary_distance": np.maximum(0, 1 + 0.3 * hardness[:, 2] + 0.2 * (rng.normal(size=samples) + leak * member)),
        "loss_trajectory": np.exp(
            0.3 * hardness[:, 3:4] - 0.2 * (rng.normal(size=(samples, 6)) + leak * member[:, None])
        ),
        "adversarial_logits": outputs(),
        "verified_logits": outputs(),
        "transfer_records": np.column_stack([-np.sort(-transfer, axis=1)[:, :3], transfer_member]),
    }
