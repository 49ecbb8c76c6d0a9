"""ROC statistics of many bootstrap resamples, without sorting again."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

AUC, BALANCED_ACCURACY, TPR = 0, 1, 2


@njit(cache=True, parallel=True)
def resampled_statistics(
    order: NDArray[np.int32],
    member: NDArray[np.bool_],
    group_end: NDArray[np.bool_],
    counts: NDArray[np.int32],
    max_fpr: float,
) -> NDArray[np.float64]:
    """AUC, best balanced accuracy and TPR at `max_fpr` of every target in every resample.

    `order` int32 [target, sample] sorts each target's scores from large to small; `member` and
    `group_end` (last of its group of equal scores), bool [target, sample], are in that order.
    `counts` int32 [resample, sample] says how often each sample was drawn. Counting is in integers,
    so one division ends each statistic. Returns float64 [statistic, resample, target]. A resample
    that drew no member or no non-member tells nothing: 0.5, 0.5 and 0.
    """
    targets, samples = order.shape
    resamples = len(counts)
    out = np.empty((3, resamples, targets))
    for r in prange(resamples):
        for t in range(targets):
            members = nonmembers = np.int64(0)
            for i in range(samples):
                count = np.int64(counts[r, order[t, i]])
                members += count * member[t, i]
                nonmembers += count * (not member[t, i])
            if members == 0 or nonmembers == 0:
                out[0, r, t], out[1, r, t], out[2, r, t] = 0.5, 0.5, 0.0
                continue
            fp_limit = np.int64(max_fpr * nonmembers) + 1  # the largest count with fp / nonmembers <= max_fpr
            while fp_limit / nonmembers > max_fpr:
                fp_limit -= 1
            fp = tp = last_fp = last_tp = tp_at_limit = twice_area = best = np.int64(0)
            for i in range(samples):
                count = np.int64(counts[r, order[t, i]])
                tp += count * member[t, i]
                fp += count * (not member[t, i])
                if group_end[t, i]:
                    twice_area += (fp - last_fp) * (tp + last_tp)
                    best = max(best, tp * nonmembers - fp * members)
                    if fp <= fp_limit:
                        tp_at_limit = tp
                    last_fp, last_tp = fp, tp
            pairs = members * nonmembers
            out[0, r, t] = twice_area / (2 * pairs)
            out[1, r, t] = (pairs + best) / (2 * pairs)
            out[2, r, t] = tp_at_limit / members
    return out
