"""Operands that reveal a wrong rounding: ties, near ties, extremes, odd zero points; and random operands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format

Rng = np.random.Generator
Floats = NDArray[np.float32]

KINDS = ("random", "ties", "near ties", "extremes", "upscale")
"""Kinds of operands with defined results in every tool; the kind "wrap" makes 32-bit sums overflow."""


@dataclass(frozen=True, eq=False)
class Products:
    """Codes, weights [channel, ...], bias and float32 scales of a convolution or linear layer."""

    x: NDArray[np.int64]
    w: NDArray[np.int64]
    bias: NDArray[np.int64]
    x_scale: np.float32
    w_scale: Floats
    y_scale: np.float32

    @property
    def sum_scale(self) -> Floats:
        """Real value of one unit of each accumulator."""
        return self.x_scale * self.w_scale


@dataclass(frozen=True)
class Shapes:
    """Operand shapes, formats and limits of a convolution or linear layer."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    source: Format
    output: Format
    w_max: int = 127
    per_channel: bool = True
    sum_max: int = 2**31 - 1


def draw(kind: str, rng: Rng, shapes: Shapes) -> Products:
    """Draw operands of one kind."""
    return {
        "random": _random,
        "ties": _ties,
        "near ties": _near_ties,
        "extremes": _extremes,
        "upscale": _upscale,
        "wrap": _wrap,
    }[kind](rng, shapes)


def near_tie(rng: Rng, count: int, output: Format) -> tuple[NDArray[np.int64], Floats]:
    """Draw sums of both signs, up to 2^29, with float32 ratios within two float32 steps of a tie."""
    sums = np.exp2(rng.uniform(output.bits, 29, count)).astype(np.int64) * rng.choice([-1, 1], count)
    target = rng.integers(0, 1 << (output.bits - 2), count) + 0.5
    ratio = (target / np.abs(sums)).astype(np.float32)
    return sums, nudge(rng, ratio)


def nudge(rng: Rng, values: Floats, steps: int = 2) -> Floats:
    """Change each value by up to `steps` float32 steps."""
    return (values.view(np.int32) + rng.integers(-steps, steps + 1, values.shape).astype(np.int32)).view(np.float32)


def zero_point(rng: Rng, format: Format) -> int:
    """Draw a zero point: an end of the range, an odd number, or zero."""
    low, high = format.qmin, format.qmax
    return int(rng.choice([low, high, (low + high + 1) // 2, 1, 3, low + 5, high - 4]))


def _scales(rng: Rng, ratio: NDArray[np.floating]) -> tuple[np.float32, Floats, np.float32]:
    """Draw float32 scales (x, w, y) that are not powers of two and have about the given ratio."""
    x, y = (np.float32(math.exp(rng.uniform(-6, 0))) for _ in range(2))
    return x, (ratio * (float(y) / float(x))).astype(np.float32), y


def _random(rng: Rng, s: Shapes) -> Products:
    x = rng.integers(s.source.qmin, s.source.qmax + 1, s.x)
    w = rng.integers(-s.w_max, s.w_max + 1, s.w)
    terms, channels = math.prod(s.w[1:]), s.w[0]
    spread = float((x - s.source.zero_point).std() * w.std() * math.sqrt(terms)) + 1
    bias = rng.normal(0, spread, channels).astype(np.int64)
    ratio = (1 << s.output.bits) / 5 / spread * np.exp(rng.uniform(-0.7, 0.7, channels if s.per_channel else 1))
    return Products(x, w, bias, *_scales(rng, ratio))


def _small(rng: Rng, s: Shapes, keep: float, largest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw codes with values of up to `largest`, zero except for a share `keep`, and weights of -3 to 3."""
    values = rng.integers(-largest, largest + 1, s.x) * (rng.random(s.x) < keep)
    w = rng.integers(-min(3, s.w_max), min(3, s.w_max) + 1, s.w)
    return np.clip(values + s.source.zero_point, s.source.qmin, s.source.qmax), w


def _ties(rng: Rng, s: Shapes) -> Products:
    """Draw power-of-two scales with ratios 2^-1 to 2^-6, and biases over the whole range of the output."""
    x, w = _small(rng, s, 0.5, 2)
    channels = s.w[0]
    k = rng.integers(1, 7, channels if s.per_channel else 1)
    reach = (1 << s.output.bits) * 0.6 * 2.0**k
    bias = (rng.uniform(-1, 1, channels) * reach).astype(np.int64)
    a, b = rng.integers(1, 6, 2)
    return Products(x, w, bias, np.float32(2.0**-a), (2.0 ** (a - b - k)).astype(np.float32), np.float32(2.0**-b))


def _near_ties(rng: Rng, s: Shapes) -> Products:
    """Draw biases within float32 steps of a tie; most inputs are zero, so the sums equal the biases."""
    x, w = _small(rng, s, 0.02, 3)
    channels = s.w[0]
    sums, ratio = near_tie(rng, channels if s.per_channel else 1, s.output)
    if not s.per_channel:  # odd multiples of a tie are ties
        sums = sums * (2 * rng.integers(-2, 2, channels) + 1)
    scales = (np.float32(1), ratio, np.float32(1)) if rng.integers(2) else _scales(rng, ratio)
    return Products(x, w, sums, *scales)


def _extremes(rng: Rng, s: Shapes) -> Products:
    """Draw only largest and smallest codes and weights, with half of the biases close to the largest sum."""
    channels, terms = s.w[0], math.prod(s.w[1:])
    ends = np.array([s.source.qmin, s.source.qmax])
    x = rng.choice(ends, s.x)
    x[::3] = ends[0]
    x[1::3] = ends[1]
    signs = rng.choice([-1, 1], (channels, terms))
    signs[::2] = signs[::2, :1]  # every second channel has one sign
    w = signs.reshape(s.w) * s.w_max
    bound = terms * s.source.max_magnitude * s.w_max
    far = (rng.random(channels) < 0.5) if s.per_channel else np.zeros(channels, bool)
    bias = np.where(far, (s.sum_max - bound) * rng.choice([-1, 1], channels), 0)
    largest = np.where(far, s.sum_max, bound) if s.per_channel else np.array([bound])
    return Products(x, w, bias, *_scales(rng, (1 << s.output.bits) * 0.55 / largest))


def _upscale(rng: Rng, s: Shapes) -> Products:
    """Draw ratios above one, which shift left."""
    x, w = _small(rng, s, 0.3, 1)
    channels = s.w[0]
    ratio = np.exp(rng.uniform(0, 2, channels if s.per_channel else 1))
    return Products(x, w, rng.integers(-9, 10, channels), *_scales(rng, ratio))


def _wrap(rng: Rng, s: Shapes) -> Products:
    """Draw biases at both ends of the accumulator, so that products overflow it."""
    p = _extremes(rng, s)
    bias = rng.choice([-s.sum_max, s.sum_max], len(p.bias))
    return Products(p.x, p.w, bias, *_scales(rng, np.full(len(p.w_scale), (1 << s.output.bits) * 0.55 / s.sum_max)))
