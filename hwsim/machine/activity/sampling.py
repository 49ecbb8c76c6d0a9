"""What a toggle count compares: codes that follow each other in a row of PEs, and blocks of PEs.

A weight-stationary array takes the output pixels of a layer one after the other. Row k of the reduction
then sees, pixel by pixel, the code that its kernel tap and channel read, after a pause of zero bits and
before another one. Which codes follow each other is known before any code is: a sum of weighted Hamming
distances is therefore one list of pairs and weights, without a copy of the map for each tap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwsim.cache import cached
from hwsim.kernels.machine.toggles import LANES, PIXELS
from hwsim.network.layer import Geometry
from hwsim.network.product import Product
from hwsim.reference import windows

Ints = NDArray[np.int64]

NOTHING = -1
"""Stands for a pixel where a tap reads no code: padding, and the pauses around a stream."""

PAIRS_TOGETHER = 31
"""Pairs whose distances, at most 8 bits of an uint8 or 16 of an uint16, add up within that type."""

INT32_MAX = 2**31 - 1

WEIGHT_ONE = 1 << 12
"""Unit of the number of blocks for which a block stands."""

MIN_BLOCKS = 4
"""Least number of blocks of a sampled layer. It is even: the error is estimated from pairs of them."""

BLOCK_ROWS = 32
"""To look at a block takes about as long as so many rows of PEs, and then the rows that it has."""

ROWS_SEEN = 512
"""Rows of PEs, so counted, that are looked at in a large layer; more where MIN_BLOCKS have more."""

ROWS_COUNTED = 2048
"""A layer with no more rows in all of its blocks is counted in full."""


@dataclass(frozen=True, eq=False)
class Stream:
    """The input pixels that the taps of a layer read: int64 `pixels` [time, tap], NOTHING where none.

    Time 0 is the pause before the stream, 1 is the first output pixel; the pause behind it is long
    enough for a whole block. `width` is that of the input map; pixels of a row up to `bridge` apart
    belong to one run.
    """

    pixels: Ints
    width: int
    bridge: int

    @property
    def transitions(self) -> int:
        """Steps from one time to the next in which something may change."""
        return len(self.pixels) - PIXELS + 1

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs of pixels that follow each other."""
        return _pairs(self)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of runs of pixels, and how often each tap makes the step between them.

    `entries` int64 [entry, (p, q)] are the first pixels of two runs, q NOTHING where the other one is
    zero bits; `groups` int64 [group, (first entry, end, pixels, place)] are runs of equal length
    that share a part of `times` int64 [cell, tap].
    """

    entries: Ints
    groups: Ints
    times: Ints

    def in_codes(self, channels: int) -> tuple[Ints, Ints]:
        """`entries` and `groups` counted in codes of a map with so many channels last, as kernels want them."""
        entries = np.where(self.entries == NOTHING, NOTHING, self.entries * channels)
        return entries, self.groups * np.array([1, 1, channels, channels])

    def weights(self, per_tap: Ints) -> NDArray[np.signedinteger]:
        """One weight per code of each cell, flat, from weights [tap, channel]; int32 where that holds them."""
        flat = (self.times @ per_tap).reshape(-1)
        return flat.astype(np.int32) if flat.max(initial=0) <= INT32_MAX else flat


@cached(256)
def window_stream(height: int, width: int, geometry: Geometry) -> Stream:
    """The stream of a convolution over a map of `height` x `width` pixels.

    >>> window_stream(1, 3, Geometry((1, 2), padding=(0, 1))).pixels[:6].T.tolist()
    [[-1, -1, 0, 1, 2, -1], [-1, 0, 1, 2, -1, -1]]
    """
    where = np.arange(1, 1 + height * width).reshape(1, 1, height, width)
    seen = windows(where, geometry, fill=0)[0, 0] - 1
    return _stream(seen.reshape(-1, seen.shape[2] * seen.shape[3]), width, geometry.stride[1])


@cached(256)
def vector_stream(vectors: int) -> Stream:
    """The stream of a linear layer: feature vectors one after the other, each a pixel of its own."""
    return _stream(np.arange(vectors).reshape(-1, 1), 1, 1)


def _stream(seen: Ints, width: int, bridge: int) -> Stream:
    pause = np.full((PIXELS - 1, seen.shape[1]), NOTHING)
    return Stream(np.concatenate([pause[:1], seen, pause]), width, bridge)


def _pairs(stream: Stream) -> Pairs:
    """All transitions of all taps, equal ones once, joined to runs within a row of the input map."""
    before, after = stream.pixels[:-1], stream.pixels[1:]
    taps = np.broadcast_to(np.arange(before.shape[1]), before.shape)
    p, q = np.maximum(before, after), np.minimum(before, after)
    p, q = np.where(q == NOTHING, p, q), np.where(q == NOTHING, NOTHING, p)  # p < q, or q is nothing
    changed = before != after
    beyond = stream.pixels.max() + 2
    found, index = np.unique(p[changed] * beyond + q[changed] + 1, return_inverse=True)
    times = np.zeros((len(found), before.shape[1]), dtype=np.int64)
    np.add.at(times, (index.reshape(-1), taps[changed]), 1)
    return _grouped(*_runs(stream, found // beyond, found % beyond - 1, times), before.shape[1])


def _runs(stream: Stream, p: Ints, q: Ints, times: Ints) -> tuple[Ints, list[Ints]]:
    """First pairs int64 [run, 2], and the times [pixel, tap] of each run.

    Pairs go on with a run when both pixels are as far further; where pixels are left out by the
    stride, the gap is bridged by pairs that count zero times.
    """
    if not len(p):  # every pixel meets the same code
        return np.zeros((0, 2), dtype=np.int64), []
    apart = np.where(q == NOTHING, NOTHING, q - p)
    half = np.where(q == NOTHING, stream.width // 2, 0)  # steps to nothing are at both ends of a row: cut in the middle
    row = (p + half) // stream.width
    order = np.lexsort((p, apart, row))
    p, q, apart, row, times = p[order], q[order], apart[order], row[order], times[order]
    same_row, same_distance = np.diff(row) == 0, np.diff(apart) == 0
    begins = np.flatnonzero(np.r_[True, ~(same_row & same_distance & (np.diff(p) <= stream.bridge))])
    runs = []
    for first, end in zip(begins, np.r_[begins[1:], len(p)], strict=True):
        cells = np.zeros((p[end - 1] - p[first] + 1, times.shape[1]), dtype=np.int64)
        cells[p[first:end] - p[first]] = times[first:end]
        runs.append(cells)
    return np.stack([p[begins], q[begins]], axis=1), runs


def _grouped(entries: Ints, runs: list[Ints], taps: int) -> Pairs:
    """Runs with equal times side by side, not more of them than PAIRS_TOGETHER to a group."""
    alike: dict[tuple[int, bytes], list[int]] = {}
    for number, cells in enumerate(runs):
        alike.setdefault((len(cells), cells.tobytes()), []).append(number)
    order: list[int] = []
    groups, distinct, at, place = [], [], 0, 0
    none = np.zeros((0, taps), dtype=np.int64)
    for (length, _), members in alike.items():
        for first in range(0, len(members), PAIRS_TOGETHER):
            some = members[first : first + PAIRS_TOGETHER]
            groups.append((at, at + len(some), length, place))
            at += len(some)
        order += members
        distinct.append(runs[members[0]])
        place += length
    return Pairs(
        entries[np.array(order, dtype=np.int64)],
        np.array(groups, dtype=np.int64).reshape(-1, 4),
        np.concatenate([none, *distinct]),
    )


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of PEs and cycles that are looked at.

    `places` int64 [block, (group, first row, end row, first filter, first time)] are what
    `kernels.toggles.psum_toggles` wants: one fold's rows of PEs, LANES columns, PIXELS - 1 transitions.
    `weights` int64 [block] say for how many blocks each stands, in units of 1 / WEIGHT_ONE; all are one
    where everything is counted.
    """

    places: Ints
    weights: Ints

    def estimate(self, counts: Ints) -> tuple[Ints, float]:
        """Of counts [sample, block] the totals int64 [sample], and the relative standard error of their mean.

        The blocks come from equal parts of the layer, one from each, so that neighbouring ones are
        alike: the square of their difference tells the variance of both ("collapsed strata", W. G.
        Cochran, Sampling Techniques, 3rd edition, 5A.12), rather too large than too small. 0 where
        everything was counted.
        """
        totals: Ints = (counts @ self.weights + WEIGHT_ONE // 2) // WEIGHT_ONE
        if (self.weights == WEIGHT_ONE).all() or not counts.any():
            return totals, 0.0
        parts = counts.mean(axis=0) * self.weights
        return totals, float(np.sqrt(((parts[::2] - parts[1::2]) ** 2).sum()) / parts.sum())


def choose_blocks(stream: Stream, layer: Product, rows: int, draws: np.random.Generator) -> Blocks:
    """The blocks of a layer on an array of so many `rows`: all of a small layer, else a random sample.

    >>> blocks = choose_blocks(vector_stream(1024), Product(1024, 144, 16), 128, np.random.default_rng(0))
    >>> len(blocks.places), int(blocks.weights.sum()) // WEIGHT_ONE  # of 2 folds times 342 runs of transitions
    (4, 683)
    """
    firsts = np.arange(0, layer.reduction, rows)
    columns = np.arange(0, layer.filters, LANES)
    lengths = (
        _changing_sums(stream, layer, rows)[:, :, None, None]
        * np.ones(layer.groups, dtype=np.int64)[:, None]
        * np.minimum(layer.filters - columns, LANES)
    )
    chosen, weights = _draw(lengths.reshape(-1), layer.reduction // len(firsts) + BLOCK_ROWS, draws)
    fold, time, group, column = np.unravel_index(chosen, lengths.shape)
    ends = np.minimum(firsts + rows, layer.reduction)
    places = [group, firsts[fold], ends[fold], columns[column], time * (PIXELS - 1)]
    return Blocks(np.stack(places, axis=1).astype(np.int64), weights)


def _draw(lengths: Ints, rows_each: int, draws: np.random.Generator) -> tuple[Ints, Ints]:
    """Which blocks, and the weight of each, of blocks that hold so many sums that can change.

    Blocks in the order (fold, time, group, column) are laid side by side, each as long as it has such
    sums; this line is cut into equal parts, and one point of each picks a block. That is unbiased: a
    block counts in inverse proportion to its length, hence to its chance.
    """
    live, seen = np.flatnonzero(lengths), max(MIN_BLOCKS, ROWS_SEEN // rows_each // 2 * 2)
    if len(live) <= max(seen, ROWS_COUNTED // rows_each):
        return live, np.full(len(live), WEIGHT_ONE, dtype=np.int64)
    ends = np.cumsum(lengths)
    cuts = np.arange(seen + 1) * ends[-1] // seen
    chosen = np.searchsorted(ends, draws.integers(cuts[:-1], cuts[1:]), side="right")
    chances = lengths[chosen] * seen
    return chosen, (ends[-1] * WEIGHT_ONE + chances // 2) // chances


def _changing_sums(stream: Stream, layer: Product, rows: int) -> Ints:
    """Partial sums of one column that can change in each fold and run of transitions: int64 [fold, run].

    In one transition these are all from the first row on whose tap reads a code before or after it, each
    once where it leaves and once where it enters the next row.
    """
    reads = stream.pixels != NOTHING
    reads = reads[:-1] | reads[1:]  # [transition, tap]
    channels = layer.reduction // reads.shape[1]
    found = []
    for first in range(0, layer.reduction, rows):
        end = min(first + rows, layer.reduction)
        taps = np.arange(first // channels, (end - 1) // channels + 1)
        here = reads[:, taps]
        begins = np.maximum(taps * channels, first)[here.argmax(axis=1)]
        sums = np.where(here.any(axis=1), 2 * (first + rows - begins) - 1, 0)[: stream.transitions]
        runs = -(-len(sums) // (PIXELS - 1))
        found.append(np.pad(sums, (0, runs * (PIXELS - 1) - len(sums))).reshape(runs, -1).sum(axis=1))
    return np.stack(found)
