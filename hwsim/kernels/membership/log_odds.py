"""Log-odds of the label from the logits of many samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from hwsim.kernels.compile import JIT, for_kernel, kernel

BLOCK = 64
"""Rows that are computed together, class by class, in vector instructions."""

SUM_BITS = 62
"""A sum over all classes is at most 2^SUM_BITS."""

_LOG2_E = 1 / math.log(2)
_LN2_HIGH = float(np.float32(math.log(2)))
_LN2_LOW = math.log(2) - _LN2_HIGH
_TO_INTEGER = 1.5 * 2.0**52
"""Adding this constant leaves the nearest integer in the last bits of a float."""

_MIN_EXPONENT = -708.0
"""Smallest exponent: smaller terms are below the resolution of float64 next to the largest term, 1."""

_C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11, _C12, _C13 = (1 / math.factorial(n) for n in range(2, 14))


@intrinsic
def _bits(typing_context, number):  # type: ignore[no-untyped-def]
    """Return the 64 bits of a float64 as an int64."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@intrinsic
def _from_bits(typing_context, bits):  # type: ignore[no-untyped-def]
    """Return the float64 with the 64 bits of an int64."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate


@kernel(inline="always")
def _exp_polynomial(x: float) -> float:
    """Return e**x for x <= 0, within one unit in the last place; NaN for NaN.

    x = n ln 2 + r with an integer n and a small r, whose exponential is a Taylor polynomial; n is
    added to the exponent bits of the result. Without branches and calls, loops over it are vectorized.
    """
    x = _MIN_EXPONENT if x < _MIN_EXPONENT else x
    shifted = x * _LOG2_E + _TO_INTEGER
    n = shifted - _TO_INTEGER
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = _C13
    p = p * r + _C12
    p = p * r + _C11
    p = p * r + _C10
    p = p * r + _C9
    p = p * r + _C8
    p = p * r + _C7
    p = p * r + _C6
    p = p * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _C2
    p = (p * r) * r + r + 1.0
    return _from_bits(_bits(p) + (_bits(shifted) << 52))  # type: ignore[call-arg]


_exp = _exp_polynomial if JIT else math.exp


def label_log_odds(logits: NDArray[np.float64], labels: NDArray[np.int64], factor: float) -> NDArray[np.float64]:
    """Return z_y - logsumexp of the other z, float64 [row], with z = `factor` * logit.

    `logits` float64 [row, class] contains the samples of one model after the other: row r has the label
    `labels[r % len(labels)]`. Each other logit contributes its exponential divided by that of the largest
    other logit, so that nothing overflows or saturates. The exponentials are rounded to 2**-50 or finer
    and added as integers. The order of the classes therefore changes no bit. Nor does a number added to
    all logits where the differences of logits are exact, so that tied outputs stay tied. A row with NaN
    gives NaN.
    """
    odds: NDArray[np.float64] = _label_log_odds(
        for_kernel(logits, np.float64), for_kernel(labels, np.int64), float(factor)
    )
    return odds


@kernel(parallel=True)
def _label_log_odds(logits: NDArray[np.float64], labels: NDArray[np.int64], factor: float) -> NDArray[np.float64]:
    rows, classes = logits.shape
    odds = np.empty(rows)
    unit = 2.0**SUM_BITS
    while unit * classes > 2.0**SUM_BITS:
        unit /= 2
    for block in prange((rows + BLOCK - 1) // BLOCK):
        begin = block * BLOCK
        width = min(BLOCK, rows - begin)
        z = np.zeros((classes, BLOCK))
        own, top, total = np.zeros(BLOCK), np.full(BLOCK, -np.inf), np.zeros(BLOCK, dtype=np.int64)
        for b in range(width):
            for k in range(classes):
                z[k, b] = logits[begin + b, k] * factor
            label = labels[(begin + b) % len(labels)]
            own[b] = z[label, b]
            z[label, b] = -np.inf
        for k in range(classes):
            for b in range(BLOCK):
                top[b] = top[b] if top[b] > z[k, b] or top[b] != top[b] else z[k, b]
        for k in range(classes):
            for b in range(BLOCK):
                total[b] += np.int64(_exp(z[k, b] - top[b]) * unit)
        for b in range(width):
            odds[begin + b] = (own[b] - top[b]) - math.log(total[b] / unit)
    return odds
