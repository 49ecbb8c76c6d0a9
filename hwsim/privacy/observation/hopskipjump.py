"""HopSkipJump: the L2 distance of a sample to the decision boundary, found from labels alone.

Source: J. Chen, M. Jordan and M. Wainwright, HopSkipJumpAttack: A Query-Efficient Decision-Based Attack,
IEEE S&P 2020, the untargeted L2 version, written from the paper.
Design choice: all samples proceed together so that queries come in large batches; the starting points; the numbers
of first probes, bisections and halvings; and the smallest distance of all iterations is reported, not the last one.
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
"""Inputs float32 [n, ...] -> predicted labels int64 [n], each row independent of the other rows."""

MIN_QUERIES = 50

MAX_BATCH = 1 << 24
"""Default largest number of floats in one batch of probes."""

_STARTS = 20  # starting points that are tried for a sample
_PROBES = 50  # of the first gradient estimate; the t-th takes sqrt(t) times as many (the paper starts at 100)
_HALVINGS = 10  # of a step that returns to the sample's own label


def boundary_distance(
    query: Query,
    x: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    queries_per_sample: int,
    seed: int,
    min_probe: float = 0.0,
    max_batch: int = MAX_BATCH,
) -> NDArray[np.float64]:
    """Return the L2 distance from each sample to the nearest input found with a wrong label, float64 [sample].

    The distance is an upper bound of the true one. It is 0 where the label is wrong already. Where no starting point
    with another label is found, it is the largest possible one, the square root of the number of features. The result
    of a sample depends on its features, its label and `seed` alone, not on the other samples.

    Parameters
    ----------
    query : function from inputs to labels; every input lies within 0..1
    x : float [sample, ...] within 0..1
    labels : int64 [sample]
    queries_per_sample : largest number of label queries per sample; more queries never give a larger distance
    seed : seed of the probes and of the random starting points
    min_probe : smallest L2 length of a probe. Gradients are probed at distance / features, as in the paper. A network
        that rounds its inputs to steps of size s hardly responds to such probes; s times the square root of the number
        of features keeps them visible.
    max_batch : largest number of floats in one batch of probes; changes no result

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
    max_probes = _probes(1 + queries_per_sample // _PROBES)
    batch = max(1, max_batch // (max_probes * features))

    def query_rows(rows: NDArray[np.float32]) -> NDArray[np.int64]:
        answer = np.asarray(query(rows.reshape(len(rows), *x.shape[1:])))
        if answer.shape != (len(rows),):
            raise BadInput("query", f"labels {answer.shape}", f"one label for each of {len(rows)} inputs")
        return answer

    for start in range(0, samples, batch):
        part = slice(start, start + batch)
        noise = [stream(seed, "boundary", int(key)) for key in keys[part]]
        search = _HopSkipJump(query_rows, flat[part], labels[part], noise, queries_per_sample, min_probe)
        distances[part] = search.run()
    return distances


def _checked(x: NDArray[np.floating[Any]], labels: NDArray[np.int64], queries: int) -> NDArray[np.float32]:
    """Return the samples as rows, float32 [sample, feature]; raises BadInput."""
    if x.ndim < 2 or labels.shape != (len(x),):
        raise BadInput("x", f"shapes {x.shape} and {labels.shape}", "inputs [sample, ...] and labels [sample]")
    if not ((x >= 0) & (x <= 1)).all():
        raise BadInput("x", f"{x.min():g} to {x.max():g}", "0 to 1")
    if queries < MIN_QUERIES:
        raise BadInput("queries_per_sample", queries, f"{MIN_QUERIES} or more")
    return x.reshape(len(x), -1).astype(np.float32)


def _probes(t: int) -> int:
    """Return the number of probes of the t-th gradient estimate."""
    return math.ceil(_PROBES * math.sqrt(t))


class _HopSkipJump:
    """Boundary search of many samples at once.

    Attributes
    ----------
    x : float32 [sample, feature], the samples
    point : float32 [sample, feature], the best point with another label so far, near the boundary
    left : int64 [sample], queries left
    found : bool [sample], whether a point with another label was found
    bisections : number of bisections of one search along a line
    """

    def __init__(
        self,
        query: Query,
        x: NDArray[np.float32],
        labels: NDArray[np.int64],
        noise: list[np.random.Generator],
        queries: int,
        min_probe: float,
    ) -> None:
        self.query, self.x, self.labels, self.noise, self.min_probe = query, x, labels, noise, min_probe
        self.point = x.copy()
        self.left = np.full(len(x), queries)
        self.found = np.zeros(len(x), dtype=np.bool_)
        # the paper's tolerance d^(-3/2), but never coarser than 2^-10 of the distance
        self.bisections = max(10, math.ceil(1.5 * math.log2(x.shape[1])))

    def run(self) -> NDArray[np.float64]:
        """Return the distances, float64 [sample]."""
        samples = np.arange(len(self.x))
        distance = np.full(len(self.x), math.sqrt(self.x.shape[1]))
        wrong = self.crossed(samples, self.x)
        distance[wrong] = 0.0
        self.start(samples[~wrong])
        active = np.flatnonzero(self.found)
        self.bisect(active)
        distance[active] = self.lengths(active)
        t = 0
        while True:
            t += 1
            cost = _probes(t) + 1 + _HALVINGS + self.bisections
            active = np.flatnonzero(self.found & (self.left >= cost))
            if not len(active):
                return distance
            self.step(active, t)
            self.bisect(active)
            distance[active] = np.minimum(distance[active], self.lengths(active))

    def crossed(self, samples: NDArray[np.intp], rows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return whether rows float32 [n, feature] have another label than their samples int64 [n]; one query each."""
        self.left[samples] -= 1
        if not len(samples):
            return np.zeros(0, dtype=np.bool_)
        return np.asarray(self.query(rows) != self.labels[samples])

    def lengths(self, samples: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the distances from the samples to their points, float64 [n]."""
        gap = self.point[samples].astype(np.float64) - self.x[samples]
        return np.asarray(np.sqrt((gap * gap).sum(axis=1)))

    def start(self, samples: NDArray[np.intp]) -> None:
        """Search an input with another label: the negative, black, white, gray, then noise of random brightness."""
        for attempt in range(_STARTS):
            if not len(samples):
                return
            rows = np.stack([self._candidate(s, attempt) for s in samples])
            crossed = self.crossed(samples, rows)
            self.point[samples[crossed]] = rows[crossed]
            self.found[samples[crossed]] = True
            samples = samples[~crossed]

    def _candidate(self, s: int, attempt: int) -> NDArray[np.float32]:
        """Return the starting point of this attempt for sample `s`, float32 [feature]."""
        if attempt == 0:
            return np.asarray(1 - self.x[s])
        if attempt < 4:
            return np.full(self.x.shape[1], (0.0, 1.0, 0.5)[attempt - 1], dtype=np.float32)
        low, high = (0.0, 1.0) if attempt % 2 == 0 else np.sort(self.noise[s].random(2))
        gray = low + (high - low) * self.noise[s].random(self.x.shape[1])
        return np.asarray(gray, dtype=np.float32)

    def bisect(self, samples: NDArray[np.intp]) -> None:
        """Move the points toward their samples, onto the boundary."""
        origin, far = self.x[samples], self.point[samples].copy()
        low, high = np.zeros(len(samples), dtype=np.float32), np.ones(len(samples), dtype=np.float32)
        for _ in range(self.bisections):
            middle = (low + high) / 2
            rows = origin + middle[:, None] * (far - origin)
            crossed = self.crossed(samples, rows)
            self.point[samples[crossed]] = rows[crossed]
            high = np.where(crossed, middle, high)
            low = np.where(crossed, low, middle)

    def step(self, samples: NDArray[np.intp], t: int) -> None:
        """Step along the estimated gradient, halving the step until the label differs from the sample's own."""
        direction = self._directions(samples, _probes(t))
        length = self.lengths(samples) / math.sqrt(t)
        origin = self.point[samples].astype(np.float64)
        pending = np.arange(len(samples))
        for _ in range(1 + _HALVINGS):
            if not len(pending):
                return
            rows = np.clip(origin[pending] + length[pending, None] * direction[pending], 0, 1).astype(np.float32)
            crossed = self.crossed(samples[pending], rows)
            self.point[samples[pending[crossed]]] = rows[crossed]
            pending = pending[~crossed]
            length[pending] /= 2

    def _directions(self, samples: NDArray[np.intp], probes: int) -> NDArray[np.float64]:
        """Return unit vectors float64 [n, feature] along the gradient: Monte Carlo, with the mean as baseline."""
        features = self.x.shape[1]
        size = np.maximum(self.lengths(samples) / features, self.min_probe)
        rows = np.empty((len(samples), probes, features), dtype=np.float32)
        for i, s in enumerate(samples):
            offsets = self.noise[s].standard_normal((probes, features))
            offsets *= size[i] / np.sqrt((offsets * offsets).sum(axis=1, keepdims=True))
            rows[i] = np.clip(self.point[s] + offsets, 0, 1)
        self.left[samples] -= probes
        answers = self.query(rows.reshape(-1, features)).reshape(len(samples), probes)
        signs = np.where(answers != self.labels[samples, None], 1.0, -1.0)
        directions = np.empty((len(samples), features))
        for i, s in enumerate(samples):
            mean = signs[i].mean()
            weights = signs[i] if abs(mean) == 1 else signs[i] - mean
            gradient = (weights[:, None] * (rows[i].astype(np.float64) - self.point[s])).sum(axis=0)
            norm = math.sqrt(float((gradient * gradient).sum()))
            directions[i] = gradient / norm if norm > 0 else gradient
        return directions
