"""What a sample's shadow models say, for many targets at once, and alike whatever their order.

Two samples whose shadows gave the same values in another order must get the same bits, or ties that
quantized outputs made would be parted by rounding. Sums are therefore exact: values become integers
on one grid, and integers add up in any order. That also makes them cheap: what does not belong to a
target's shadows can be taken from the sum of all without a trace, so all targets together need
little more work than a few.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from hwsim.kernels.compile import kernel

BLOCK = 32
"""Samples that one thread takes at a time, copied so that the models of a sample lie side by side."""

SUM_BITS = 62
"""A sum over all models stays below two to this."""

LOG_HALF = math.log(0.5)


@kernel()
def _walk(keep: NDArray[np.bool_], rank: NDArray[np.int64], first: NDArray[np.int64]) -> tuple[np.int64, np.int64]:
    """Number the models of each side, 0 = out and 1 = in, of one sample; returns how many there are.

    `keep` bool [model]. `rank` int64 [model] becomes the number of each model on its side, and
    `first` int64 [side, model] the number of the first model of that side met when walking on from
    a target: its shadows are that one and those that follow, in a ring.
    """
    out = inside = np.int64(0)
    for m in range(len(keep)):  # no branch: memberships are coins, which no processor foresees
        held = np.int64(keep[m])
        rank[m] = held * inside + (1 - held) * out
        inside += held
        out += 1 - held
        first[0, m], first[1, m] = out, inside
    return out, inside


@kernel()
def _sums(codes: NDArray[np.int64], held: NDArray[np.int64], half: int, sums: NDArray[np.int64]) -> np.int64:
    """Exact sums over the models of each side of one sample; returns how many hold it.

    `codes` int64 [model]; `held` int64 [model], 1 or 0. A code is high * 2**half + low, and `sums` int64
    [side, 5] becomes the sums of high, low, high * high, high * low and low * low, out = 0 and in = 1.
    """
    mask = (np.int64(1) << half) - 1
    h = l = hh = hl = ll = h_in = l_in = hh_in = hl_in = ll_in = holding = np.int64(0)  # noqa: E741
    for m in range(len(codes)):  # no branch: memberships are coins, which no processor foresees
        high, low, all_bits = codes[m] >> half, codes[m] & mask, -held[m]
        h, h_in = h + high, h_in + (high & all_bits)
        l, l_in = l + low, l_in + (low & all_bits)  # noqa: E741
        hh, hh_in = hh + high * high, hh_in + (high * high & all_bits)
        hl, hl_in = hl + high * low, hl_in + (high * low & all_bits)
        ll, ll_in = ll + low * low, ll_in + (low * low & all_bits)
        holding += held[m]
    sums[0, 0], sums[0, 1], sums[0, 2], sums[0, 3], sums[0, 4] = h - h_in, l - l_in, hh - hh_in, hl - hl_in, ll - ll_in
    sums[1, 0], sums[1, 1], sums[1, 2], sums[1, 3], sums[1, 4] = h_in, l_in, hh_in, hl_in, ll_in
    return holding


@kernel()
def _wide(high: np.int64, middle: np.int64, low: np.int64, half: int) -> np.float64:
    """high * 4**half + middle * 2**(half + 1) + low in 128 bits, which is not negative, as a float."""
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


@kernel(parallel=True)
def side_moments(
    values: NDArray[np.float64],
    keep: NDArray[np.bool_],
    targets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    exponent: int,
    half: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and centred sum of squares of a sample's shadows, by side.

    `values` float64 and `keep` bool, [model, sample]; `targets` int64 [target]. `sizes` int64 [side,
    target, count] says how many shadows to take on a side, 0 = out and 1 = in, when `count` models
    other than the target hold the sample: the first ones met when walking on from the target.
    Returns means and sums of squares, float64 [side, target, sample]; 0 where no shadow is taken.

    The values are cut to multiples of 2**-exponent, at most 2**(2 * half) of them; then nothing is
    rounded until mean and sum of squares are turned into floats. See `grid`.
    """
    models, samples = values.shape
    means = np.zeros((2, len(targets), samples))
    squares = np.zeros((2, len(targets), samples))
    scale = 2.0**exponent
    mask = (np.int64(1) << half) - 1
    for block in prange((samples + BLOCK - 1) // BLOCK):
        begin = block * BLOCK
        width = min(BLOCK, samples - begin)
        codes = np.empty((BLOCK, models), dtype=np.int64)
        held = np.empty((BLOCK, models), dtype=np.int64)
        for m in range(models):
            for s in range(width):
                codes[s, m] = np.int64(values[m, begin + s] * scale)
                held[s, m] = keep[m, begin + s]
        sums = np.empty((2, 5), dtype=np.int64)
        for s in range(width):
            holding = _sums(codes[s], held[s], half, sums)
            for i in range(len(targets)):
                t = targets[i]
                count = holding - held[s, t]
                for side in range(2):
                    size = sizes[side, i, count]
                    if size == 0:
                        continue
                    high, low, hh, hl, ll = sums[side]
                    # taken away again: the target, and those met last, which are the first ones back from it
                    surplus = (holding if side else models - holding) - size
                    m = t
                    while surplus > 0:
                        if held[s, m] == side:
                            c, d = codes[s, m] >> half, codes[s, m] & mask
                            high, low, hh, hl, ll = high - c, low - d, hh - c * c, hl - c * d, ll - d * d
                            surplus -= 1
                        m = (m if m else models) - 1
                    total = (high << half) + low
                    centre = total // size
                    rest = total - size * centre
                    c, d = centre >> half, centre & mask
                    hh += size * c * c - 2 * c * high
                    hl += size * c * d - c * low - d * high
                    ll += size * d * d - 2 * d * low
                    about_centre = _wide(hh, hl, ll, half)
                    means[side, i, begin + s] = (centre + rest / size) / scale
                    squares[side, i, begin + s] = (about_centre - rest * (rest / size)) / scale / scale
    return means, squares


@kernel(parallel=True)
def log_means(
    log_odds: NDArray[np.float64],
    keep: NDArray[np.bool_],
    targets: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Logarithm of the mean probability that a sample's shadows give its label, float64 [target, sample].

    `log_odds` float64 [model, sample], log p / (1 - p) of the label; the other arguments as in
    `side_moments`, and the shadows of both sides are taken together. NaN where there are none.

    Where a shadow gives one half or more, the mean is taken of 1 - p, else of p over the largest p,
    so that neither sure answers nor hopeless ones saturate. Either is cut to a share of 2**-50 or so
    of the largest and then summed exactly, in any order.
    """
    models, samples = log_odds.shape
    logs = np.empty((len(targets), samples))
    bits = SUM_BITS
    while (1 << (SUM_BITS - bits)) < models:
        bits -= 1
    for block in prange((samples + BLOCK - 1) // BLOCK):
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
            counts = _walk(kept[s], rank, first)
            for m in range(models):
                ring[np.int64(kept[s, m]), rank[m]] = m
            for i in range(len(targets)):
                t = targets[i]
                number = 0
                for side in range(2):
                    at = first[side, t]
                    for _ in range(sizes[side, i, counts[1] - np.int64(kept[s, t])]):
                        at = at if at < counts[side] else 0
                        chosen[number] = ring[side, at]
                        number += 1
                        at += 1
                logs[i, begin + s] = _log_mean(log_p[s], other[s], chosen[:number], bits)
    return logs


@kernel()
def _log_mean(log_p: NDArray[np.float64], other: NDArray[np.float64], chosen: NDArray[np.int64], bits: int) -> float:
    """Logarithm of the mean of the chosen p, given log p and 1 - p of every model; see `log_means`."""
    if len(chosen) == 0:
        return np.nan
    top, most = -np.inf, 0.0
    for m in chosen:
        top, most = max(top, log_p[m]), max(most, other[m])
    total = np.int64(0)
    if top >= LOG_HALF:
        scale = math.ldexp(1.0, min(bits - math.frexp(most)[1], 1000))
        for m in chosen:
            total += np.int64(other[m] * scale)
        return math.log1p(-(np.float64(total) / len(chosen) / scale))
    scale = math.ldexp(1.0, bits)
    for m in chosen:
        total += np.int64(math.exp(log_p[m] - top) * scale)
    return top + math.log(np.float64(total) / len(chosen) / scale)


@kernel(parallel=True)
def shadows_beaten(
    values: NDArray[np.float64],
    keep: NDArray[np.bool_],
    targets: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Share of a sample's shadows with a smaller value than the target, equal ones half; float64 [target, sample].

    Arguments as in `side_moments`, and the shadows of both sides are taken together. One half where
    there are none.
    """
    models, samples = values.shape
    shares = np.full((len(targets), samples), 0.5)
    for block in prange((samples + BLOCK - 1) // BLOCK):
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
            counts = _walk(kept[s], rank, first)
            for m in range(models):
                ring[np.int64(kept[s, m]), rank[m]] = local[s, m]
            for i in range(len(targets)):
                t = targets[i]
                own = local[s, t]
                number = twice = np.int64(0)
                for side in range(2):
                    at = first[side, t]
                    for _ in range(sizes[side, i, counts[1] - np.int64(kept[s, t])]):
                        at = at if at < counts[side] else 0
                        twice += 2 * np.int64(ring[side, at] < own) + np.int64(ring[side, at] == own)
                        number += 1
                        at += 1
                if number:
                    shares[i, begin + s] = twice / (2 * number)
    return shares


def grid(values: NDArray[np.float64]) -> tuple[int, int]:
    """The grid that `side_moments` may cut finite values [model, sample] to: (exponent, half).

    Multiples of 2**-exponent, the finest ones whose sums over all models stay below 2**62: 54 bits
    for the largest value of up to 256 models, which is more than a float has.
    """
    half = min(27, (SUM_BITS - (len(values) - 1).bit_length()) // 2)
    largest = float(max(values.max(initial=0.0), -values.min(initial=0.0)))
    return min(2 * half - math.frexp(largest)[1], 1000), half
