"""Second executor of integer networks: follows docs/hq1.md rule by rule, in Python integers of unlimited size.

It shares no code with `hwsim.reference`: of hwsim it reads only the fields of a `Network`. So a rule that the page
states otherwise than the definition computes it, or leaves out, shows as a difference in `test_hq1_page.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from hwsim.formats import Format
from hwsim.network.graph import Network
from hwsim.network.layer import Layer

Index = tuple[int, ...]
Values = dict[Index, int]
"""One sample: index -> integer."""

Shape = tuple[int, ...]


def execute(network: Network, codes: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Return, for every sample of `codes` [sample, ...], the codes of every layer by name."""
    return [_sample(network, sample) for sample in codes]


def _sample(network: Network, sample: np.ndarray) -> dict[str, np.ndarray]:
    values = {"input": sample.astype(object)}
    formats = {"input": network.input} | {layer.name: layer.output for layer in network.layers}
    for layer in network.layers:
        operands = [values[name] for name in layer.inputs]
        values[layer.name] = _layer(layer, operands, [formats[name] for name in layer.inputs])
    return values


# Codes and values.


def _lowest(f: Format) -> int:
    return (-(2 ** (f.bits - 1)) + (1 if f.narrow_range else 0)) if f.signed else 0


def _highest(f: Format) -> int:
    return 2 ** (f.bits - 1) - 1 if f.signed else 2**f.bits - 1


def _value(f: Format, code: int) -> int:
    match f.kind.value:
        case "uniform":
            return code - f.zero_point
        case "binary":
            return 2 * code - 1
        case "midrise":
            return 2 * code - (2**f.bits - 1)
    return f.table[code]


def _values(f: Format, codes: np.ndarray) -> np.ndarray:
    return np.array([_value(f, int(c)) for c in codes.ravel()], dtype=object).reshape(codes.shape)


# Layers.


def _layer(layer: Layer, operands: list[np.ndarray], formats: list[Format]) -> np.ndarray:
    codes = operands[0]
    match layer.op.value:
        case "flatten":
            return codes.reshape(-1)
        case "reshape":
            return codes.reshape(layer.shape)
        case "transpose":
            return codes.transpose(layer.axes)
        case "max_pool":
            return _windows(codes, layer, lambda c, taps: max(_lowest(formats[0]) if v is None else v for _, v in taps))
        case "add":
            return _add(layer, operands, formats)
        case "concat":
            return _concat(layer, operands, formats)
        case "softmax":
            return _rows(codes, lambda row: _softmax(layer, row))
    sums = _sums(layer, operands, formats)
    if layer.requantizer is None:
        return sums
    out = np.empty(sums.shape, dtype=object)
    first = layer.op.value in ("conv", "avg_pool", "global_avg_pool")
    for at in np.ndindex(sums.shape):
        out[at] = _requantize(layer, sums[at], at[0] if first else at[-1])
    return out


def _sums(layer: Layer, operands: list[np.ndarray], formats: list[Format]) -> np.ndarray:
    """Return the accumulators of a layer, its policy applied."""
    x = _values(formats[0], operands[0])
    match layer.op.value:
        case "conv":
            return _conv(layer, operands[0], formats[0])
        case "linear":
            w = _values(layer.weight.format, layer.weight.codes)
            return _rows(
                x, lambda row: [_total(layer, int(layer.bias[f]), [a * b for a, b in zip(row, w[f], strict=True)])
                                for f in range(len(w))]
            )  # fmt: skip
        case "matmul":
            b = _values(formats[1], operands[1])
            out = np.empty((*x.shape[:-1], b.shape[-1]), dtype=object)
            for at in np.ndindex(out.shape):
                *before, m, n = at
                products = [x[(*before, m, k)] * b[(*before, k, n)] for k in range(x.shape[-1])]
                out[at] = _total(layer, 0, products)
            return out
        case "avg_pool":
            return _windows(x, layer, lambda c, taps: _total(layer, 0, [0 if v is None else v for _, v in taps]))
        case "global_avg_pool":
            return np.array([_total(layer, 0, list(channel.ravel())) for channel in x], dtype=object).reshape(-1, 1, 1)
    w = _values(layer.weight.format, layer.weight.codes)

    def norm(row: list[int]) -> list[int]:
        size, total = len(row), sum(row)
        variance = size * sum(v * v for v in row) - total * total
        root = max(math.isqrt(variance * 2**16), 1)
        normal = [_round(Fraction((size * v - total) * 2**20, root), "half_up") for v in row]
        return [_total(layer, int(b), [n * v]) for n, v, b in zip(normal, w, layer.bias, strict=True)]

    return _rows(x, norm)


def _conv(layer: Layer, codes: np.ndarray, source: Format) -> np.ndarray:
    w, region = _values(layer.weight.format, layer.weight.codes), layer.region
    filters, per_group = w.shape[:2]
    sensitive = None if region is None else _sensitive(layer, codes)

    def term(f: int, c: int, tap: Index, channel: int, at: Index) -> int:
        code = int(codes[(channel, *at)])
        if sensitive is None or sensitive(channel, *at):
            return _value(source, code) * w[(f, c, *tap)]
        drop, w_drop = source.bits - region.low_bits, layer.weight.format.bits - region.low_bits
        coarse = min(_round(Fraction(code, 2**drop), region.rounding.value), 2**region.low_bits - 1)
        return coarse * int(region.low_weight[(f, c, *tap)]) * 2 ** (drop + w_drop)

    rows = []
    for f in range(filters):
        base = f * layer.geometry.groups // filters * per_group
        out = _positions(codes.shape, layer)
        plane = np.empty(out, dtype=object)
        for y, x in np.ndindex(out):
            products = []
            for tap, at in _taps(codes.shape, layer, y, x):
                products += [0 if at is None else term(f, c, tap, base + c, at) for c in range(per_group)]
            plane[y, x] = _total(layer, int(layer.bias[f]), products)
        rows.append(plane)
    return np.stack(rows)


def _sensitive(layer: Layer, codes: np.ndarray) -> Callable[[int, int, int], bool]:
    region, found = layer.region, {}

    def decide(channel: int, y: int, x: int) -> bool:
        i, j = y // region.height, x // region.width
        key = (channel if region.per_channel else -1, i, j)
        if key not in found:
            part = codes[channel : channel + 1] if region.per_channel else codes
            part = part[:, i * region.height : (i + 1) * region.height, j * region.width : (j + 1) * region.width]
            found[key] = 16 * sum(int(c) for c in part.ravel()) >= region.threshold * part.size
        return found[key]

    return decide


def _positions(shape: Shape, layer: Layer) -> tuple[int, int]:
    """Return the rows and columns of windows that fit into a padded map."""
    g, (top, bottom, left, right) = layer.geometry, layer.geometry.pads
    padded = shape[1] + top + bottom, shape[2] + left + right
    span = [g.dilation[i] * (g.kernel[i] - 1) + 1 for i in (0, 1)]
    return (padded[0] - span[0]) // g.stride[0] + 1, (padded[1] - span[1]) // g.stride[1] + 1


def _taps(shape: Shape, layer: Layer, y: int, x: int) -> Iterator[tuple[Index, Index | None]]:
    """Yield (kernel row, kernel column) and its input pixel, None in the padding."""
    g = layer.geometry
    top, _, left, _ = g.pads
    for ky, kx in product(range(g.kernel[0]), range(g.kernel[1])):
        at = y * g.stride[0] + ky * g.dilation[0] - top, x * g.stride[1] + kx * g.dilation[1] - left
        yield (ky, kx), at if 0 <= at[0] < shape[1] and 0 <= at[1] < shape[2] else None


def _windows(x: np.ndarray, layer: Layer, rule: Callable[[int, list[Any]], int]) -> np.ndarray:
    """Apply a rule to each window of each channel: taps with their value, None in the padding."""
    out = np.empty((len(x), *_positions(x.shape, layer)), dtype=object)
    for c, row, column in np.ndindex(out.shape):
        taps = [(tap, None if at is None else x[(c, *at)]) for tap, at in _taps(x.shape, layer, row, column)]
        out[c, row, column] = rule(c, taps)
    return out


def _rows(x: np.ndarray, rule: Callable[[list[int]], list[int]]) -> np.ndarray:
    """Apply a rule to the last axis."""
    rows = [rule(list(row)) for row in x.reshape(-1, x.shape[-1])]
    return np.array(rows, dtype=object).reshape(*x.shape[:-1], -1)


# Sums, rounding, requantization.


def _total(layer: Layer, bias: int, products: list[int]) -> int:
    """Return bias plus products under the policy of the accumulator."""
    bits = layer.accumulator.bits
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if layer.accumulator.overflow.value == "saturate_step":
        total = min(max(bias, low), high)
        for one in products:
            total = min(max(total + one, low), high)
        return total
    total = bias + sum(products)
    if layer.accumulator.overflow.value == "saturate_end":
        return min(max(total, low), high)
    return _wrapped(total, bits)


def _wrapped(value: int, bits: int) -> int:
    rest = value % 2**bits
    return rest - 2**bits if rest >= 2 ** (bits - 1) else rest


def _round(value: Fraction, rule: str) -> int:
    down = math.floor(value)
    rest = value - down
    match rule:
        case "floor":
            return down
        case "trunc":
            return math.trunc(value)
        case "half_up":
            return down + (rest >= Fraction(1, 2))
        case "half_even":
            return round(value)
        case "half_away":
            return down + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and value > 0))
    raise AssertionError(rule)


def _requantize(layer: Layer, total: int, channel: int) -> int:
    r = layer.requantizer
    if hasattr(r, "levels"):
        levels = r.levels[channel if len(r.levels) > 1 else 0]
        return r.low + sum(total >= int(level) for level in levels)
    multiplier, shift = (int(v.ravel()[channel if v.size > 1 else 0]) for v in (r.multiplier, r.shift))
    match r.rounding.value:
        case "gemmlowp_double":
            left, right = max(31 - shift, 0), max(shift - 31, 0)
            high = _round(Fraction(_wrapped(total * 2**left, 32) * multiplier, 2**31), "half_up")
            scaled = _round(Fraction(high, 2**right), "half_away")
        case "f32_half_even":
            scale = np.array([multiplier], dtype=np.uint32).view(np.float32)[0]
            with np.errstate(over="ignore"):
                result = np.float32(_float32(total)) * scale
            clipped = min(max(float(result), -(2.0**62)), 2.0**62)
            scaled = round(Fraction(clipped))
        case rule:
            scaled = _round(Fraction(total * multiplier, 2**shift), rule)
    return _clip(layer, scaled)


def _float32(value: int) -> float:
    """Return the float32 nearest to an integer, ties to even, by integer arithmetic."""
    surplus = max(abs(value).bit_length() - 24, 0)
    return float(round(Fraction(value, 2**surplus)) * 2**surplus)


def _clip(layer: Layer, scaled: int) -> int:
    r = layer.requantizer
    return min(max(scaled + layer.output.zero_point, r.low), r.high)


def _add(layer: Layer, operands: list[np.ndarray], formats: list[Format]) -> np.ndarray:
    r = layer.requantizer
    m_a, m_b = (int(m) for m in r.multiplier.ravel())
    a, b = (_values(f, codes) for f, codes in zip(formats, operands, strict=True))
    out = np.empty(a.shape, dtype=object)
    for at in np.ndindex(a.shape):
        total = Fraction(a[at] * m_a + b[at] * m_b, 2 ** int(r.shift.ravel()[0]))
        out[at] = _clip(layer, _round(total, r.rounding.value))
    return out


def _concat(layer: Layer, operands: list[np.ndarray], formats: list[Format]) -> np.ndarray:
    r, parts = layer.requantizer, []
    for number, (codes, f) in enumerate(zip(operands, formats, strict=True)):
        m, s = int(r.multiplier.ravel()[number]), int(r.shift.ravel()[number])
        x = _values(f, codes)
        flat = [_clip(layer, _round(Fraction(v * m, 2**s), r.rounding.value)) for v in x.ravel()]
        parts.append(np.array(flat, dtype=object).reshape(x.shape))
    return np.concatenate(parts)


def _softmax(layer: Layer, row: list[int]) -> list[int]:
    rule, output = layer.softmax, layer.output
    top = max(row)
    weights = [int(rule.table[top - code]) if top - code < len(rule.table) else 0 for code in row]
    shares = [_round(Fraction(rule.one * weight, sum(weights)), "half_up") + output.zero_point for weight in weights]
    return [min(max(share, _lowest(output)), _highest(output)) for share in shares]
