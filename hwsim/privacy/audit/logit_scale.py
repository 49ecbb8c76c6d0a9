"""Scale of logits given as arrays: the real value of one unit, and notes on arrays that are no logits in real units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput

_SAME_SUM = 0.05
"""Sums of rows that differ by less than this share are one sum; eight-bit probabilities are rounded in every class."""


def scaled(logits: NDArray[Any], scale: Any, where: str = "logit_scale") -> NDArray[np.float64]:
    """Return logits [model, sample, class] times the real value of one unit, float64; None leaves them as they are.

    `scale` is one number, one per model [model], or one per model and class [model, class]. Raises BadInput for other
    shapes and for numbers that are not finite and greater than 0.

    >>> scaled(np.array([[[2, 4]], [[2, 4]]]), [0.5, 0.25]).tolist()
    [[[1.0, 2.0]], [[0.5, 1.0]]]
    """
    real = logits.astype(np.float64, copy=False)
    if scale is None:
        return real
    units = np.asarray(scale)
    models, classes = len(logits), logits.shape[2]
    allowed = f"one number greater than 0, or one per model [{models}], or per model and class [{models}, {classes}]"
    if units.dtype.kind not in "fiu" or units.shape not in ((), (models,), (models, classes)):
        raise BadInput(where, f"{units.dtype} {units.shape}", allowed)
    if not (np.isfinite(units).all() and (units > 0).all()):
        wrong = units.ravel()[~(np.isfinite(units) & (units > 0)).ravel()][0]
        raise BadInput(where, str(wrong), allowed)
    if units.ndim:
        units = units.reshape(models, 1, -1)
    return np.asarray(real * units.astype(np.float64))


def notes_on(logits: NDArray[Any], scale_given: bool) -> tuple[str, ...]:
    """Return what an audit assumes about logits [model, sample, class], and what they seem to be in truth.

    >>> notes_on(np.array([[[3, -1]]]), scale_given=False)[0].split(":")[0]
    'logits are whole numbers without logit_scale'
    """
    notes = []
    if not scale_given and all(_whole(one) for one in logits):
        notes.append(
            "logits are whole numbers without logit_scale: one unit counts as one logit. rmia, base and attacks on "
            "labels do not depend on it, other attacks do; give the real value of one unit as logit_scale"
        )
    if all(_probabilities(one) for one in logits):
        notes.append(
            "every row of logits has the same sum and no negative number: these seem to be probabilities; "
            "store them as probabilities, and as logits the numbers before the softmax, or log p"
        )
    return tuple(notes)


def _whole(logits: NDArray[Any]) -> bool:
    """Return whether all numbers of one model [sample, class] are integers."""
    if logits.dtype.kind in "iu":
        return True
    return bool((logits[:64] == np.round(logits[:64])).all() and (logits == np.round(logits)).all())


def _probabilities(logits: NDArray[Any]) -> bool:
    """Return whether the rows of one model [sample, class] have one sum and no negative number."""
    if logits.min() < 0:
        return False
    sums = logits.sum(axis=1, dtype=np.float64)
    return bool(sums.min() > 0 and sums.max() - sums.min() <= _SAME_SUM * sums.max() and np.ptp(logits) > 0)
