"""An explanation as text, in the order of the arithmetic: operands, accumulator, requantizer, code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from hwsim.debug.explanation import Accumulated, Explanation, Levels, Norm, Operand, Product, Scaling, Stage
from hwsim.debug.rounding import TOOLS, float_scale
from hwsim.debug.tables import Cell, index, table
from hwsim.network.layer import NORM_BITS, Op, Overflow, Rounding

SHOWN = 16
"""How many operands or products a shortened list has, half from either end; lists of twice that are not shortened."""

BITS_SHOWN = 64
DIGITS = 12
Row = TypeVar("Row")


def explanation_text(explanation: Explanation, everything: bool = False) -> str:
    """All that there is to say about one element, for a person; `everything` shortens no list."""
    limit = None if everything else SHOWN
    e = explanation
    parts = [
        f"layer {e.layer} ({e.op}), sample {e.sample}, output {index(e.at)} of shape {index(e.shape)}: "
        f"code {e.code:,} ({e.output})"
    ]
    if e.operands:
        parts.append(_operands(e.operands, e.op, limit))
    if e.norm is not None:
        parts.append(_norm(e.norm))
    if e.products:
        parts.append(_products(e, limit))
    if e.accumulated is not None:
        parts.append(_accumulator(e.accumulated))
    if e.levels is not None and e.accumulated is not None:
        parts.append(_levels(e.levels, e.accumulated.held))
    if e.scaling is not None:
        parts += [_scaling(e.scaling), _outcomes(e.scaling)]
    return "\n\n".join(parts)


def fraction(rest: int, divisor: int) -> str:
    """A fraction of one unit in decimal digits; `...` says that more would follow.

    >>> fraction(1, 2), fraction(1, 3), fraction(0, 8)
    ('0.5', '0.333333333333...', '0.0')
    """
    digits, more = divmod(rest * 10**DIGITS, divisor)
    shown = f"{digits:0{DIGITS}d}"
    return f"0.{shown}..." if more else f"0.{shown.rstrip('0') or '0'}"


def bits(rest: int, divisor: int) -> str:
    """The bits below the point of rest / divisor, where the divisor is a power of two.

    >>> bits(3, 16), bits(0, 1)
    ('0011', 'none')
    """
    count = divisor.bit_length() - 1
    text = f"{rest:0{count}b}" if count else "none"
    return text if len(text) <= BITS_SHOWN else f"{text[:BITS_SHOWN]}... ({count} bits)"


def _shortened(rows: Sequence[Row], limit: int | None) -> tuple[Sequence[Row], Sequence[Row], int]:
    """Rows from the start, rows from the end, and how many were left out between them."""
    if limit is None or len(rows) <= 2 * limit:
        return rows, (), 0
    return rows[: limit - limit // 2], rows[-(limit // 2) :], len(rows) - limit


def _cut(header: Sequence[str], rows: Sequence[Sequence[Cell]], limit: int | None) -> str:
    """A table with its middle left out."""
    first, last, missing = _shortened(rows, limit)
    lines = table(header, [*first, *last]).splitlines()
    if missing:
        lines.insert(1 + len(first), f"  ... {missing:,} more, which --all shows ...")
    return "\n".join(lines)


def _place(operand: Operand) -> str:
    return "padding" if operand.at is None else f"{operand.source}[{index(operand.at)}]"


def _operands(operands: Sequence[Operand], op: Op, limit: int | None) -> str:
    heading = {Op.MAX_POOL: "the largest of", Op.LAYER_NORM: "row", Op.CONCAT: "operand"}.get(
        op, "the code, unchanged, of"
    )
    rows: list[list[Cell]] = [[i, _place(x), x.code, x.value] for i, x in enumerate(operands)]
    return f"{heading}\n{_cut(['#', 'operand', 'code', 'value'], rows, limit)}"


def _norm(norm: Norm) -> str:
    rows = [
        ("values, their sum, their squares", f"{norm.size:,}, {norm.total:,}, {norm.squares:,}"),
        ("size * value - sum", f"{norm.centred:,}"),
        ("size * squares - sum^2", f"{norm.variance:,}"),
        ("integer root, 8 more bits", f"{norm.root:,}"),
        (f"quotient, {NORM_BITS} fraction bits", f"{norm.normal:,}"),
    ]
    return _section("normalization", rows)


def _products(e: Explanation, limit: int | None) -> str:
    """Products with the running sum; the columns are those that the layer has."""
    factors = e.products[0].factor is not None
    notes = any(_note(p) for p in e.products)
    header = ["#", "operand", "code", "value", *(["factor", "code", "value"] if factors else []), _verb(e.op), "sum"]
    rows = [
        [i, _place(p.operand), p.operand.code, p.operand.value, *_factor(p, factors), p.product, p.total]
        + ([_note(p)] if notes else [])
        for i, p in enumerate(e.products)
    ]
    bias = e.accumulated.bias if e.accumulated is not None else 0
    heading = "products" if factors else "values"
    start = f", the sum starts at the bias {bias:,}" if bias else ""
    return f"{heading}{start}\n{_cut([*header, 'note'] if notes else header, rows, limit)}"


def _verb(op: Op) -> str:
    return {Op.SOFTMAX: "weight", Op.AVG_POOL: "added", Op.GLOBAL_AVG_POOL: "added"}.get(op, "product")


def _factor(product: Product, wanted: bool) -> list[Cell]:
    if not wanted or product.factor is None:
        return []
    return [_place(product.factor), product.factor.code, product.factor.value]


def _note(product: Product) -> str:
    shift = f", << {product.shift}" if product.shift else ""
    note = "" if product.operand.at is None else product.operand.note
    return f"{note}{shift}".removeprefix(", ")


def _section(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join([heading, *(f"  {name:<{width}}  {text}" for name, text in rows)])


def _accumulator(a: Accumulated) -> str:
    high = (1 << (a.bits - 1)) - 1
    rows = [("bias", f"{a.bias:,}")] if a.bias else []
    rows += [("exact sum", f"{a.exact:,}"), ("held", f"{a.held:,}   {_held(a)}")]
    if a.proved:
        headroom = f"{high:,} - {a.bound:,} = {high - a.bound:,}"
        proof = f"no input can overflow it; headroom {headroom}; {a.bits_needed} bits would do"
    else:
        proof = f"more than {high:,}: some input may overflow it; {a.bits_needed} bits would be safe"
    return _section("accumulator", [*rows, ("proved bound", f"{a.bound:,}   {proof}")])


def _held(a: Accumulated) -> str:
    kind = f"{a.bits} bits, {a.overflow}"
    if a.overflow is Overflow.SATURATE_STEP and a.saturated:
        return f"{kind}: saturated at {a.saturated:,} step" + ("s" if a.saturated > 1 else "")
    if not a.overflowed:
        return f"{kind}: it fits"
    return f"{kind}: OVERFLOW, " + ("saturated" if a.overflow is Overflow.SATURATE_END else "wrapped around")


def _levels(levels: Levels, held: int) -> str:
    """The levels around the sum."""
    near = range(max(levels.reached - 3, 0), min(levels.reached + 3, len(levels.levels)))
    rows: list[list[Cell]] = [
        [i + 1, levels.levels[i], held - levels.levels[i], "reached" if i < levels.reached else "not reached"]
        for i in near
    ]
    found = f"reached {levels.reached:,} of {len(levels.levels):,}; code = {levels.low:,} + {levels.reached:,}"
    return f"thresholds: {found}\n{table(['level', 'threshold', 'sum less it', ''], rows)}"


def _scaling(s: Scaling) -> str:
    return _section("requantizer", list(_scaling_rows(s)))


def _scaling_rows(s: Scaling) -> Iterator[tuple[str, str]]:
    if s.rounding is Rounding.F32_HALF_EVEN and s.multiplier is not None:
        yield "multiplier", f"{float_scale(s.multiplier)!s}, a float32 of bits {s.multiplier:#010x}"
    elif s.multiplier is not None:
        yield "multiplier, shift", f"{s.multiplier:,}, {s.shift}"
    power = s.exact.divisor & (s.exact.divisor - 1) == 0
    yield "exact value", f"{s.exact.value:,} / " + (_power(s.exact.divisor) if power else f"{s.exact.divisor:,}")
    yield "whole part", f"{s.exact.kept:,}"
    if power:
        yield "bits shifted out", bits(s.exact.rest, s.exact.divisor)
    yield "fraction of a unit", f"{fraction(s.exact.rest, s.exact.divisor)}   {_middle(s.exact)}"
    if s.stages != (s.exact,):
        yield from _stage_rows(s)
    yield f"rounded, {s.rounding}", f"{s.rounded:,}   {_way(s)}"
    yield (
        "plus zero point",
        f"{s.rounded:,} {'-' if s.zero_point < 0 else '+'} {abs(s.zero_point):,} = {s.rounded + s.zero_point:,}",
    )
    clip = f"clipped to {s.code:,}" if s.clipped else "not clipped"
    yield "clip", f"{s.low:,} to {s.high:,}: {clip}"


def _stage_rows(s: Scaling) -> Iterator[tuple[str, str]]:
    """What a rule that is not one step really does."""
    if s.rounding is Rounding.F32_HALF_EVEN:
        (stage,) = s.stages
        yield "float32 product", f"{stage.kept:,} + {fraction(stage.rest, stage.divisor)}   {_middle(stage)}"
        return
    if s.shift is not None and s.shift < 31 and s.stages[0].value != s.exact.value << (31 - s.shift):
        yield "shifted left", f"by {31 - s.shift} bits first: WRAPPED around in 32 bits"
    for number, stage in enumerate(s.stages, 1):
        value = f"{stage.value:,} / {_power(stage.divisor)} = {stage.kept:,} + {fraction(stage.rest, stage.divisor)}"
        yield f"step {number}, {stage.rule}", f"{value} -> {stage.result:,}   {_middle(stage)}"


def _power(divisor: int) -> str:
    return f"2^{divisor.bit_length() - 1}"


def _middle(stage: Stage) -> str:
    """Tie or not, and how far from one."""
    if stage.rest == 0:
        return "nothing to round"
    if stage.tie:
        return "a TIE"
    side = "above" if 2 * stage.rest > stage.divisor else "below"
    near = abs(2 * stage.rest - stage.divisor) << 20 < stage.divisor
    return f"{'a NEAR TIE' if near else 'no tie'}, {side} the middle"


def _way(s: Scaling) -> str:
    exact = s.exact.rest == 0 and s.rounded == s.exact.kept
    return "exact" if exact else "rounded up" if s.rounded > s.exact.kept else "rounded down"


def _outcomes(s: Scaling) -> str:
    """What each rule would have made of the same value."""
    rows: list[list[Cell]] = [
        ["*" if o.rule is s.rounding else "", str(o.rule), o.rounded, o.code, o.code - s.code, TOOLS[o.rule]]
        for o in s.outcomes
    ]
    others = ", ".join(s.dissenting)
    verdict = f"another code by {others}" if others else "the same code by every rule"
    return (
        f"rounding rules (* this network's): {verdict}\n{table(['', 'rule', 'rounded', 'code', 'off', 'tools'], rows)}"
    )
