"""Moments, log-means and percentiles over the shadow models of each sample, independent of the models' order.

Samples whose shadows have the same values in another order must get the same bits, or rounding would
break ties of quantized outputs. Sums are therefore exact: values become integers on one fixed-point
grid, and integer addition is associative. This also saves time: models that are no shadows of a target
are subtracted exactly from the sums over all models, so that all targets together take little more
time than a few.

The shadows of a sample are two sets: 0 = OUT, models trained without the sample, and 1 = IN, models
trained with it. The shadows of a target in a set are the first models of that set after the target, in
a ring.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.kernels.compile import for_kernel, kernel
from hwsim.kernels.time_slices import time_slices

BLOCK = 32
"""Samples per thread and turn, copied so that the models of a sample are contiguous."""

FIRST_SLICE = 16
"""Blocks after which a kernel returns to Python for the first time."""

SUM_BITS = 62
"""Bits of a sum over all models: it is below 2^SUM_BITS."""

LOG_HALF = math.log(0.5)


@kernel()
def _rank_models(
    keep: NDArray[np.bool_], rank: NDArray[np.int64], first: NDArray[np.int64]
) -> tuple[np.int64, np.int64]:
    """Number the models of each set of one sample; returns the number of OUT and of IN models.

    `keep` bool [model]. `rank` int64 [model] receives the number of each model in its set, and `first`
    int64 [set, model] the number of the first model of each set after a model.
    """
    out_count = in_count = np.int64(0)
    for m in range(len(keep)):  # branch-free: membership is random, a branch would be mispredicted half of the time
        member = np.int64(keep[m])
        rank[m] = member * in_count + (1 - member) * out_count
        in_count += member
        out_count += 1 - member
        first[0, m], first[1, m] = out_count, in_count
    return out_count, in_count


@kernel()
def _sums(codes: NDArray[np.int64], keep: NDArray[np.int64], half: int, sums: NDArray[np.int64]) -> np.int64:
    """Compute exact sums over the models of each set of one sample; returns the number of IN models.

    `codes` int64 [model]; `keep` int64 [model], 1 or 0. A code is high * 2**half + low. `sums` int64
    [set, 5] receives the sums of high, low, high * high, high * low and low * low.
    """
    mask = (np.int64(1) << half) - 1
    # separate accumulators stay in registers: sums in an array take 2.7 times as long
    h = w = hh = hw = ww = h_in = w_in = hh_in = hw_in = ww_in = in_count = np.int64(0)
    for m in range(len(codes)):  # branch-free: membership is random, a branch would be mispredicted half of the time
        high, low, all_bits = codes[m] >> half, codes[m] & mask, -keep[m]
        h, h_in = h + high, h_in + (high & all_bits)
        w, w_in = w + low, w_in + (low & all_bits)
        hh, hh_in = hh + high * high, hh_in + (high * high & all_bits)
        hw, hw_in = hw + high * low, hw_in + (high * low & all_bits)
        ww, ww_in = ww + low * low, ww_in + (low * low & all_bits)
        in_count += keep[m]
    sums[0, 0], sums[0, 1], sums[0, 2], sums[0, 3], sums[0, 4] = h - h_in, w - w_in, hh - hh_in, hw - hw_in, ww - ww_in
    sums[1, 0], sums[1, 1], sums[1, 2], sums[1, 3], sums[1, 4] = h_in, w_in, hh_in, hw_in, ww_in
    return in_count


@kernel()
def _to_float(high: np.int64, middle: np.int64, low: np.int64, half: int) -> np.float64:
    """Return high * 4**half + middle * 2**(half + 1) + low, computed in 128 bits and not negative, as a float."""
    bits = np.uint64(2 * half)
    total = np.uint64(high) << bits
    carry = high >> (64 - 2 * half)
    part = np.uint64(middle) << np.uint64(half + 1)
    total += part
    carry += (middle >> (63 - half)) + np.int64(total < part)
    part = np.uint64(low)
    total += part
    carry += (low >> 63) + np.int64(total < part)
    return np.float64(carry) * 2.0**64 + np.float64(total)


def shadow_moments(
    values: NDArray[np.float64],
    keep: NDArray[np.bool_],
    targets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    exponent: int,
    half: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute mean and centered sum of squares of a sample's shadows, by set.

    Values are truncated to multiples of 2**-exponent, at most 2**(2 * half) of them. Nothing else is rounded
    until mean and sum of squares become floats.

    Parameters
    ----------
    values : float64 [model, sample]
    keep : bool [model, sample], membership
    targets : int64 [target], models
    sizes : int64 [set, target, count], number of shadows in a set for a sample with `count` IN models besides
        the target
    exponent, half : see `fixed_point_grid`

    Returns means and sums of squares, float64 [set, target, sample]; 0 for a set without shadows.
    """
    values, keep, targets, sizes = _for_kernels(values, keep, targets, sizes)
    means = np.zeros((2, len(targets), values.shape[1]))
    squares = np.zeros((2, len(targets), values.shape[1]))
    for first, end in time_slices(ceil_div(values.shape[1], BLOCK), FIRST_SLICE):
        _shadow_moments(values, keep, targets, sizes, exponent, half, first, end, means, squares)
    return means, squares


@kernel(parallel=True)
def _shadow_moments(
    values: NDArray[np.float64],
    keep: NDArray[np.bool_],
    targets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    exponent: int,
    half: int,
    first_block: int,
    end_block: int,
    means: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> None:
    """Write the results of `shadow_moments` for some blocks of samples; `means`, `squares` [set, target, sample]."""
    models, samples = values.shape
    scale = 2.0**exponent
    mask = (np.int64(1) << half) - 1
    for block in prange(first_block, end_block):
        begin = block * BLOCK
        width = min(BLOCK, samples - begin)
        codes = np.empty((BLOCK, models), dtype=np.int64)
        kept = np.empty((BLOCK, models), dtype=np.int64)
        for m in range(models):
            for s in range(width):
                codes[s, m] = np.int64(values[m, begin + s] * scale)
                kept[s, m] = keep[m, begin + s]
        sums = np.empty((2, 5), dtype=np.int64)
        for s in range(width):
            in_count = _sums(codes[s], kept[s], half, sums)
            for i in range(len(targets)):
                t = targets[i]
                count = in_count - kept[s, t]
                for which in range(2):
                    size = sizes[which, i, count]
                    if size == 0:
                        continue
                    high, low, hh, hl, ll = sums[which]
                    # subtract the target and the last models of the ring, which precede the target
                    surplus = (in_count if which else models - in_count) - size
                    m = t
                    while surplus > 0:
                        if kept[s, m] == which:
                            c, d = codes[s, m] >> half, codes[s, m] & mask
                            high, low, hh, hl, ll = high - c, low - d, hh - c * c, hl - c * d, ll - d * d
                            surplus -= 1
                        m = (m if m else models) - 1
                    total = (high << half) + low
                    center = total // size
                    rest = total - size * center
                    c, d = center >> half, center & mask
                    hh += size * c * c - 2 * c * high
                    hl += size * c * d - c * low - d * high
                    ll += size * d * d - 2 * d * low
                    about_center = _to_float(hh, hl, ll, half)
                    means[which, i, begin + s] = (center + rest / size) / scale
                    squares[which, i, begin + s] = (about_center - rest * (rest / size)) / scale / scale


def log_means(
    log_odds: NDArray[np.float64],
    keep: NDArray[np.bool_],
    targets: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the logarithm of the mean label probability of a sample's shadows, float64 [target, sample].

    `log_odds` float64 [model, sample], log p / (1 - p) of the label; other arguments as in
    `shadow_moments`. Both sets are one here. NaN for a sample without shadows.

    If a shadow's p is one half or more, the mean is that of 1 - p, else that of p divided by the largest
    p, so that probabilities near 0 and 1 keep their precision. Both are truncated to about 2**-50 of the
    largest and summed exactly.
    """
    log_odds, keep, targets, sizes = _for_kernels(log_odds, keep, targets, sizes)
    logs = np.empty((len(targets), log_odds.shape[1]))
    for first, end in time_slices(ceil_div(log_odds.shape[1], BLOCK), FIRST_SLICE):
        _log_means(log_odds, keep, targets, sizes, first, end, logs)
    return logs


@kernel(parallel=True)
def _log_means(
    log_odds: NDArray[np.float64],
    keep: NDArray[np.bool_],
    targets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    first_block: int,
    end_block: int,
    logs: NDArray[np.float64],
) -> None:
    """Write the results of `log_means` for some blocks of samples to `logs`, float64 [target, sample]."""
    models, samples = log_odds.shape
    bits = SUM_BITS
    while (1 << (SUM_BITS - bits)) < models:
        bits -= 1
    for block in prange(first_block, end_block):
        begin = block * BLOCK
        width = min(BLOCK, samples - begin)
        log_p = np.empty((BLOCK, models))
        other = np.empty((BLOCK, models))
        kept = np.empty((BLOCK, models), dtype=np.bool_)
        for m in range(models):
            for s in range(width):
                odds = log_odds[m, begin + s]
                small = math.exp(-abs(odds))
                log_p[s, m] = min(odds, 0.0) - math.log1p(small)
                other[s, m] = (small if odds > 0 else 1.0) / (1.0 + small)
                kept[s, m] = keep[m, begin + s]
        rank = np.empty(models, dtype=np.int64)
        first = np.empty((2, models), dtype=np.int64)
        ring = np.empty((2, models), dtype=np.int64)
        chosen = np.empty(models, dtype=np.int64)
        for s in range(width):
            counts = _rank_models(kept[s], rank, first)
            for m in range(models):
                ring[np.int64(kept[s, m]), rank[m]] = m
            for i in range(len(targets)):
                t = targets[i]
                number = 0
                for which in range(2):
                    at = first[which, t]
                    for _ in range(sizes[which, i, counts[1] - np.int64(kept[s, t])]):
                        at = at if at < counts[which] else 0
                        chosen[number] = ring[which, at]
                        number += 1
                        at += 1
                logs[i, begin + s] = _log_mean(log_p[s], other[s], chosen[:number], bits)


@kernel()
def _log_mean(log_p: NDArray[np.float64], other: NDArray[np.float64], chosen: NDArray[np.int64], bits: int) -> float:
    """Return the logarithm of the mean p of the models `chosen`, given log p and 1 - p [model]; see `log_means`."""
    if len(chosen) == 0:
        return np.nan
    max_log_p, max_other = -np.inf, 0.0
    for m in chosen:
        max_log_p, max_other = max(max_log_p, log_p[m]), max(max_other, other[m])
    total = np.int64(0)
    if max_log_p >= LOG_HALF:
        scale = math.ldexp(1.0, min(bits - math.frexp(max_other)[1], 1000))
        for m in chosen:
            total += np.int64(other[m] * scale)
        return math.log1p(-(np.float64(total) / len(chosen) / scale))
    scale = math.ldexp(1.0, bits)
    for m in chosen:
        total += np.int64(math.exp(log_p[m] - max_log_p) * scale)
    return max_log_p + math.log(np.float64(total) / len(chosen) / scale)


def shadow_percentiles(
    values: NDArray[np.float64],
    keep: NDArray[np.bool_],
    targets: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the share of a sample's shadows below the target's value, float64 [target, sample].

    A shadow with an equal value counts one half. Arguments as in `shadow_moments`; both sets are one
    here. One half for a sample without shadows.
    """
    values, keep, targets, sizes = _for_kernels(values, keep, targets, sizes)
    shares = np.full((len(targets), values.shape[1]), 0.5)
    for first, end in time_slices(ceil_div(values.shape[1], BLOCK), FIRST_SLICE):
        _shadow_percentiles(values, keep, targets, sizes, first, end, shares)
    return shares


@kernel(parallel=True)
def _shadow_percentiles(
    values: NDArray[np.float64],
    keep: NDArray[np.bool_],
    targets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    first_block: int,
    end_block: int,
    shares: NDArray[np.float64],
) -> None:
    """Write the results of `shadow_percentiles` for some blocks of samples to `shares`, float64 [target, sample]."""
    models, samples = values.shape
    for block in prange(first_block, end_block):
        begin = block * BLOCK
        width = min(BLOCK, samples - begin)
        local = np.empty((BLOCK, models))
        kept = np.empty((BLOCK, models), dtype=np.bool_)
        for m in range(models):
            for s in range(width):
                local[s, m] = values[m, begin + s]
                kept[s, m] = keep[m, begin + s]
        rank = np.empty(models, dtype=np.int64)
        first = np.empty((2, models), dtype=np.int64)
        ring = np.empty((2, models))
        for s in range(width):
            counts = _rank_models(kept[s], rank, first)
            for m in range(models):
                ring[np.int64(kept[s, m]), rank[m]] = local[s, m]
            for i in range(len(targets)):
                t = targets[i]
                own = local[s, t]
                number = twice = np.int64(0)
                for which in range(2):
                    at = first[which, t]
                    for _ in range(sizes[which, i, counts[1] - np.int64(kept[s, t])]):
                        at = at if at < counts[which] else 0
                        twice += 2 * np.int64(ring[which, at] < own) + np.int64(ring[which, at] == own)
                        number += 1
                        at += 1
                if number:
                    shares[i, begin + s] = twice / (2 * number)


def _for_kernels(
    values: NDArray[np.float64], keep: NDArray[np.bool_], targets: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Return the arguments of `shadow_moments` as the kernels are compiled for."""
    return (
        for_kernel(values, np.float64),
        for_kernel(keep, np.bool_),
        for_kernel(targets, np.int64),
        for_kernel(sizes, np.int64),
    )


def fixed_point_grid(values: NDArray[np.float64]) -> tuple[int, int]:
    """Return (exponent, half) of the fixed-point grid of `shadow_moments` for finite values [model, sample].

    The grid has multiples of 2**-exponent, the finest whose sums over all models are below 2**62. The
    largest of the values of up to 256 models has 54 bits, more than the 53 of a float.
    """
    half = min(27, (SUM_BITS - (len(values) - 1).bit_length()) // 2)
    largest = float(max(values.max(initial=0.0), -values.min(initial=0.0)))
    return min(2 * half - math.frexp(largest)[1], 1000), half
