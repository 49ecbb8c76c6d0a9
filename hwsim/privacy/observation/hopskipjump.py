"""How far a sample lies from the decision boundary, found from labels alone by HopSkipJump.

Source: J. Chen, M. Jordan and M. Wainwright, HopSkipJumpAttack: A Query-Efficient Decision-Based Attack,
IEEE S&P 2020, the untargeted L2 version, written from the paper. Our own choices: all samples walk
together so that queries come in large batches; the starting points; the numbers of first probes, bisections and
halvings; and the shortest distance of the whole walk is reported, not the last one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.sample_keys import content_keys
from hwsim.rng import stream

Query = Callable[[NDArray[np.float32]], NDArray[np.int64]]
"""Inputs float32 [n, ...] -> predicted labels int64 [n], each row for itself."""

LEAST_QUERIES = 50

_STARTS = 20  # starting points that are tried before a sample is given up
_PROBES = 50  # of the first gradient estimate; the t-th takes sqrt(t) times as many (the paper starts at 100)
_HALVINGS = 10  # of a step that leaves the other side
_BLOCK = 1 << 24  # numbers in one batch of probes


def boundary_distance(
    query: Query,
    x: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    queries_per_sample: int,
    seed: int,
    least_probe: float = 0.0,
) -> NDArray[np.float64]:
    """L2 distance from each sample to the nearest input found whose label is wrong, float64 [sample].

    `x` is float [sample, ...] within 0..1, as is every input that is asked for; `labels` int64 [sample].
    At most `queries_per_sample` labels are asked for per sample; more never give a larger distance.
    The distance is an upper bound of the true one. It is 0 where the label is wrong already, and the
    largest that there is, the square root of the number of features, where no starting point with
    another label was found.

    The walk of a sample depends on its features, its label and `seed` alone, not on the other samples.
    Gradients are probed at distance / features, as in the paper; a network that rounds its inputs to
    steps of size s hardly sees such probes, and `least_probe` (an L2 length, about s times the square
    root of the number of features) keeps them visible.

    Raises BadInput for inputs outside 0..1, shapes that do not fit, or fewer than 50 queries.

    >>> right_half = lambda x: (x[:, 0] > 0.5).astype(np.int64)
    >>> x = np.array([[0.7, 0.5], [0.2, 0.5]])
    >>> boundary_distance(right_half, x, np.array([1, 1]), 400, seed=0).round(2).tolist()
    [0.2, 0.0]
    """
    flat = _checked(x, labels, queries_per_sample)
    samples, features = flat.shape
    keys = content_keys(flat, labels)
    distances = np.empty(samples)
    most_probes = _probes(1 + queries_per_sample // _PROBES)
    together = max(1, _BLOCK // (most_probes * features))

    def ask(rows: NDArray[np.float32]) -> NDArray[np.int64]:
        answer = np.asarray(query(rows.reshape(len(rows), *x.shape[1:])))
        if answer.shape != (len(rows),):
            raise BadInput("query", f"labels {answer.shape}", f"one label for each of {len(rows)} inputs")
        return answer

    for start in range(0, samples, together):
        block = slice(start, start + together)
        noise = [stream(seed, "boundary", int(key)) for key in keys[block]]
        walk = _HopSkipJump(ask, flat[block], labels[block], noise, queries_per_sample, least_probe)
        distances[block] = walk.run()
    return distances


def _checked(x: NDArray[np.floating[Any]], labels: NDArray[np.int64], queries: int) -> NDArray[np.float32]:
    """The samples as rows, float32 [sample, feature]."""
    if x.ndim < 2 or labels.shape != (len(x),):
        raise BadInput("x", f"shapes {x.shape} and {labels.shape}", "inputs [sample, ...] and labels [sample]")
    if not ((x >= 0) & (x <= 1)).all():
        raise BadInput("x", f"{x.min():g} to {x.max():g}", "0 to 1")
    if queries < LEAST_QUERIES:
        raise BadInput("queries_per_sample", queries, f"{LEAST_QUERIES} or more")
    return x.reshape(len(x), -1).astype(np.float32)


def _probes(t: int) -> int:
    """Probes of the t-th gradient estimate."""
    return math.ceil(_PROBES * math.sqrt(t))


class _HopSkipJump:
    """Samples that walk together: `point` is on the other side for those that are `found`, near the boundary."""

    def __init__(
        self,
        ask: Query,
        x: NDArray[np.float32],
        labels: NDArray[np.int64],
        noise: list[np.random.Generator],
        queries: int,
        least_probe: float,
    ) -> None:
        self.ask, self.x, self.labels, self.noise, self.least_probe = ask, x, labels, noise, least_probe
        self.point = x.copy()
        self.left = np.full(len(x), queries)
        self.found = np.zeros(len(x), dtype=np.bool_)
        # the paper's tolerance d^(-3/2), but never coarser than 2^-10 of the way
        self.bisections = max(10, math.ceil(1.5 * math.log2(x.shape[1])))

    def run(self) -> NDArray[np.float64]:
        """The distances, float64 [sample]."""
        all_classes = np.arange(len(self.x))
        distance = np.full(len(self.x), math.sqrt(self.x.shape[1]))
        wrong = self.crossed(all_classes, self.x)
        distance[wrong] = 0.0
        self.start(all_classes[~wrong])
        walking = np.flatnonzero(self.found)
        self.bisect(walking)
        distance[walking] = self.lengths(walking)
        t = 0
        while True:
            t += 1
            cost = _probes(t) + 1 + _HALVINGS + self.bisections
            walking = np.flatnonzero(self.found & (self.left >= cost))
            if not len(walking):
                return distance
            self.step(walking, t)
            self.bisect(walking)
            distance[walking] = np.minimum(distance[walking], self.lengths(walking))

    def crossed(self, who: NDArray[np.intp], rows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether rows [who, feature] have another label than their samples; one query each."""
        self.left[who] -= 1
        if not len(who):
            return np.zeros(0, dtype=np.bool_)
        return np.asarray(self.ask(rows) != self.labels[who])

    def lengths(self, who: NDArray[np.intp]) -> NDArray[np.float64]:
        """Distances from the samples to their points."""
        gap = self.point[who].astype(np.float64) - self.x[who]
        return np.asarray(np.sqrt((gap * gap).sum(axis=1)))

    def start(self, who: NDArray[np.intp]) -> None:
        """Look for an input with another label: the negative, black, white, grey, then noise of random brightness."""
        for attempt in range(_STARTS):
            if not len(who):
                return
            rows = np.stack([self._candidate(s, attempt) for s in who])
            crossed = self.crossed(who, rows)
            self.point[who[crossed]] = rows[crossed]
            self.found[who[crossed]] = True
            who = who[~crossed]

    def _candidate(self, s: int, attempt: int) -> NDArray[np.float32]:
        if attempt == 0:
            return np.asarray(1 - self.x[s])
        if attempt < 4:
            return np.full(self.x.shape[1], (0.0, 1.0, 0.5)[attempt - 1], dtype=np.float32)
        low, high = (0.0, 1.0) if attempt % 2 == 0 else np.sort(self.noise[s].random(2))
        grey = low + (high - low) * self.noise[s].random(self.x.shape[1])
        return np.asarray(grey, dtype=np.float32)

    def bisect(self, who: NDArray[np.intp]) -> None:
        """Move the points towards their samples, onto the boundary."""
        origin, far = self.x[who], self.point[who].copy()
        low, high = np.zeros(len(who), dtype=np.float32), np.ones(len(who), dtype=np.float32)
        for _ in range(self.bisections):
            middle = (low + high) / 2
            rows = origin + middle[:, None] * (far - origin)
            crossed = self.crossed(who, rows)
            self.point[who[crossed]] = rows[crossed]
            high = np.where(crossed, middle, high)
            low = np.where(crossed, low, middle)

    def step(self, who: NDArray[np.intp], t: int) -> None:
        """Estimate the direction away from the own label and go there, as far as the label stays another."""
        direction = self._directions(who, _probes(t))
        length = self.lengths(who) / math.sqrt(t)
        origin = self.point[who].astype(np.float64)
        pending = np.arange(len(who))
        for _ in range(1 + _HALVINGS):
            if not len(pending):
                return
            rows = np.clip(origin[pending] + length[pending, None] * direction[pending], 0, 1).astype(np.float32)
            crossed = self.crossed(who[pending], rows)
            self.point[who[pending[crossed]]] = rows[crossed]
            pending = pending[~crossed]
            length[pending] /= 2

    def _directions(self, who: NDArray[np.intp], probes: int) -> NDArray[np.float64]:
        """Unit vectors [who, feature] along the gradient, by Monte Carlo with the mean answer as the baseline."""
        features = self.x.shape[1]
        size = np.maximum(self.lengths(who) / features, self.least_probe)
        rows = np.empty((len(who), probes, features), dtype=np.float32)
        for i, s in enumerate(who):
            moves = self.noise[s].standard_normal((probes, features))
            moves *= size[i] / np.sqrt((moves * moves).sum(axis=1, keepdims=True))
            rows[i] = np.clip(self.point[s] + moves, 0, 1)
        self.left[who] -= probes
        answers = self.ask(rows.reshape(-1, features)).reshape(len(who), probes)
        signs = np.where(answers != self.labels[who, None], 1.0, -1.0)
        directions = np.empty((len(who), features))
        for i, s in enumerate(who):
            mean = signs[i].mean()
            weights = signs[i] if abs(mean) == 1 else signs[i] - mean
            gradient = (weights[:, None] * (rows[i].astype(np.float64) - self.point[s])).sum(axis=0)
            norm = math.sqrt(float((gradient * gradient).sum()))
            directions[i] = gradient / norm if norm > 0 else gradient
        return directions
