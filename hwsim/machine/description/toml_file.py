"""TOML files of accelerators: reading, the source of every number, and the registry family `accelerator`.

Every file in `accel_models/accelerators` is one entry of the family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from hwsim import registry
from hwsim.errors import BadInput, HwsimError, UnknownName, UnknownSetting
from hwsim.machine.description.accelerator import Accelerator
from hwsim.registry import Record
from hwsim.toml import read_toml

FILE_KEYS = (*Accelerator.model_fields, "help", "citation", "sources")
"""Keys of a file."""


def load_accelerator(path: str | Path) -> Accelerator:
    """Return the accelerator of a TOML file; raises HwsimError naming the file and the place."""
    return _build(read_record(Path(path)))


def read_record(path: Path | Traversable) -> Record:
    """Return the registry record of a TOML file: the fields of Accelerator, `[sources]`, and `help` and `citation`.

    Help and citation may be omitted.

    `[sources]` maps the dotted path of every number to the publication or the assumption behind it. Raises
    HwsimError for a number without a source and for a source without a number.
    """
    content = read_toml(path, path.name)
    _check_keys(content, path.name)
    text = {key: content.pop(key, f"{path.name}, without a {key}") for key in ("help", "citation")}
    for key, value in text.items():
        if not isinstance(value, str) or not value.strip():
            raise BadInput(f"{path.name}: {key}", value, "a text")
    named = content.pop("sources", {})
    if not isinstance(named, Mapping):
        raise BadInput(f"{path.name}: sources", named, "a table: [sources]")
    try:
        registry.validate(Accelerator, content, "accelerator")
    except HwsimError as error:
        raise HwsimError(f"{path.name}: {error}") from None
    check_sources(content, named, path.name)
    name = path.name.removesuffix(".toml")
    help_text, citation = str(text["help"]).strip(), str(text["citation"]).strip()
    return Record("accelerator", name, help_text, citation, Accelerator, content, dict(named))


def is_accelerator_file(name: object) -> bool:
    """Return whether the name of an accelerator is the path of a file: it ends in .toml.

    >>> is_accelerator_file("mine.toml"), is_accelerator_file("tiny")
    (True, False)
    """
    return isinstance(name, str) and name.endswith(".toml")


def _check_keys(content: Mapping[str, Any], where: str) -> None:
    """Raise UnknownSetting for an unknown key, else BadInput with all keys that are missing."""
    for key in content:
        if key not in FILE_KEYS:
            raise UnknownSetting(f"{where}: {key}", FILE_KEYS)
    missing = [key for key, field in Accelerator.model_fields.items() if field.is_required() and key not in content]
    if missing:
        raise BadInput(f"{where}: {', '.join(missing)}", None, "a value for each; `hwsim show tiny` shows an example")


def check_sources(content: Mapping[str, Any], sources: Mapping[str, Any], where: str) -> None:
    """Raise BadInput or UnknownName unless every number of `content`, and nothing else, has a source.

    A source of a table applies to all numbers in it that have no source of their own.
    """
    numbers = set(_numbers(content))
    named = {path: text for path, text in sources.items() if isinstance(text, str) and text.strip()}
    for path in sorted(numbers):
        if not any(path == source or path.startswith(f"{source}.") for source in named):
            raise BadInput(f'{where}: sources."{path}"', None, 'where the number is from, or "assumed" and why')
    for source in sources:
        if not any(path == source or path.startswith(f"{source}.") for path in numbers):
            raise UnknownName(f"{where}: sources", source, numbers)


def _numbers(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of all numbers, including numbers with a unit."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, bool):
            continue
        elif isinstance(value, int | float) or (isinstance(value, str) and value[:1].isdigit()):
            yield prefix + key


def sources(name: str) -> Mapping[str, str]:
    """Return the source of each number of the accelerator `name`, by dotted path."""
    return registry.find("accelerator", name).sources


def _build(record: Record) -> Accelerator:
    return registry.validate(Accelerator, record.defaults, "accelerator")


def _folder() -> Traversable:
    return files("accel_models") / "accelerators"


for _file in sorted(_folder().iterdir(), key=lambda entry: entry.name):
    if _file.name.endswith(".toml"):
        registry.add(read_record(_file))
