"""True-positive and true-negative rates of many bootstrap resamples, without sorting or storing the resamples."""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from hwsim.kernels.compile import for_kernel, kernel
from hwsim.kernels.time_slices import time_slices

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
def _largest_counts(max_rates: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Return the largest counts whose share of `total` is within each of `max_rates`, int64 [rate]."""
    counts = np.empty(len(max_rates), dtype=np.int64)
    for k in range(len(max_rates)):
        counts[k] = np.int64(max_rates[k] * total) + 1
        while counts[k] / total > max_rates[k]:
            counts[k] -= 1
    return counts


@kernel()
def _rates(
    places: NDArray[np.int32], counts: NDArray[np.uint8], max_rates: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the rates of one target in one resample to `out`, float64 [2 * rate].

    `places` int32 [sample], as in `resampled_rates`; `counts` uint8 [sample]; `max_rates` float64 [rate]. Both loops
    end where the errors exceed the largest of `max_rates`.
    """
    members = drawn = np.int64(0)
    for place in places:
        count = np.int64(counts[place >> 2])
        drawn += count
        members += count * (place >> 1 & 1)
    nonmembers = drawn - members
    out[:] = 0.0
    if members == 0 or nonmembers == 0:
        return
    rates = len(max_rates)

    limits = _largest_counts(max_rates, nonmembers)
    highest = limits.max()
    fp = tp = np.int64(0)
    for place in places:
        count = np.int64(counts[place >> 2])
        tp += count * (place >> 1 & 1)
        fp += count * (1 - (place >> 1 & 1))
        if fp > highest:
            break
        if place & 1:
            for k in range(rates):
                if fp <= limits[k]:
                    out[k] = tp / members

    limits = _largest_counts(max_rates, members)
    highest = limits.max()
    fn = tn = np.int64(0)
    for place in places[::-1]:
        if place & 1:  # the last of a group: the samples below it end at a vertex
            for k in range(rates):
                if fn <= limits[k]:
                    out[rates + k] = tn / nonmembers
        count = np.int64(counts[place >> 2])
        fn += count * (place >> 1 & 1)
        tn += count * (1 - (place >> 1 & 1))
        if fn > highest:
            return
    for k in range(rates):
        if fn <= limits[k]:
            out[rates + k] = tn / nonmembers


def resampled_rates(
    places: NDArray[np.int32], seeds: NDArray[np.uint64], max_rates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return TPR at low FPR and TNR at low FNR of every target in every resample.

    Resample r draws the samples by `draw_counts(seeds[r])`, the same for all targets, so that differences
    at equal seeds are paired. Counts are integers; one division per rate is the only rounding.

    Parameters
    ----------
    places : int32 [target, sample], the samples of each target in descending order of score, from
        `places_of`: four times the sample, plus 2 for a member, plus 1 for the last of a group of equal scores
    seeds : uint64 [resample]
    max_rates : float64 [rate], the largest FPRs, and FNRs

    Returns float64 [2 * rate, resample, target]: the TPR at each of `max_rates`, then the TNR at each; 0 for a resample
    without members or without non-members.
    """
    places, seeds, max_rates = (
        for_kernel(places, np.int32),
        for_kernel(seeds, np.uint64),
        for_kernel(max_rates, np.float64),
    )
    out = np.empty((len(seeds), len(places), 2 * len(max_rates)))
    for begin, end in time_slices(len(seeds), FIRST_SLICE):
        _resample(places, seeds[begin:end], max_rates, out[begin:end])
    return out.transpose(2, 0, 1)


@kernel(parallel=True)
def _resample(
    places: NDArray[np.int32], seeds: NDArray[np.uint64], max_rates: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the rates of `resampled_rates` to `out`, float64 [resample, target, rate]."""
    targets, samples = places.shape
    for r in prange(len(seeds)):
        counts = np.empty(samples, dtype=np.uint8)
        draw_counts(seeds[r], counts)
        for t in range(targets):
            _rates(places[t], counts, max_rates, out[r, t])


def places_of(scores: NDArray[np.float64], member: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the `places` of `resampled_rates` for scores float64 and membership bool [target, sample].

    >>> places_of(np.array([[0.5, 2.0, 0.5]]), np.array([[True, False, False]])).tolist()
    [[5, 2, 9]]
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    last = np.ones(scores.shape, dtype=np.bool_)
    last[:, :-1] = ranked[:, 1:] != ranked[:, :-1]
    return (4 * order + 2 * np.take_along_axis(member, order, axis=1) + last).astype(np.int32)
