"""Text form of an explanation, in the order of the arithmetic: operands, accumulator, requantizer, code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from hwsim.debug.explanation import (
    AccumulatedSum,
    Explanation,
    Normalization,
    Operand,
    PartialProduct,
    Requantization,
    RoundingStep,
    ThresholdResult,
)
from hwsim.debug.rounding import TOOLS, float32_scale
from hwsim.debug.tables import Cell, format_index, format_table
from hwsim.network.layer import NORM_BITS, Op, Overflow, Rounding

MAX_ROWS = 16
"""Rows of a shortened list, half from either end; lists of up to twice as many rows are shown whole."""

MAX_BITS = 64
"""Bits of a shifted-out remainder that are shown."""

DIGITS = 12
"""Decimal digits of a fraction that are shown."""

NEAR_TIE_BITS = 20
"""A near tie lies less than 2^-(NEAR_TIE_BITS + 1) from the middle between two integers."""

Row = TypeVar("Row")


def explanation_text(explanation: Explanation, everything: bool = False) -> str:
    """Return an explanation as text; `everything` keeps long lists whole."""
    limit = None if everything else MAX_ROWS
    e = explanation
    parts = [
        f"layer {e.layer} ({e.op}), sample {e.sample}, output {format_index(e.at)} of shape {format_index(e.shape)}: "
        f"code {e.code:,} ({e.output})"
    ]
    if e.operands:
        parts.append(_operands(e.operands, e.op, limit))
    if e.normalization is not None:
        parts.append(_normalization(e.normalization))
    if e.products:
        parts.append(_products(e, limit))
    if e.accumulated is not None:
        parts.append(_accumulator(e.accumulated))
    if e.thresholds is not None and e.accumulated is not None:
        parts.append(_thresholds(e.thresholds, e.accumulated.stored))
    if e.requantization is not None:
        parts += [_requantization(e.requantization), _rounding_outcomes(e.requantization)]
    return "\n\n".join(parts)


def fraction(remainder: int, divisor: int) -> str:
    """Return `remainder / divisor` in decimal digits; `...` marks digits that are left out.

    >>> fraction(1, 2), fraction(1, 3), fraction(0, 8)
    ('0.5', '0.333333333333...', '0.0')
    """
    digits, more = divmod(remainder * 10**DIGITS, divisor)
    shown = f"{digits:0{DIGITS}d}"
    return f"0.{shown}..." if more else f"0.{shown.rstrip('0') or '0'}"


def bits(remainder: int, divisor: int) -> str:
    """Return the bits below the binary point of `remainder / divisor`, for a divisor that is a power of two.

    >>> bits(3, 16), bits(0, 1)
    ('0011', 'none')
    """
    count = divisor.bit_length() - 1
    text = f"{remainder:0{count}b}" if count else "none"
    return text if len(text) <= MAX_BITS else f"{text[:MAX_BITS]}... ({count} bits)"


def _shortened(rows: Sequence[Row], limit: int | None) -> tuple[Sequence[Row], Sequence[Row], int]:
    """Return the first rows, the last rows, and the number of rows left out between them."""
    if limit is None or len(rows) <= 2 * limit:
        return rows, (), 0
    return rows[: limit - limit // 2], rows[-(limit // 2) :], len(rows) - limit


def _shortened_table(header: Sequence[str], rows: Sequence[Sequence[Cell]], limit: int | None) -> str:
    """Return a table without its middle rows."""
    first, last, missing = _shortened(rows, limit)
    lines = format_table(header, [*first, *last]).splitlines()
    if missing:
        lines.insert(1 + len(first), f"  ... {missing:,} more, which --all shows ...")
    return "\n".join(lines)


def _position(operand: Operand) -> str:
    return "padding" if operand.at is None else f"{operand.source}[{format_index(operand.at)}]"


def _operands(operands: Sequence[Operand], op: Op, limit: int | None) -> str:
    heading = {Op.MAX_POOL: "the largest of", Op.LAYER_NORM: "row", Op.CONCAT: "operand"}.get(
        op, "the code, unchanged, of"
    )
    rows: list[list[Cell]] = [[i, _position(x), x.code, x.value] for i, x in enumerate(operands)]
    return f"{heading}\n{_shortened_table(['#', 'operand', 'code', 'value'], rows, limit)}"


def _normalization(n: Normalization) -> str:
    rows = [
        ("values, their sum, their squares", f"{n.size:,}, {n.total:,}, {n.squares:,}"),
        ("size * value - sum", f"{n.centered:,}"),
        ("size * squares - sum^2", f"{n.variance:,}"),
        ("integer root, 8 more bits", f"{n.root:,}"),
        (f"quotient, {NORM_BITS} fraction bits", f"{n.normal:,}"),
    ]
    return _section("normalization", rows)


def _products(e: Explanation, limit: int | None) -> str:
    """Return the table of products with the running sum; columns that the layer lacks are left out."""
    factors = e.products[0].factor is not None
    notes = any(_note(p) for p in e.products)
    header = ["#", "operand", "code", "value", *(["factor", "code", "value"] if factors else []), _verb(e.op), "sum"]
    rows = [
        [i, _position(p.operand), p.operand.code, p.operand.value, *_factor(p, factors), p.product, p.total]
        + ([_note(p)] if notes else [])
        for i, p in enumerate(e.products)
    ]
    bias = e.accumulated.bias if e.accumulated is not None else 0
    heading = "products" if factors else "values"
    start = f", the sum starts at the bias {bias:,}" if bias else ""
    return f"{heading}{start}\n{_shortened_table([*header, 'note'] if notes else header, rows, limit)}"


def _verb(op: Op) -> str:
    return {Op.SOFTMAX: "weight", Op.AVG_POOL: "added", Op.GLOBAL_AVG_POOL: "added"}.get(op, "product")


def _factor(product: PartialProduct, wanted: bool) -> list[Cell]:
    if not wanted or product.factor is None:
        return []
    return [_position(product.factor), product.factor.code, product.factor.value]


def _note(product: PartialProduct) -> str:
    shift = f", << {product.shift}" if product.shift else ""
    note = "" if product.operand.at is None else product.operand.note
    return f"{note}{shift}".removeprefix(", ")


def _section(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join([heading, *(f"  {name:<{width}}  {text}" for name, text in rows)])


def _accumulator(a: AccumulatedSum) -> str:
    high = (1 << (a.bits - 1)) - 1
    rows = [("bias", f"{a.bias:,}")] if a.bias else []
    rows += [("exact sum", f"{a.exact:,}"), ("accumulator", f"{a.stored:,}   {_overflow(a)}")]
    if a.proved:
        headroom = f"{high:,} - {a.bound:,} = {high - a.bound:,}"
        proof = f"no input can overflow it; headroom {headroom}; {a.bits_needed} bits suffice"
    else:
        proof = f"more than {high:,}: an input may overflow it; {a.bits_needed} bits are safe"
    return _section("accumulator", [*rows, ("proved bound", f"{a.bound:,}   {proof}")])


def _overflow(a: AccumulatedSum) -> str:
    kind = f"{a.bits} bits, {a.overflow}"
    if a.overflow is Overflow.SATURATE_STEP and a.saturated:
        return f"{kind}: saturated at {a.saturated:,} step" + ("s" if a.saturated > 1 else "")
    if not a.overflowed:
        return f"{kind}: no overflow"
    return f"{kind}: OVERFLOW, " + ("saturated" if a.overflow is Overflow.SATURATE_END else "wrapped around")


def _thresholds(found: ThresholdResult, stored: int) -> str:
    """Return the levels next to the sum."""
    near = range(max(found.reached - 3, 0), min(found.reached + 3, len(found.levels)))
    rows: list[list[Cell]] = [
        [i + 1, found.levels[i], stored - found.levels[i], "reached" if i < found.reached else "not reached"]
        for i in near
    ]
    heading = f"reached {found.reached:,} of {len(found.levels):,}; code = {found.low:,} + {found.reached:,}"
    return f"thresholds: {heading}\n{format_table(['level', 'threshold', 'sum - threshold', ''], rows)}"


def _requantization(r: Requantization) -> str:
    return _section("requantizer", list(_requantization_rows(r)))


def _requantization_rows(r: Requantization) -> Iterator[tuple[str, str]]:
    if r.rounding is Rounding.F32_HALF_EVEN and r.multiplier is not None:
        yield "multiplier", f"{float32_scale(r.multiplier)!s}, a float32 with the bits {r.multiplier:#010x}"
    elif r.multiplier is not None:
        yield "multiplier, shift", f"{r.multiplier:,}, {r.shift}"
    power = r.exact.divisor & (r.exact.divisor - 1) == 0
    yield "exact value", f"{r.exact.value:,} / " + (_power(r.exact.divisor) if power else f"{r.exact.divisor:,}")
    yield "whole part", f"{r.exact.quotient:,}"
    if power:
        yield "bits shifted out", bits(r.exact.remainder, r.exact.divisor)
    yield "fraction of a unit", f"{fraction(r.exact.remainder, r.exact.divisor)}   {_distance_to_tie(r.exact)}"
    if r.steps != (r.exact,):
        yield from _step_rows(r)
    yield f"rounded, {r.rounding}", f"{r.rounded:,}   {_direction(r)}"
    yield (
        "plus zero point",
        f"{r.rounded:,} {'-' if r.zero_point < 0 else '+'} {abs(r.zero_point):,} = {r.rounded + r.zero_point:,}",
    )
    clip = f"clipped to {r.code:,}" if r.clipped else "not clipped"
    yield "clip", f"{r.low:,} to {r.high:,}: {clip}"


def _step_rows(r: Requantization) -> Iterator[tuple[str, str]]:
    """Yield the rounding steps of a rule that is not one exact step."""
    if r.rounding is Rounding.F32_HALF_EVEN:
        (step,) = r.steps
        product = f"{step.quotient:,} + {fraction(step.remainder, step.divisor)}"
        yield "float32 product", f"{product}   {_distance_to_tie(step)}"
        return
    if r.shift is not None and r.shift < 31 and r.steps[0].value != r.exact.value << (31 - r.shift):
        yield "shifted left", f"by {31 - r.shift} bits first: WRAPPED around in 32 bits"
    for number, step in enumerate(r.steps, 1):
        exact = f"{step.quotient:,} + {fraction(step.remainder, step.divisor)}"
        value = f"{step.value:,} / {_power(step.divisor)} = {exact}"
        yield f"step {number}, {step.rule}", f"{value} -> {step.result:,}   {_distance_to_tie(step)}"


def _power(divisor: int) -> str:
    return f"2^{divisor.bit_length() - 1}"


def _distance_to_tie(step: RoundingStep) -> str:
    if step.remainder == 0:
        return "nothing to round"
    if step.tie:
        return "a TIE"
    side = "above" if 2 * step.remainder > step.divisor else "below"
    near = abs(2 * step.remainder - step.divisor) << NEAR_TIE_BITS < step.divisor
    return f"{'a NEAR TIE' if near else 'no tie'}, {side} the middle"


def _direction(r: Requantization) -> str:
    if r.exact.remainder == 0 and r.rounded == r.exact.quotient:
        return "exact"
    return "rounded up" if r.rounded > r.exact.quotient else "rounded down"


def _rounding_outcomes(r: Requantization) -> str:
    """Return the table of the codes that each rounding rule gives."""
    rows: list[list[Cell]] = [
        ["*" if o.rule is r.rounding else "", str(o.rule), o.rounded, o.code, o.code - r.code, TOOLS[o.rule]]
        for o in r.outcomes
    ]
    others = ", ".join(r.disagreeing_rules)
    verdict = f"another code by {others}" if others else "the same code by every rule"
    table = format_table(["", "rule", "rounded", "code", "difference", "tools"], rows)
    return f"rounding rules (* this network's): {verdict}\n{table}"
