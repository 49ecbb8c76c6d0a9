"""Operand transitions, and the sampled PE blocks, on which Hamming distances are counted.

A weight-stationary array reads the output pixels of a layer one after the other. Row k of the reduction
receives, pixel by pixel, the code at its kernel tap and channel, between two pauses of zero bits. The pairs of
consecutive input pixels depend on shapes only, so a sum of weighted Hamming
distances is one list of pixel pairs and weights, without a copy of the map for each tap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.cache import cached
from hwsim.kernels.machine.toggles import LANES, PIXELS
from hwsim.network.layer import Geometry
from hwsim.network.product import Product
from hwsim.reference import windows

Ints = NDArray[np.int64]

NO_PIXEL = -1
"""Index where a tap reads no input pixel: in the padding, and in the pauses before and after the pixels."""

MAX_RUNS_PER_GROUP = 31
"""Largest number of pairs of runs whose distances, at most 8 bits per uint8 or 16 per uint16, fit the sum's dtype."""

INT32_MAX = 2**31 - 1

WEIGHT_UNIT = 1 << 12
"""Fixed-point unit of a block's weight: WEIGHT_UNIT represents one block."""

MIN_BLOCKS = 4
"""Smallest number of blocks of a sampled layer. It is even, because the error is estimated from pairs of blocks."""

BLOCK_OVERHEAD_ROWS = 32
"""Time to count one block beyond its rows, in rows of PEs."""


@dataclass(frozen=True)
class SamplingBudget:
    """Limits of the time that is spent on the partial sums of one layer, in rows of PEs.

    Attributes
    ----------
    sampled_rows : rows counted in a large layer; more where MIN_BLOCKS blocks have more
    full_rows : a layer with at most this number of rows in all of its blocks is counted in full
    """

    sampled_rows: int = 512
    full_rows: int = 2048


DEFAULT_BUDGET = SamplingBudget()


@dataclass(frozen=True, eq=False)
class PixelSequence:
    """Input pixels read by the taps of a layer over time.

    Attributes
    ----------
    pixels : int64 [time, tap], NO_PIXEL where none; time 0 is the pause before the first output pixel, time 1 the
        first output pixel, and the pause after the last one lasts for a whole block
    width : width of the input map
    max_gap : largest distance of neighboring pixels in a run of pixels of one row
    """

    pixels: Ints
    width: int
    max_gap: int

    @property
    def transition_count(self) -> int:
        """Number of steps from one time to the next in which codes may change."""
        return len(self.pixels) - PIXELS + 1

    @cached_property
    def transitions(self) -> Transitions:
        """The pairs of consecutive pixels of all taps."""
        return _transitions(self)


@dataclass(frozen=True, eq=False)
class Transitions:
    """Pairs of runs of pixels, and how often each tap changes from a pixel to its partner.

    Attributes
    ----------
    run_starts : int64 [pair, (p, q)]; first pixels of two runs, q NO_PIXEL where the other run is zero bits
    groups : int64 [group, (first pair, end pair, pixels, first row of `counts`)]; pairs of runs of equal length with
        equal counts
    counts : int64 [row, tap]; number of changes
    """

    run_starts: Ints
    groups: Ints
    counts: Ints

    def in_codes(self, channels: int) -> tuple[Ints, Ints]:
        """Return `run_starts` and `groups` in codes instead of pixels, for a map with `channels` fastest."""
        starts = np.where(self.run_starts == NO_PIXEL, NO_PIXEL, self.run_starts * channels)
        return starts, self.groups * np.array([1, 1, channels, channels])

    def code_weights(self, per_tap: Ints) -> NDArray[np.signedinteger]:
        """Return the weight of each code's distance, flat, from weights int64 [tap, channel]; int32 where they fit."""
        flat = (self.counts @ per_tap).reshape(-1)
        return flat.astype(np.int32) if flat.max(initial=0) <= INT32_MAX else flat


@cached(256)
def conv_sequence(height: int, width: int, geometry: Geometry) -> PixelSequence:
    """Return the sequence of a convolution over a map of `height` x `width` pixels.

    >>> conv_sequence(1, 3, Geometry((1, 2), padding=(0, 1))).pixels[:6].T.tolist()
    [[-1, -1, 0, 1, 2, -1], [-1, 0, 1, 2, -1, -1]]
    """
    numbers = np.arange(1, 1 + height * width).reshape(1, 1, height, width)
    read = windows(numbers, geometry, fill=0)[0, 0] - 1
    return _with_pauses(read.reshape(-1, read.shape[2] * read.shape[3]), width, geometry.stride[1])


@cached(256)
def linear_sequence(vectors: int) -> PixelSequence:
    """Return the sequence of a linear layer: feature vectors one after the other, each one pixel."""
    return _with_pauses(np.arange(vectors).reshape(-1, 1), 1, 1)


def _with_pauses(read: Ints, width: int, max_gap: int) -> PixelSequence:
    """Add the pauses to the pixels `read` int64 [output pixel, tap]."""
    pause = np.full((PIXELS - 1, read.shape[1]), NO_PIXEL)
    return PixelSequence(np.concatenate([pause[:1], read, pause]), width, max_gap)


def _transitions(sequence: PixelSequence) -> Transitions:
    """Return all transitions of all taps, equal ones counted once, joined to runs within a row of the input map."""
    before, after = sequence.pixels[:-1], sequence.pixels[1:]
    taps = np.broadcast_to(np.arange(before.shape[1]), before.shape)
    larger, smaller = np.maximum(before, after), np.minimum(before, after)
    p = np.where(smaller == NO_PIXEL, larger, smaller)  # p < q, or q is NO_PIXEL
    q = np.where(smaller == NO_PIXEL, NO_PIXEL, larger)
    changed = before != after
    beyond = sequence.pixels.max() + 2
    found, index = np.unique(p[changed] * beyond + q[changed] + 1, return_inverse=True)
    counts = np.zeros((len(found), before.shape[1]), dtype=np.int64)
    np.add.at(counts, (index.reshape(-1), taps[changed]), 1)
    return _grouped(*_runs(sequence, found // beyond, found % beyond - 1, counts), before.shape[1])


def _runs(sequence: PixelSequence, p: Ints, q: Ints, counts: Ints) -> tuple[Ints, list[Ints]]:
    """Join pairs of pixels to pairs of runs.

    A run continues while both pixels advance by the same distance. Pixels that the stride skips are bridged by
    pairs with zero counts.

    Parameters
    ----------
    p, q : int64 [pair]
    counts : int64 [pair, tap]

    Returns
    -------
    First pairs int64 [run, 2], and for each run its counts int64 [pixel, tap]
    """
    if not len(p):  # all transitions are between equal codes
        return np.zeros((0, 2), dtype=np.int64), []
    apart = np.where(q == NO_PIXEL, NO_PIXEL, q - p)
    half = np.where(q == NO_PIXEL, sequence.width // 2, 0)  # pauses are next to both ends of a row: cut in the middle
    row = (p + half) // sequence.width
    order = np.lexsort((p, apart, row))
    p, q, apart, row, counts = p[order], q[order], apart[order], row[order], counts[order]
    same_row, same_distance = np.diff(row) == 0, np.diff(apart) == 0
    begins = np.flatnonzero(np.r_[True, ~(same_row & same_distance & (np.diff(p) <= sequence.max_gap))])
    runs = []
    for first, end in zip(begins, np.r_[begins[1:], len(p)], strict=True):
        run = np.zeros((p[end - 1] - p[first] + 1, counts.shape[1]), dtype=np.int64)
        run[p[first:end] - p[first]] = counts[first:end]
        runs.append(run)
    return np.stack([p[begins], q[begins]], axis=1), runs


def _grouped(starts: Ints, runs: list[Ints], taps: int) -> Transitions:
    """Group runs with equal counts, at most MAX_RUNS_PER_GROUP in a group.

    `starts` is int64 [run, 2], `runs` the counts int64 [pixel, tap] of each run.
    """
    equal: dict[tuple[int, bytes], list[int]] = {}
    for number, counts in enumerate(runs):
        equal.setdefault((len(counts), counts.tobytes()), []).append(number)
    order: list[int] = []
    groups, distinct, first_pair, first_row = [], [], 0, 0
    none = np.zeros((0, taps), dtype=np.int64)
    for (length, _), members in equal.items():
        for first in range(0, len(members), MAX_RUNS_PER_GROUP):
            group = members[first : first + MAX_RUNS_PER_GROUP]
            groups.append((first_pair, first_pair + len(group), length, first_row))
            first_pair += len(group)
        order += members
        distinct.append(runs[members[0]])
        first_row += length
    return Transitions(
        starts[np.array(order, dtype=np.int64)],
        np.array(groups, dtype=np.int64).reshape(-1, 4),
        np.concatenate([none, *distinct]),
    )


@dataclass(frozen=True, eq=False)
class SampledBlocks:
    """The blocks of PEs and cycles in which partial sums are counted.

    Attributes
    ----------
    positions : int64 [block, (group, first row, end row, first filter, first time)], as
        `kernels.machine.toggles.psum_toggles` reads them: one fold's rows of PEs, LANES columns, PIXELS - 1 transitions
    weights : int64 [block]; number of blocks that each one represents, in WEIGHT_UNIT; all are WEIGHT_UNIT where
        everything is counted
    """

    positions: Ints
    weights: Ints

    def estimate(self, counts: Ints) -> tuple[Ints, float]:
        """Return the totals int64 [sample] of counts [sample, block], and the relative standard error of their mean.

        The blocks come from equal parts of the layer, one from each, so that neighboring blocks are
        similar: the square of their difference estimates the variance of both ("collapsed strata", W. G.
        Cochran, Sampling Techniques, 3rd edition, 5A.12), with a bias upward. The error is 0 where
        everything was counted.
        """
        totals: Ints = (counts @ self.weights + WEIGHT_UNIT // 2) // WEIGHT_UNIT
        if (self.weights == WEIGHT_UNIT).all() or not counts.any():
            return totals, 0.0
        parts = counts.mean(axis=0) * self.weights
        return totals, float(np.sqrt(((parts[::2] - parts[1::2]) ** 2).sum()) / parts.sum())


def sample_blocks(
    sequence: PixelSequence,
    layer: Product,
    rows: int,
    generator: np.random.Generator,
    budget: SamplingBudget = DEFAULT_BUDGET,
) -> SampledBlocks:
    """Return the blocks of a layer on an array with `rows`: all blocks of a small layer, else a random sample.

    >>> blocks = sample_blocks(linear_sequence(1024), Product(1024, 144, 16), 128, np.random.default_rng(0))
    >>> len(blocks.positions), int(blocks.weights.sum()) // WEIGHT_UNIT  # of 2 folds times 342 runs of transitions
    (4, 683)
    """
    firsts = np.arange(0, layer.reduction, rows)
    columns = np.arange(0, layer.filters, LANES)
    sums = (
        _changing_sums(sequence, layer, rows)[:, :, None, None]
        * np.ones(layer.groups, dtype=np.int64)[:, None]
        * np.minimum(layer.filters - columns, LANES)
    )
    chosen, weights = _draw(sums.reshape(-1), layer.reduction // len(firsts) + BLOCK_OVERHEAD_ROWS, generator, budget)
    fold, time, group, column = np.unravel_index(chosen, sums.shape)
    ends = np.minimum(firsts + rows, layer.reduction)
    positions = [group, firsts[fold], ends[fold], columns[column], time * (PIXELS - 1)]
    return SampledBlocks(np.stack(positions, axis=1).astype(np.int64), weights)


def _draw(sums: Ints, rows_per_block: int, generator: np.random.Generator, budget: SamplingBudget) -> tuple[Ints, Ints]:
    """Choose blocks, with the weight of each.

    Blocks in the order (fold, time, group, column) are put on a line, each with a length equal to the number of its
    sums that can change. The line is cut into equal parts, and a random point of each part picks a block. This is
    unbiased, because the weight of a block is inversely proportional to its length, hence to its probability.

    Parameters
    ----------
    sums : int64 [block]; partial sums that can change
    rows_per_block : rows of PEs that one block costs

    Returns
    -------
    Chosen blocks and their weights, int64 [chosen] each
    """
    nonempty = np.flatnonzero(sums)
    count = max(MIN_BLOCKS, budget.sampled_rows // rows_per_block // 2 * 2)
    if len(nonempty) <= max(count, budget.full_rows // rows_per_block):
        return nonempty, np.full(len(nonempty), WEIGHT_UNIT, dtype=np.int64)
    ends = np.cumsum(sums)
    cuts = np.arange(count + 1) * ends[-1] // count
    chosen = np.searchsorted(ends, generator.integers(cuts[:-1], cuts[1:]), side="right")
    expected = sums[chosen] * count
    return chosen, (ends[-1] * WEIGHT_UNIT + expected // 2) // expected


def _changing_sums(sequence: PixelSequence, layer: Product, rows: int) -> Ints:
    """Return the partial sums of one column that can change in each fold and run of transitions: int64 [fold, run].

    In one transition these are the sums of all rows from the first one whose tap reads a code before or after it.
    Each counts once where it leaves a PE and once where it enters the next row.
    """
    reads = sequence.pixels != NO_PIXEL
    reads = reads[:-1] | reads[1:]  # [transition, tap]
    channels = layer.reduction // reads.shape[1]
    found = []
    for first in range(0, layer.reduction, rows):
        end = min(first + rows, layer.reduction)
        taps = np.arange(first // channels, (end - 1) // channels + 1)
        in_fold = reads[:, taps]
        begins = np.maximum(taps * channels, first)[in_fold.argmax(axis=1)]
        sums = np.where(in_fold.any(axis=1), 2 * (first + rows - begins) - 1, 0)[: sequence.transition_count]
        runs = ceil_div(len(sums), PIXELS - 1)
        found.append(np.pad(sums, (0, runs * (PIXELS - 1) - len(sums))).reshape(runs, -1).sum(axis=1))
    return np.stack(found)
