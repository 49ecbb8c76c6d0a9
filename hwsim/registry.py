"""Registry of all objects that can be chosen by name, in families.

A member of a family is a frozen pydantic class, and its fields are its parameters. Its record contains the help,
the parameters and the citation for `hwsim list`, `hwsim show`, the tables in the documentation and the contract tests.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from hwsim.checksums import PLUGINS
from hwsim.errors import BadInput, HwsimError, UnknownName, UnknownSetting, suggestion

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
"""Family name -> package or module with its members, imported on first use of the family."""


class Configurable(BaseModel):
    """Base class of registry members: its fields are the parameters of a choice, frozen and validated.

    Unknown parameters raise an error. A subclass declares each parameter with `pydantic.Field`: default, limits and
    description.

    >>> class Scaled(Configurable):
    ...     factor: int = 2
    >>> Scaled(factor=3)
    Scaled(factor=3)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def checksums(self) -> Mapping[str, str]:
        """Return the checksums of what an instance reads besides its parameters and its code, such as a file, by name.

        They are part of the key of a result.
        """
        return {}

    def uses(self) -> Sequence[Configurable]:
        """Return the members that an instance chooses by name in its parameters."""
        return ()


@dataclass(frozen=True)
class Record:
    """One entry of the registry.

    Attributes
    ----------
    family : name of the family
    name : name of the member, unique in its family
    help : description, from the docstring; its first line is the headline
    citation : publication to cite
    factory : class whose fields are the parameters
    defaults : parameter values that differ from those of the class (all accelerators share one class)
    sources : where a number is from, by its dotted path in `defaults`
    """

    family: str
    name: str
    help: str
    citation: str
    factory: type[BaseModel]
    defaults: Mapping[str, Any]
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """First line of the help."""
        return self.help.strip().splitlines()[0]


_records: dict[tuple[str, str], Record] = {}
_packages: dict[str, str] = dict(FAMILIES)
_loaded: set[str] = set()
_broken_plugins: dict[str, str] = {}
"""Error of each plugin that could not be imported."""

T = TypeVar("T", bound=type[BaseModel])


def register(family: str, name: str, *, citation: str) -> Callable[[T], T]:
    """Class decorator: enter a parameter class under `family` and `name`; its docstring is the help."""

    def enter(cls: T) -> T:
        add(Record(family, name, (cls.__doc__ or "").strip(), citation, cls, {}))
        return cls

    return enter


def add(record: Record) -> None:
    """Enter a record; raises HwsimError for an entry without help or citation, and for a name that is taken."""
    place = f"{record.family} {record.name!r}"
    if record.family not in FAMILIES:
        raise UnknownName("registry family", record.family, FAMILIES)
    if not record.help.strip() or not record.citation.strip():
        raise HwsimError(f"{place}: a registry entry needs a help text and a citation")
    old = _records.get((record.family, record.name))
    if old is not None and old.factory.__qualname__ != record.factory.__qualname__:
        raise HwsimError(f"{place}: two entries have this name")
    _records[record.family, record.name] = record


def family(name: str) -> dict[str, Record]:
    """Return all records of one family by name, plugins included.

    All modules of the family's package are imported, so that a new file needs no list. Raises HwsimError for a module
    that cannot be imported, and warns of a plugin that cannot.

    >>> sorted(family("pe"))[:2]
    ['bit_serial', 'drq']
    """
    if name not in FAMILIES:
        raise UnknownName("registry family", name, FAMILIES)
    if name not in _loaded:
        _import_all(_packages[name])
        for plugin in entry_points(group=PLUGINS):
            _load_plugin(plugin)
        _loaded.add(name)
    return {n: r for (f, n), r in sorted(_records.items()) if f == name}


@contextmanager
def only(records: Iterable[Record], packages: Mapping[str, str] | None = None) -> Iterator[None]:
    """Replace the content of the registry by `records` until the end of the `with` block, for tests.

    `packages` maps families to other packages, which are imported when the family is first used.

    >>> with only([Record("pe", "ideal", "An ideal PE.", "no publication", Configurable, {})]):
    ...     list(family("pe"))
    ['ideal']
    """
    for name in FAMILIES:  # a module that is first imported inside the block would lose its records at the end
        family(name)
    records_before, packages_before, loaded_before = dict(_records), dict(_packages), set(_loaded)
    _records.clear()
    _packages.update(packages or {})
    _loaded.difference_update(packages or {})
    try:
        for record in records:
            add(record)
        yield
    finally:
        _records.clear()
        _records.update(records_before)
        _packages.update(packages_before)
        _loaded.clear()
        _loaded.update(loaded_before)


def _import_all(name: str) -> None:
    """Import a module, and every module inside it if it is a package."""
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        try:
            importlib.import_module(found.name)
        except HwsimError:
            raise
        except Exception as error:
            raise _not_importable(f"module {found.name}", error) from error


class BrokenPlugin(UserWarning):
    """A plugin that cannot be imported; its entries are missing, and all others work."""


def _load_plugin(plugin: EntryPoint) -> None:
    """Import a plugin; warn once where that fails, so that a broken one does not stop the work without it."""
    what = f"plugin {plugin.name!r} ({plugin.value})"
    if what in _broken_plugins:
        return
    try:
        plugin.load()
    except (Exception, SystemExit) as error:
        _broken_plugins[what] = str(_not_importable(what, error))
        warnings.warn(_broken_plugins[what], BrokenPlugin, stacklevel=2)


def _not_importable(what: str, error: BaseException) -> HwsimError:
    return HwsimError(f"{what}: cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}")


def find(family_name: str, name: str, where: str | None = None) -> Record:
    """Return the record with a name; raises UnknownName with the nearest valid word."""
    records = family(family_name)
    if name not in records:
        unknown = UnknownName(where or f"{family_name}.name", name, records)
        if _broken_plugins:
            raise HwsimError(f"{unknown}. Its entries are missing: {'; '.join(_broken_plugins.values())}")
        raise unknown
    return records[name]


def build(family_name: str, name: str, /, where: str | None = None, **parameters: Any) -> Any:
    """Make a member of a family from its name and parameters.

    >>> build("quantizer", "minmax", w_bits=4).w_bits
    4
    """
    record = find(family_name, name, f"{where or family_name}.name")
    return validate(record.factory, merge(record.defaults, parameters), where or family_name)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into `base`, table by table; a table with another name replaces the old table.

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
    """Make an instance of `cls`; raises HwsimError with one line about one validation error.

    Unknown settings come first, because a setting under a former name also makes its present name missing.
    """
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        missing = [".".join([where, *map(str, d["loc"])]) for d in details if d["type"] == "missing"]
        if details[0]["type"] == "missing" and len(missing) > 1:
            raise BadInput(", ".join(missing), None, "a value is required for each") from None
        raise _readable(cls, details[0], where) from None


def _readable(cls: type[BaseModel], detail: ErrorDetails, where: str) -> HwsimError:
    location = [str(p) for p in detail["loc"]]
    path = ".".join([where, *location])
    if detail["type"] == "extra_forbidden":
        return UnknownSetting(path, _fields_at(cls, location[:-1]))
    if detail["type"] == "missing":
        return BadInput(path, None, "a value is required here")
    if detail["type"] == "too_short":
        return BadInput(path, detail["input"], f"{detail['ctx']['min_length']} or more entries")
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, HwsimError):
        return cause
    allowed = _range_at(cls, location) if detail["type"] in _RANGES else None
    message = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    hint = ""
    if detail["type"] in _WORDS:
        words = detail["ctx"]["expected"].replace(" or ", ", ").split(", ")
        hint = suggestion("value", str(detail["input"]), [word.strip("'") for word in words])
    return BadInput(path, detail["input"], allowed or message, hint)


_RANGES = ("greater_than_equal", "less_than_equal")
_WORDS = ("literal_error", "enum")


def _range_at(cls: type[BaseModel], path: list[str]) -> str | None:
    """Return the limits of a field as "1 to 8"; None for a field without both limits."""
    here = _class_at(cls, path[:-1])
    limits = here.model_fields[path[-1]].metadata if here and path[-1] in here.model_fields else []
    low = next((limit.ge for limit in limits if hasattr(limit, "ge")), None)
    high = next((limit.le for limit in limits if hasattr(limit, "le")), None)
    return f"{low} to {high}" if low is not None and high is not None else None


def _fields_at(cls: type[BaseModel], path: list[str]) -> list[str]:
    here = _class_at(cls, path)
    return list(here.model_fields) if here else []


def _class_at(cls: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    """Return the class of the nested parameters at `path`, None where the path has no class."""
    here: type[BaseModel] | None = cls
    for part in path:
        field = here.model_fields.get(part) if here else None
        here = _parameter_class(field.annotation) if field else None
    return here


def _parameter_class(annotation: Any) -> type[BaseModel] | None:
    """Return the parameter class in an annotation such as `PE` or `PE | None`."""
    options = [annotation, *get_args(annotation)]
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)
