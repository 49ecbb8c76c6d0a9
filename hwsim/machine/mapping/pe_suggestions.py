"""Suggestion of another PE when one does not support the operands: a search over the registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from hwsim.errors import Infeasible
from hwsim.formats import Format, Kind
from hwsim.machine.pe.base import MAX_OPERAND_BITS, PE
from hwsim.registry import build, family


def require_widths(pe: PE, a_bits: int, w_bits: int) -> None:
    """Raise Infeasible, with a PE that supports these operand widths, unless `pe` supports them.

    >>> from hwsim.machine.pe.fixed import Fixed
    >>> require_widths(Fixed(), 8, 8)
    """
    try:
        pe.require(a_bits, w_bits)
    except Infeasible as error:
        found = suggest_pe(pe, lambda other: other.supports_widths(a_bits, w_bits), a_bits, w_bits)
        advice = f"{as_toml(found, pe)} can" if found else f"no PE can: they multiply 1 to {MAX_OPERAND_BITS} bits"
        raise Infeasible(f"{error}; {advice}") from None


def require_formats(pe: PE, a_format: Format, w_format: Format) -> None:
    """Raise Infeasible, with a PE that supports these formats, unless `pe` multiplies codes of these formats."""
    if pe.supports(a_format, w_format):
        return
    if Kind.CODEBOOK not in (a_format.kind, w_format.kind):
        require_widths(pe, a_format.bits, w_format.bits)
    found = suggest_pe(pe, lambda other: other.supports(a_format, w_format), a_format.bits, w_format.bits)
    advice = [f"{as_toml(found, pe)} can"] if found else []
    if w_format.kind is Kind.CODEBOOK:
        advice.append("or store the decoded weights as plain codes" if found else "store the decoded weights")
    operands = f"activations of {a_format} by weights of {w_format}"
    raise Infeasible(f"PE {pe.name!r} does not multiply {operands}; {', '.join(advice) or 'no PE does'}")


def suggest_pe(pe: PE, supports: Callable[[PE], bool], a_bits: int, w_bits: int) -> PE | None:
    """Return the PE for which `supports` is true that is nearest to `pe`; None where there is none.

    First come the variants of `pe` itself, smallest change first. Then, of each other registered PE, its
    default or the nearest of its variants; among these the one with the smallest `area_delay` at these
    widths.

    >>> from hwsim.machine.pe.fixed import Fixed
    >>> suggest_pe(Fixed(max_bits=4), lambda pe: pe.supports_widths(8, 3), 8, 3)
    Fixed(name='fixed', max_bits=8, skip_zeros=False)
    """
    own = next(filter(supports, pe.variants()), None)
    if own is not None:
        return own
    others = [next(filter(supports, _default_and_variants(name)), None) for name in family("pe") if name != pe.name]
    found = [other for other in others if other is not None]
    return min(found, key=lambda other: other.area_delay(a_bits, w_bits), default=None)


def _default_and_variants(name: str) -> Iterator[PE]:
    default: PE = build("pe", name)
    yield default
    yield from default.variants()


def as_toml(pe: PE, instead_of: PE) -> str:
    """Return the TOML line that chooses `pe`: its name, and the parameters that differ from its defaults.

    Parameters that differ from `instead_of`, a PE of the same name, are written too.

    >>> from hwsim.machine.pe.fixed import Fixed
    >>> as_toml(Fixed(max_bits=8), Fixed(max_bits=4))
    'pe = {name = "fixed", max_bits = 8}'
    """
    every = pe.model_dump(mode="json")
    changed = pe.model_dump(mode="json", exclude_defaults=True)
    if pe.name == instead_of.name:
        changed |= dict(every.items() - instead_of.model_dump(mode="json").items())
    fields = {key: value for key, value in every.items() if key == "name" or key in changed}
    return f"pe = {{{', '.join(f'{key} = {json.dumps(value)}' for key, value in fields.items())}}}"
