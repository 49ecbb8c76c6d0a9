"""Files that a design names: TOML files of accelerators, CSV files of prices; and accelerators described in full."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwsim import registry
from hwsim.errors import BadInput
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.description.toml_file import is_accelerator_file, read_record
from hwsim.machine.technology.provenance import read_prices
from hwsim.machine.technology.technology import PRICE_ITEMS

ACCELERATOR = ("accelerator", "accelerator.name")
"""Settings that choose an accelerator."""

Own = dict[str, Mapping[str, Any]]
"""Settings of a user's own accelerators, by name."""


def read_choice(choice: Any, folder: Path, own: Own) -> Any:
    """Return a choice of an accelerator with a name in place of the path of a file, and enter its settings into `own`.

    The name is that of the file without its ending. So a design no longer depends on the file, and its key depends on
    the settings in it. A choice without a path is returned as it is.

    Parameters
    ----------
    choice : name, path, or a table with one of them as `name`
    folder : folder to which the path is relative
    own : accelerators that were read before; a second file with the name of a first must have the same settings
    """
    if isinstance(choice, Mapping):
        return {**choice, "name": read_choice(choice["name"], folder, own)} if "name" in choice else choice
    if not is_accelerator_file(choice):
        return choice
    record = read_record(folder / choice)
    name = f"{record.name} (file)" if record.name in registry.family("accelerator") else record.name
    if own.setdefault(name, record.defaults) != record.defaults:
        raise BadInput("accelerator", f"two files with the name {Path(choice).name}", "another name for one of them")
    return name


def read_choices(mapping: Mapping[str, Any], folder: Path, own: Own) -> dict[str, Any]:
    """Return settings by group or dotted path, with the contents of the files that they name.

    An accelerator is as `read_choice` returns it, and `technology.prices` the rows of its file.
    """
    read = {path: read_choice(mapping[path], folder, own) for path in ACCELERATOR if path in mapping}
    technology = mapping.get("technology")
    if isinstance(technology, Mapping) and "prices" in technology:
        read["technology"] = {**technology, "prices": _prices(technology["prices"], folder)}
    if "technology.prices" in mapping:
        read["technology.prices"] = _prices(mapping["technology.prices"], folder)
    return {**mapping, **read}


def _prices(given: Any, folder: Path) -> Any:
    """Return the rows of a file of prices; what is no path as it is."""
    return [dict(row) for row in read_prices(folder / given, PRICE_ITEMS)] if isinstance(given, str) else given


def own_settings(name: str, table: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the settings of a user's own accelerator: one of `own` changed by `table`, or a table that is complete.

    None for an accelerator of the registry, and for a table that lacks required settings.
    """
    if name in own:
        return registry.merge(own[name], table)
    required = [key for key, field in Accelerator.model_fields.items() if field.is_required()]
    complete = name not in registry.family("accelerator") and all(key in table for key in required)
    return dict(table) if complete else None


def check_own(own: Any) -> Own:
    """Return the accelerators that a study defines by name; raises HwsimError for one that is not valid."""
    if not isinstance(own, Mapping):
        raise BadInput("accelerators", own, "a table: [accelerators]")
    for name, content in own.items():
        if name in registry.family("accelerator"):
            raise BadInput(f"accelerators.{name}", "the name of an accelerator of hwsim", "another name")
        if not isinstance(content, Mapping):
            raise BadInput(f"accelerators.{name}", content, "a table of settings")
        registry.validate(Accelerator, content, f"accelerators.{name}")
    return dict(own)
