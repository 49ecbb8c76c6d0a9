"""Attacks with parameters, as text on the command line."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, get_args, get_origin

from hwsim.errors import BadInput

if TYPE_CHECKING:
    from hwsim.privacy.attack_tools.attack import Attack

_WHERE = "--attacks"
_WORDS = {"true": True, "false": False, "none": None}


def parse_attacks(text: str) -> list[Attack]:
    """Return the attacks of a list such as `loss,lira:mode=offline,variance=pooled,rmia`.

    The first parameter of an attack follows its name and a colon. Every further item with an equals sign is another
    parameter of the same attack; colons and semicolons may stand in place of these commas. A value is a number, true,
    false, none or a word; several words of one parameter are joined by plus signs: `joint:channels=logits+energy_pj`.
    Raises HwsimError with the nearest name for an attack or a parameter that does not exist, BadInput for a value that
    is not allowed, a parameter given twice, and two attacks with one label.

    >>> [attack.label for attack in parse_attacks("lira:mode=offline,variance=pooled,rmia")]
    ['lira_offline_pooled', 'rmia']
    """
    from hwsim import registry

    chosen: list[tuple[str, dict[str, Any]]] = []
    for item in text.replace(";", ",").split(","):
        name, *parameters = (part.strip() for part in item.split(":"))
        if "=" in name:
            if not chosen:
                raise BadInput(_WHERE, name, "the name of an attack before its parameters, as in lira:mode=offline")
            name, parameters = chosen[-1][0], [name, *parameters]
        else:
            registry.find("attack", name, _WHERE)
            chosen.append((name, {}))
        for parameter in parameters:
            _add(chosen[-1][1], name, parameter)
    attacks: list[Attack] = []
    for name, given in chosen:
        fields = registry.find("attack", name).factory.model_fields
        typed = {key: _value(fields[key].annotation if key in fields else None, value) for key, value in given.items()}
        attacks.append(registry.build("attack", name, where=f"{_WHERE} {name}", **typed))
    repeated = [label for label, count in Counter(attack.label for attack in attacks).items() if count > 1]
    if repeated:
        raise BadInput(_WHERE, f"{repeated[0]} twice", "each attack once")
    return attacks


def _add(given: dict[str, Any], name: str, parameter: str) -> None:
    """Add one `key=value` to the parameters of an attack."""
    key, equals, value = (part.strip() for part in parameter.partition("="))
    if not (key and equals and value):
        raise BadInput(f"{_WHERE} {name}", parameter, "parameters as in lira:mode=offline")
    if key in given:
        raise BadInput(f"{_WHERE} {name}", f"{key} twice", "each parameter once")
    given[key] = value


def _value(annotation: Any, text: str) -> Any:
    """Return a value for a field of this type."""
    if _is_tuple(annotation):
        return [_scalar(part) for part in text.split("+")]
    return _scalar(text)


def _is_tuple(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(get_origin(part) is tuple for part in get_args(annotation))


def _scalar(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
