"""The one registry: everything that a user can choose by name.

A member of a family is a frozen pydantic class whose fields are its parameters. Its record holds
what `hwsim list`, `hwsim show`, the docs tables and the contract tests need, so nothing that can
be chosen can be without help, citation and test.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from hwsim.errors import BadInput, HwsimError, UnknownName

FAMILIES: Mapping[str, str] = {
    "dataset": "hwsim.datasets",
    "model": "hwsim.training.models",
    "quantizer": "hwsim.quantizers",
    "pe": "hwsim.machine.pe",
    "dataflow": "hwsim.machine.dataflow",
    "accelerator": "hwsim.machine.description.toml_file",
    "technology": "hwsim.machine.technology.technology",
    "channel": "hwsim.privacy.observation.channels",
    "attack": "hwsim.privacy.attacks",
}
"""Family name -> the package or module that contains its members; imported when the family is first used."""


class Configurable(BaseModel):
    """Base of everything in the registry: frozen parameters, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Record:
    """One entry: how it is called, what it is, whom to cite, and how to make one.

    `defaults` are the field values that set this entry apart from others of the same class (an
    accelerator is one class and many files of numbers).
    """

    family: str
    name: str
    help: str
    citation: str
    factory: type[BaseModel]
    defaults: Mapping[str, Any]

    @property
    def headline(self) -> str:
        """The first sentence of the help."""
        return self.help.strip().splitlines()[0]


_records: dict[tuple[str, str], Record] = {}
_loaded: set[str] = set()

T = TypeVar("T", bound=type[BaseModel])


def register(family: str, name: str, *, citation: str) -> Callable[[T], T]:
    """Class decorator: enter a parameter class under `family` and `name`; its docstring is the help."""

    def enter(cls: T) -> T:
        add(Record(family, name, (cls.__doc__ or "").strip(), citation, cls, {}))
        return cls

    return enter


def add(record: Record) -> None:
    """Enter a record; raises HwsimError when it lacks help or citation or its name is taken."""
    place = f"{record.family} {record.name!r}"
    if record.family not in FAMILIES:
        raise UnknownName("registry family", record.family, FAMILIES)
    if not record.help.strip() or not record.citation.strip():
        raise HwsimError(f"{place}: a registry entry needs a help text and a citation")
    old = _records.get((record.family, record.name))
    if old is not None and old.factory.__qualname__ != record.factory.__qualname__:
        raise HwsimError(f"{place}: two entries want this name")
    _records[record.family, record.name] = record


def family(name: str) -> dict[str, Record]:
    """All records of one family, by name, plugins of the entry-point group `hwsim.plugins` included.

    >>> sorted(family("pe"))[:2]
    ['bit_serial', 'drq']
    """
    if name not in FAMILIES:
        raise UnknownName("registry family", name, FAMILIES)
    if name not in _loaded:
        _import_whole(FAMILIES[name])
        for plugin in entry_points(group="hwsim.plugins"):
            plugin.load()
        _loaded.add(name)
    return {n: r for (f, n), r in sorted(_records.items()) if f == name}


def _import_whole(name: str) -> None:
    """Import a module or, of a package, every module in it, so that a new file needs no list."""
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        importlib.import_module(found.name)


def find(family_name: str, name: str, where: str | None = None) -> Record:
    """The record called `name`; raises UnknownName with the nearest valid word."""
    records = family(family_name)
    if name not in records:
        raise UnknownName(where or f"{family_name}.name", name, records)
    return records[name]


def build(family_name: str, name: str, /, where: str | None = None, **parameters: Any) -> Any:
    """Make the chosen thing from its record and the given parameters.

    >>> build("quantizer", "minmax", w_bits=4).w_bits
    4
    """
    record = find(family_name, name, f"{where or family_name}.name")
    return validate(record.factory, merge(record.defaults, parameters), where or family_name)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on top, table by table; a table that names another choice replaces the old one.

    >>> merge({"pe": {"name": "drq", "bits": 4}, "rows": 8}, {"pe": {"name": "fixed"}})
    {'pe': {'name': 'fixed'}, 'rows': 8}
    """
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        if both and "name" in value and value["name"] != old.get("name"):  # type: ignore[union-attr]
            both = False
        out[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return out


M = TypeVar("M", bound=BaseModel)


def validate(cls: type[M], values: Mapping[str, Any], where: str) -> M:
    """Make a `cls`, turning the first validation error into one line that a user understands."""
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        raise _readable(cls, error.errors()[0], where) from None


def _readable(cls: type[BaseModel], detail: ErrorDetails, where: str) -> HwsimError:
    location = [str(p) for p in detail["loc"]]
    path = ".".join([where, *location])
    if detail["type"] == "extra_forbidden":
        return UnknownName(path, location[-1], _fields_at(cls, location[:-1]))
    if detail["type"] == "missing":
        return BadInput(path, "nothing", "a value is required here")
    if detail["type"] == "too_short":
        return BadInput(path, detail["input"], f"{detail['ctx']['min_length']} or more entries")
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, HwsimError):
        return cause
    allowed = _range_at(cls, location) if detail["type"] in _RANGES else None
    message = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return BadInput(path, detail["input"], allowed or message)


_RANGES = ("greater_than_equal", "less_than_equal")


def _range_at(cls: type[BaseModel], path: list[str]) -> str | None:
    """The limits of a field as "1 to 8", where it has both."""
    here = _class_at(cls, path[:-1])
    limits = here.model_fields[path[-1]].metadata if here and path[-1] in here.model_fields else []
    low = next((limit.ge for limit in limits if hasattr(limit, "ge")), None)
    high = next((limit.le for limit in limits if hasattr(limit, "le")), None)
    return f"{low} to {high}" if low is not None and high is not None else None


def _fields_at(cls: type[BaseModel], path: list[str]) -> list[str]:
    here = _class_at(cls, path)
    return list(here.model_fields) if here else []


def _class_at(cls: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    here: Any = cls
    for part in path:
        field = here.model_fields.get(part) if isinstance(here, type) and issubclass(here, BaseModel) else None
        here = field.annotation if field else None
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None
