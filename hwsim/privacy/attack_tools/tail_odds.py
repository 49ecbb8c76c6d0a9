"""Log-odds of the normal and the Student-t distribution function, stable in the far tails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FAR = 1e-250
"""Tail probabilities below this are computed by a series of their logarithm, before they underflow."""


def log_tail_odds(z: NDArray[np.float64], freedom: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return log F(z) - log(1 - F(z)) of the standard normal, or of a Student-t with `freedom`, float64 like `z`.

    The order is that of F, which rounds to 1 from z = 8.3 on; here different z have different values. The result is 0
    for z = 0 and exactly opposite for opposite z. `z` must be finite.

    >>> log_tail_odds(np.array([-40.0, 0.0, 40.0])).round(2).tolist()
    [-804.61, 0.0, 804.61]
    """
    from scipy import special

    size = np.abs(z)
    if freedom is None:
        far, central = special.log_ndtr(-size), special.erf(size / np.sqrt(2))
    else:
        far = _log_student_tail(size, freedom)
        central = special.betainc(0.5, freedom / 2, size**2 / (freedom + size**2))  # between -z and z
    odds = np.where(central < 0.5, 2 * np.arctanh(np.minimum(central, 0.5)), np.log1p(-np.exp(far)) - far)
    return np.asarray(np.sign(z) * odds)


def _log_student_tail(t: NDArray[np.float64], freedom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the probability that a Student-t exceeds t >= 0, float64 like `t`.

    The tail is I_x(a, 1/2) / 2 with x = freedom / (freedom + t^2) and a = freedom / 2; where it is
    tiny, by the series of the incomplete beta function, x^a sqrt(1 - x) / (a B(a, 1/2)) times
    2F1(a + 1/2, 1; a + 1; x) (NIST DLMF 8.17.8).
    """
    from scipy import special

    a, x = np.broadcast_to(freedom / 2, t.shape), freedom / (freedom + t**2)
    tail = 0.5 * special.betainc(a, 0.5, x)
    logs = np.log(np.maximum(tail, _FAR))
    far = tail <= _FAR
    if far.any():
        b, y = a[far], x[far]
        log_x = -np.log1p(t[far] ** 2 / np.broadcast_to(freedom, t.shape)[far])
        series = np.log(special.hyp2f1(b + 0.5, 1.0, b + 1.0, y))
        logs[far] = np.log(0.5) + b * log_x + np.log1p(-y) / 2 - np.log(b) - special.betaln(b, 0.5) + series
    return np.asarray(logs)
