"""Design: the choices that define one point of a study, resolved to full settings."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, Field, field_validator, model_validator

from hwsim import registry
from hwsim.checksums import code_checksums, library_versions
from hwsim.errors import BadInput, HwsimError, UnknownName, shown
from hwsim.machine.description.accelerator import Accelerator
from hwsim.named_files import Own, own_settings, read_choices
from hwsim.registry import Configurable
from hwsim.toml import parse_toml, read_toml
from hwsim.version import MODEL_VERSION

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "dataset": "digits",
        "model": "small_cnn",
        "quantizer": "minmax",
        "accelerator": "tpu_like",
        "technology": "nangate45",
        "game": {},
        "channels": ["logits", "latency_cycles", "energy_pj"],
        "attacks": ["loss", "lira"],
        "shadows": "matched",
        "seed": 0,
    }
)
"""Default choice of each group."""

CHOICES = ("dataset", "model", "quantizer", "accelerator", "technology")
"""Groups that are one member of the registry family with the same name."""


class Membership(Configurable):
    """Parameters of the membership game: number of models, and the sizes of its sample sets.

    Each sample of the pool is in the training set of exactly half of the models.
    """

    models: int = Field(16, ge=4, le=4096, description="models trained; each is the target in turn; even")
    samples: int | None = Field(None, ge=8, description="size of the pool; default: the whole data set")
    calibration: int = Field(128, ge=1, description="samples for the calibration of the quantizer")
    auxiliary: int = Field(
        0, ge=0, description="auxiliary samples, members of no model, for the adversary's distillation"
    )
    split: str | None = Field(None, description="a published split of the data set instead of a random pool")

    @field_validator("models")
    @classmethod
    def _even(cls, models: int) -> int:
        if models % 2:
            raise ValueError("an even number, so that each sample is a member of exactly half of the models")
        return models

    @model_validator(mode="after")
    def _one_pool(self) -> Membership:
        if self.split is not None and self.samples is not None:
            raise BadInput("game.samples", self.samples, f"omit it: the split {self.split!r} fixes the size")
        return self


@dataclass(frozen=True, eq=False)
class Design:
    """One resolved design, made by `Design.resolve` (from a mapping) or `load_design` (from a TOML file).

    Two designs with the same `key` have the same result. The key is computed once, at its first use, from the data
    files and the code of that moment.

    Attributes
    ----------
    dataset, model, quantizer, accelerator, technology : the chosen members of the registry
    game : parameters of the membership game
    channels : observed channels, sorted by name
    attacks : attacks, in the given order
    shadows : one of SHADOWS
    seed : seed of all random streams
    names : registry name of the choice in each group of CHOICES
    attack_names, channel_names : registry names of the attacks and channels

    >>> design = Design.resolve({"quantizer": {"name": "minmax", "w_bits": 4}})
    >>> design.names["quantizer"], design.settings["quantizer"]["w_bits"], design.game.models
    ('minmax', 4, 16)
    """

    dataset: Any
    model: Any
    quantizer: Any
    accelerator: Any
    technology: Any
    game: Membership
    channels: tuple[Any, ...]
    attacks: tuple[Any, ...]
    shadows: str
    seed: int
    names: Mapping[str, str]
    attack_names: tuple[str, ...]
    channel_names: tuple[str, ...]

    @classmethod
    def resolve(cls, mapping: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]] | None = None) -> Design:
        """Build all choices of `mapping`, with defaults for groups and parameters that are not given.

        A choice is a table `{name = "...", parameters ...}` or only a name. An accelerator may be the path of a TOML
        file, relative to the present folder, a name in `own`, which maps names to settings, or a table with all
        settings that are required and a new name. Raises HwsimError with the dotted path of
        the wrong value, such as `quantizer.w_bits`.
        """
        for group in mapping:
            if group not in DEFAULTS:
                raise UnknownName("design", group, DEFAULTS)
        accelerators = dict(own or {})
        mapping = read_choices(mapping, Path(), accelerators)
        chosen = {group: _choose(group, mapping.get(group, DEFAULTS[group]), own=accelerators) for group in CHOICES}
        attacks = _attacks(mapping.get("attacks", DEFAULTS["attacks"]))
        channels = _channels(mapping.get("channels", DEFAULTS["channels"]))
        shown = [name for name, _ in channels]
        for _, attack in attacks:
            for need in attack.needs:
                if need not in shown:
                    raise BadInput("channels", shown, f"a list with {need}, which {attack.label} needs")
        game = registry.validate(Membership, _table("game", mapping.get("game", {})), "game")
        for _, attack in attacks:
            if game.models < attack.min_models:
                raise BadInput("game.models", game.models, f"{attack.min_models} or more, which {attack.label} needs")
        return cls(
            **{group: made for group, (_, made) in chosen.items()},
            game=game,
            channels=tuple(channel for _, channel in channels),
            attacks=tuple(attack for _, attack in attacks),
            shadows=_shadows(mapping.get("shadows", DEFAULTS["shadows"])),
            seed=_seed(mapping.get("seed", DEFAULTS["seed"])),
            names={group: name for group, (name, _) in chosen.items()},
            attack_names=tuple(name for name, _ in attacks),
            channel_names=tuple(shown),
        )

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All settings, defaults included, as plain JSON data that `resolve` accepts."""
        choices = {group: _plain(self.names[group], getattr(self, group)) for group in CHOICES}
        return choices | {
            "game": self.game.model_dump(mode="json"),
            "channels": [_name_or_table(n, c) for n, c in zip(self.channel_names, self.channels, strict=True)],
            "attacks": [_plain(n, a) for n, a in zip(self.attack_names, self.attacks, strict=True)],
            "shadows": self.shadows,
            "seed": self.seed,
        }

    @property
    def unused_groups(self) -> tuple[str, ...]:
        """Groups that do not affect the result: a design without an integer network has no accelerator."""
        return () if self.quantizer.integer else ("accelerator", "technology", "shadows")

    @cached_property
    def settings_key(self) -> str:
        """SHA-256 (hex) of the settings without unused groups, and of the model version; reads no file."""
        return content_key({"model_version": MODEL_VERSION, "settings": self._used(self.settings)})

    @cached_property
    def key(self) -> str:
        """SHA-256 (hex) of all that affects the result: the settings, the contents and the model version."""
        content = {"settings": self._used(self.settings), "contents": self.contents}
        return content_key({"model_version": MODEL_VERSION, **content})

    @cached_property
    def contents(self) -> dict[str, dict[str, str]]:
        """Contents that affect the result at the moment of the first use, by group: data, code, versions of libraries.

        The values are checksums. A file that is missing raises HwsimError with the place where it was searched.
        """
        return self.read_contents()

    def read_contents(self) -> dict[str, dict[str, str]]:
        """Return `contents` as they are now."""
        members = {group: (getattr(self, group),) for group in CHOICES}
        groups = self._used({**members, "channels": self.channels, "attacks": self.attacks})
        return {group: _contents(chosen) for group, chosen in groups.items()} | {"libraries": dict(library_versions())}

    def require_unchanged(self) -> None:
        """Raise HwsimError where data or code have changed since `contents` was read."""
        now = self.read_contents()
        for group, contents in self.contents.items():
            for name in sorted({*contents, *now[group]}):
                if contents.get(name) != now[group].get(name):
                    raise HwsimError(f"{group}: {name} has changed while the study ran; run the same command again")

    def _used(self, groups: Mapping[str, Any]) -> dict[str, Any]:
        return {group: value for group, value in groups.items() if group not in self.unused_groups}


def _contents(members: Iterable[Any]) -> dict[str, str]:
    """Return the checksums of what members read and of their code, and of all members inside of them."""
    found: dict[str, str] = {}
    for member in members:
        found |= code_checksums(type(member)) | member.checksums()
        found |= _contents([*member.uses(), *_inner(vars(member).values())])
    return found


def _inner(values: Iterable[Any]) -> Iterator[Configurable]:
    """Yield the members of a registry among the values of a member's fields."""
    for value in values:
        if isinstance(value, Configurable):
            yield value
        elif isinstance(value, Mapping):
            yield from _inner(value.values())
        elif isinstance(value, list | tuple):
            yield from _inner(value)


def content_key(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of plain data as canonical JSON: sorted keys, shortest floats.

    >>> content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    True
    """
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise HwsimError("design: nan and inf are not allowed as settings") from None
    return hashlib.sha256(text.encode()).hexdigest()


def unresolved_key(mapping: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of an unresolved design, whatever its values are."""
    text = json.dumps({"model_version": MODEL_VERSION, "unresolved": shown(mapping)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(name: str, choice: BaseModel) -> dict[str, Any]:
    return {**choice.model_dump(mode="json"), "name": name}


def _choose(
    family: str, given: Any, where: str | None = None, own: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[str, Any]:
    where = where or family
    table = _table(where, given)
    name = table.pop("name", DEFAULTS.get(where))
    if not isinstance(name, str):
        raise BadInput(f"{where}.name", name, "a name in quotes; `hwsim list` shows them")
    settings = own_settings(name, table, own or {}) if family == "accelerator" else None
    if settings is not None:
        return name, registry.validate(Accelerator, settings, where)
    record = registry.find(family, name, f"{where}.name")
    return name, registry.validate(record.factory, registry.merge(record.defaults, table), where)


def _table(where: str, given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        return {"name": given}
    if not isinstance(given, Mapping):
        raise BadInput(where, given, "a name in quotes, or a table of settings")
    return dict(given)


def _list(where: str, given: Any) -> list[Any]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise BadInput(where, given, 'a list, such as ["loss", "lira"]' if where == "attacks" else "a list of names")
    return list(given)


def _channels(given: Any) -> list[tuple[str, Any]]:
    channels: dict[str, Any] = {}
    for place, one in enumerate(_list("channels", given)):
        if isinstance(one, str):
            registry.find("channel", one, "channels")
        name, channel = _choose("channel", one, f"channels[{place}]")
        if channels.setdefault(name, channel) != channel:
            raise BadInput("channels", f"{name} twice, with different settings", "each channel once")
    return sorted(channels.items(), key=lambda pair: pair[0])  # sorted: the order must not change the key


def _name_or_table(name: str, channel: BaseModel) -> str | dict[str, Any]:
    """Return the name of a channel with default settings, else a table of its settings."""
    return name if channel == type(channel)() else _plain(name, channel)


def _attacks(given: Any) -> list[tuple[str, Any]]:
    attacks = [_choose("attack", one, f"attacks[{i}]") for i, one in enumerate(_list("attacks", given))]
    labels = [attack.label for _, attack in attacks]
    for label in labels:
        if labels.count(label) > 1:
            raise BadInput("attacks", labels, f"each attack once; {label} is listed twice")
    return attacks


SHADOWS = ("matched", "both")
"""Shadow models of the adversary: deployed as the target ("matched"), or also in full precision ("both")."""


def _shadows(given: Any) -> str:
    if given not in SHADOWS:
        raise UnknownName("shadows", str(given), SHADOWS)
    return str(given)


def _seed(given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given < 2**63:
        raise BadInput("seed", given, "a whole number from 0 to 2^63 - 1")
    return given


def override(mapping: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `mapping`, an unresolved design, with each dotted path of `changes` set to its value.

    Whole groups are replaced first, then names, then single parameters, independently of the order of `changes`.
    A new `X.name` drops the old parameters of X, because they belong to the old choice.

    >>> override({"quantizer": "lsq"}, {"quantizer.w_bits": 4})
    {'quantizer': {'name': 'lsq', 'w_bits': 4}}
    >>> override({"quantizer": {"name": "lsq", "w_bits": 4}}, {"quantizer.name": "minmax"})
    {'quantizer': {'name': 'minmax'}}
    """
    out: dict[str, Any] = dict(mapping)
    for path in sorted(changes, key=lambda p: (p.count(".") > 0, p.count("."), not p.endswith(".name"))):
        out = _set(out, path.split("."), changes[path], path)
    return out


def _set(table: Mapping[str, Any], parts: Sequence[str], value: Any, path: str) -> dict[str, Any]:
    head, rest = parts[0], parts[1:]
    if not head:
        raise BadInput("override", path, "a dotted path, such as quantizer.w_bits")
    if not rest:
        if head == "name" and table.get("name") != value:
            return {"name": value}
        return {**table, head: value}
    old = table.get(head, {})
    inner = {"name": old} if isinstance(old, str) else old
    if not isinstance(inner, Mapping):
        place = path.removesuffix("." + ".".join(rest))
        raise BadInput(path, value, f"{place} is no table; set it as a whole: {place}=...")
    return {**table, head: _set(inner, rest, value, path)}


_WORD = re.compile(r"[A-Za-z_][\w\-]*")
_PATH = re.compile(r"""[^"'\[\]{}=,]+\.(toml|csv)""")


def parse_override(text: str) -> tuple[str, Any]:
    """Split `path=value` into the path and the value; the value is TOML, and a bare word or file name is a string.

    >>> parse_override("quantizer.w_bits=4"), parse_override('quantizer={name="lsq", w_bits=4}')
    (('quantizer.w_bits', 4), ('quantizer', {'name': 'lsq', 'w_bits': 4}))
    >>> parse_override("quantizer=lsq")
    ('quantizer', 'lsq')
    >>> parse_override("accelerator=chips/mine.toml")
    ('accelerator', 'chips/mine.toml')
    """
    path, equals, value = text.partition("=")
    path, value = path.strip(), value.strip()
    if not equals or not path or not value:
        raise BadInput("--set", text, "path=value, such as quantizer.w_bits=4")
    try:
        (parsed,) = parse_toml(f"value = {value}", "--set").values()
        return path, parsed
    except (HwsimError, ValueError):
        if _WORD.fullmatch(value) or _PATH.fullmatch(value):
            return path, value
        raise BadInput("--set", text, 'a value as in TOML: 4, 0.5, true, "text", [1, 2] or {name = "lsq"}') from None


def read_design(path: Path, changes: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], Own]:
    """Return the unresolved design of a TOML file with the overrides `changes`, and the accelerators that both name.

    The path of an accelerator is relative to the folder of the file; in `changes`, to the present folder.
    """
    in_file: Own = {}
    in_changes: Own = {}
    mapping = read_choices(read_toml(path), path.parent, in_file)
    changed = override(mapping, read_choices(changes or {}, Path(), in_changes))
    return changed, {**in_file, **in_changes}


def load_design(path: Path, changes: Mapping[str, Any] | None = None) -> Design:
    """Read the design in a TOML file and apply the overrides `changes`."""
    mapping, own = read_design(path, changes)
    try:
        return Design.resolve(mapping, own)
    except HwsimError as error:
        raise HwsimError(f"{path}: {error}") from None
