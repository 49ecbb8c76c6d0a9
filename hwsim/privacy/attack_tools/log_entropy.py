"""Logarithms of entropies of a prediction, which order predictions however confident they are.

The entropy of a confident prediction is far below the resolution of a probability close to one: at a logit 40 above the
others it rounds to zero, and from 750 on no float contains it. Its logarithm does not underflow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.game_view import Observed

MIN_PROBABILITY = 1e-30
"""Probabilities below this are replaced by it in logarithms, as in the formulas of Song and Mittal."""

_FAR = -37.0
"""1 - exp(x) is one, to the last bit, for x below this."""


def log_probabilities(observed: Observed, rows: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.float64]:
    """Return log p of the channel `probabilities`, float64 [model, sample, class], of some models.

    Where the probabilities were computed from logits, the channel `log_probabilities` contains their logarithms, which
    do not underflow.
    """
    if "log_probabilities" in observed:
        return np.asarray(observed["log_probabilities"][rows], dtype=np.float64)
    return np.log(np.maximum(observed["probabilities"][rows], MIN_PROBABILITY))


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of the softmax, float64 [..., class].

    >>> log_softmax(np.array([5000.0, 0.0])).tolist()
    [0.0, -5000.0]
    """
    below = logits - logits.max(axis=-1, keepdims=True)
    log_p: NDArray[np.float64] = below - np.log(np.exp(below).sum(axis=-1, keepdims=True))
    return log_p


def log_entropy(log_p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the entropy -sum p log p, float64 [...], from log p [..., class].

    >>> log_entropy(np.log([[0.5, 0.5]])).round(3).tolist(), log_entropy(np.array([[0.0, -5000.0]])).round(2).tolist()
    ([-0.367], [-4991.48])
    """
    t = _terms(log_p)
    return _log_sum(t.log_p + t.log_surprise)


def log_modified_entropy(log_p: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the logarithm of the modified entropy, float64 [..., sample], from log p [..., sample, class].

    The modified entropy is -(1 - p_y) log p_y - sum over the other classes of p_k log(1 - p_k); `labels` is int64
    [sample].
    """
    t = _terms(log_p)
    own = np.arange(log_p.shape[-1]) == labels[:, None]
    return _log_sum(np.where(own, t.log_other + t.log_surprise, t.log_p + t.log_surprise_of_other))


def log_impurity(log_p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of 1 - sum p^2, float64 [...], from log p [..., class].

    It falls where the standard deviation of the probabilities rises.
    """
    t = _terms(log_p)
    return _log_sum(t.log_p + t.log_other)


def log_rest(log_p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of one less the largest probability, float64 [...], from log p [..., class]."""
    others = np.array(log_p)
    np.put_along_axis(others, log_p.argmax(axis=-1)[..., None], -np.inf, axis=-1)
    # rounded probabilities may add up to more than one: the largest of n is at least 1 / n
    return np.asarray(np.minimum(_log_sum(others), np.log1p(-1 / log_p.shape[-1])))


class _Terms(NamedTuple):
    """Logarithms of p, 1 - p, -log p and -log(1 - p) of every class, float64 [..., class]."""

    log_p: NDArray[np.float64]
    log_other: NDArray[np.float64]
    log_surprise: NDArray[np.float64]
    log_surprise_of_other: NDArray[np.float64]


def _terms(log_p: NDArray[np.float64]) -> _Terms:
    """Return the terms; those of the most probable class are computed from the sum of the others."""
    top = np.arange(log_p.shape[-1]) == log_p.argmax(axis=-1)[..., None]
    rest = log_rest(log_p)[..., None]
    small = np.where(top, rest, log_p)  # the smaller one of p and 1 - p
    large = np.log1p(-np.exp(small))
    far = small < _FAR
    log_small, log_large = np.log(-small), np.where(far, small, np.log(-np.where(far, -1.0, large)))
    return _Terms(
        np.where(top, large, small),
        np.where(top, small, large),
        np.where(top, log_large, log_small),
        np.where(top, log_small, log_large),
    )


def _log_sum(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the sum of exponentials over the last axis, the same in any order."""
    ranked = np.sort(logs, axis=-1)
    top = ranked[..., -1:]
    return np.asarray(np.log(np.exp(ranked - top).sum(axis=-1)) + top[..., 0])
