"""ROC statistics of many bootstrap resamples, without sorting or storing the resamples."""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from hwsim.kernels.compile import for_kernel, kernel
from hwsim.kernels.time_slices import time_slices

AUC, BALANCED_ACCURACY, TPR = 0, 1, 2
"""Rows of the result of `resampled_statistics`; the TPRs at the FPRs are rows TPR, TPR + 1, ..."""

FIRST_SLICE = 16
"""Resamples after which the kernel returns to Python for the first time."""

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)


@kernel()
def draw_counts(seed: np.uint64, counts: NDArray[np.uint8]) -> None:
    """Draw len(counts) samples with replacement, and write the number of draws of each to `counts`, uint8 [sample].

    The stream is SplitMix64 (G. Steele et al., OOPSLA 2014) from `seed`, two draws from each number. The
    relative error of a sample's probability is below `len(counts) / 2**32`. The probability that one of n
    samples is drawn more than 255 times is below n / 256!.
    """
    samples = np.uint64(len(counts))
    counts[:] = 0
    state = seed
    for i in range(0, len(counts), 2):
        state += _STEP
        z = (state ^ (state >> _S30)) * _MIX_1
        z = (z ^ (z >> _S27)) * _MIX_2
        z ^= z >> _S31
        counts[np.int64(((z >> _S32) * samples) >> _S32)] += np.uint8(1)
        if i + 1 < len(counts):
            counts[np.int64(((z & _LOW_HALF) * samples) >> _S32)] += np.uint8(1)


@kernel()
def _statistics(
    places: NDArray[np.int32], counts: NDArray[np.uint8], max_fprs: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the statistics of one target in one resample to `out`, float64 [statistic].

    `places` int32 [sample], as in `resampled_statistics`; `counts` uint8 [sample]; `max_fprs` float64 [fpr].
    """
    members = drawn = np.int64(0)
    for place in places:
        count = np.int64(counts[place >> 2])
        drawn += count
        members += count * (place >> 1 & 1)
    nonmembers = drawn - members
    if members == 0 or nonmembers == 0:
        out[:TPR], out[TPR:] = 0.5, 0.0
        return
    fp_limits = np.empty(len(max_fprs), dtype=np.int64)
    for k in range(len(max_fprs)):
        fp_limits[k] = np.int64(max_fprs[k] * nonmembers) + 1  # the largest count with fp / nonmembers <= max_fpr
        while fp_limits[k] / nonmembers > max_fprs[k]:
            fp_limits[k] -= 1
    tp_at_limits = np.zeros(len(max_fprs), dtype=np.int64)
    highest = fp_limits.max()
    fp = tp = last_fp = last_tp = twice_area = best = np.int64(0)
    for place in places:
        count = np.int64(counts[place >> 2])
        tp += count * (place >> 1 & 1)
        fp += count * (1 - (place >> 1 & 1))
        if place & 1:
            twice_area += (fp - last_fp) * (tp + last_tp)
            best = max(best, tp * nonmembers - fp * members)
            if fp <= highest:  # rarely true, so that the loop below takes little time
                for k in range(len(fp_limits)):
                    if fp <= fp_limits[k]:
                        tp_at_limits[k] = tp
            last_fp, last_tp = fp, tp
    pairs = members * nonmembers
    out[AUC] = twice_area / (2 * pairs)
    out[BALANCED_ACCURACY] = (pairs + best) / (2 * pairs)
    for k in range(len(max_fprs)):
        out[TPR + k] = tp_at_limits[k] / members


def resampled_statistics(
    places: NDArray[np.int32], seeds: NDArray[np.uint64], max_fprs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return AUC, best balanced accuracy and TPR at each of `max_fprs` of every target in every resample.

    Resample r draws the samples by `draw_counts(seeds[r])`, the same for all targets, so that differences
    at equal seeds are paired. Counts are integers; one division per statistic is the only rounding.

    Parameters
    ----------
    places : int32 [target, sample], the samples of each target in descending order of score, from
        `places_of`: four times the sample, plus 2 for a member, plus 1 for the last of a group of equal scores
    seeds : uint64 [resample]
    max_fprs : float64 [fpr]

    Returns float64 [statistic, resample, target]: 0.5, 0.5 and 0 for a resample without members or without
    non-members.
    """
    places, seeds, max_fprs = (
        for_kernel(places, np.int32),
        for_kernel(seeds, np.uint64),
        for_kernel(max_fprs, np.float64),
    )
    out = np.empty((len(seeds), len(places), TPR + len(max_fprs)))
    for begin, end in time_slices(len(seeds), FIRST_SLICE):
        _resample(places, seeds[begin:end], max_fprs, out[begin:end])
    return out.transpose(2, 0, 1)


@kernel(parallel=True)
def _resample(
    places: NDArray[np.int32], seeds: NDArray[np.uint64], max_fprs: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the statistics of `resampled_statistics` to `out`, float64 [resample, target, statistic]."""
    targets, samples = places.shape
    for r in prange(len(seeds)):
        counts = np.empty(samples, dtype=np.uint8)
        draw_counts(seeds[r], counts)
        for t in range(targets):
            _statistics(places[t], counts, max_fprs, out[r, t])


def places_of(scores: NDArray[np.float64], member: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the `places` of `resampled_statistics` for scores float64 and membership bool [target, sample].

    >>> places_of(np.array([[0.5, 2.0, 0.5]]), np.array([[True, False, False]])).tolist()
    [[5, 2, 9]]
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    last = np.ones(scores.shape, dtype=np.bool_)
    last[:, :-1] = ranked[:, 1:] != ranked[:, :-1]
    return (4 * order + 2 * np.take_along_axis(member, order, axis=1) + last).astype(np.int32)
