"""Log-odds, log probability and cross-entropy of the label, computed from logits without saturation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.kernels.membership.log_odds import label_log_odds

_FAR = 37.0
"""Log-odds above this have a loss of exp(-odds), to the last bit."""


def log_odds(logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return phi = log p_y / (1 - p_y) = z_y - logsumexp of the other z, with z = logit / temperature.

    `logits` is float64 [..., sample, class], `labels` int64 [sample]; returns float64 [..., sample]. Raises BadInput
    with fewer than two classes or a label that is not a class.
    Source: N. Carlini et al., Membership Inference Attacks From First Principles, 2022, section VI.

    >>> log_odds(np.array([[120.0, 0.0, 0.0]]), np.array([0])).round(1).tolist()
    [119.3]
    """
    classes = logits.shape[-1]
    if classes < 2:
        raise BadInput("logits", f"{classes} class", "two classes or more")
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise BadInput("labels", f"{labels.min()} to {labels.max()}", f"0 to {classes - 1}, the classes of the logits")
    rows = np.ascontiguousarray(logits, dtype=np.float64).reshape(-1, classes)
    return np.asarray(label_log_odds(rows, labels, 1 / temperature).reshape(logits.shape[:-1]))


def log_probability(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log p of the label from its log-odds, any shape, without saturation for p close to 0 or 1.

    >>> log_probability(np.array([-800.0, 0.0, 50.0])).tolist()
    [-800.0, -0.6931471805599453, -1.9287498479639178e-22]
    """
    return np.asarray(-np.logaddexp(0.0, -odds))


def log_loss(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the loss -log p of the label from its log-odds, any shape; it does not underflow.

    >>> log_loss(np.array([-800.0, 0.0, 5000.0])).round(3).tolist()
    [6.685, -0.367, -5000.0]
    """
    far = odds > _FAR
    return np.where(far, -odds, np.log(np.logaddexp(0.0, -np.where(far, 0.0, odds))))


def label_margin(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return z_y - max of the other logits, float64 [..., sample], from logits [..., sample, class]; labels [sample].

    >>> label_margin(np.array([[3.0, 1.0, 2.0]]), np.array([0])).tolist()
    [1.0]
    """
    own = np.arange(logits.shape[-1]) == labels[:, None]
    others = np.where(own, -np.inf, logits).max(axis=-1)
    return np.asarray(np.take_along_axis(logits, np.broadcast_to(labels, others.shape)[..., None], -1)[..., 0] - others)
