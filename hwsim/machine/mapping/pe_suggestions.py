"""Which PE to name when one is refused: a search over the registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hwsim.registry import build, family

if TYPE_CHECKING:
    from hwsim.machine.pe.base import PE


def suggest_pe(pe: PE, able: Callable[[PE], bool], a_bits: int, w_bits: int) -> PE | None:
    """The PE for which `able` holds that is nearest to `pe`; None where there is none.

    First the same family with other parameters, the smallest change first. Then, of every other
    family, its default or the nearest of its variants; of these the one with the least `area_time` at
    these widths.

    >>> from hwsim.machine.pe.fixed import Fixed
    >>> nearest(Fixed(max_bits=4), lambda pe: pe.multiplies(8, 3), 8, 3)
    Fixed(name='fixed', max_bits=8, skip_zeros=False)
    """
    own = next(filter(able, pe.variants()), None)
    if own is not None:
        return own
    others = [next(filter(able, _default_first(name)), None) for name in family("pe") if name != pe.name]
    found = [other for other in others if other is not None]
    return min(found, key=lambda other: other.area_time(a_bits, w_bits), default=None)


def _default_first(name: str) -> Iterator[PE]:
    default: PE = build("pe", name)
    yield default
    yield from default.variants()


def as_toml(pe: PE, instead_of: PE) -> str:
    """How `pe` is chosen in a TOML file: its name, and what is not as by default or as in the other one.

    >>> from hwsim.machine.pe.fixed import Fixed
    >>> written(Fixed(max_bits=8), Fixed(max_bits=4))
    'pe = {name = "fixed", max_bits = 8}'
    """
    every = pe.model_dump(mode="json")
    changed = pe.model_dump(mode="json", exclude_defaults=True)
    if pe.name == instead_of.name:
        changed |= dict(every.items() - instead_of.model_dump(mode="json").items())
    fields = {key: value for key, value in every.items() if key == "name" or key in changed}
    return f"pe = {{{', '.join(f'{key} = {json.dumps(value)}' for key, value in fields.items())}}}"
