"""Log-odds, log probability and cross-entropy of the label, computed from logits without saturation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.kernels.membership.log_odds import label_log_odds


def log_odds(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return phi = log p_y / (1 - p_y) = z_y - logsumexp of the other logits.

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
    return np.asarray(label_log_odds(rows, labels).reshape(logits.shape[:-1]))


def log_probability(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log p of the label from its log-odds, any shape, without saturation for p close to 0 or 1.

    >>> log_probability(np.array([-800.0, 0.0, 50.0])).tolist()
    [-800.0, -0.6931471805599453, -1.9287498479639178e-22]
    """
    return np.asarray(-np.logaddexp(0.0, -odds))


def cross_entropy(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the loss -log p_y of every model and sample, float64 [model, sample].

    `logits` is float64 [model, sample, class], `labels` int64 [sample].
    """
    return np.stack([np.logaddexp(0.0, -log_odds(one, labels)) for one in logits])
