"""Former names: each gives an error with the present name, and each present name exists."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from enum import Enum

import pytest
import typer
from pydantic import BaseModel

import hwsim
from hwsim import cli, registry
from hwsim.design import DEFAULTS, Design, Membership
from hwsim.errors import HwsimError, UnknownName, UnknownSetting
from hwsim.formats import Kind
from hwsim.machine.layer_report import layer_reports
from hwsim.network.product import as_product
from hwsim.renamed import RENAMED, renamed
from hwsim.study.results.columns import COLUMNS
from hwsim.study.search.study import Study
from tests.support import fake_stages, fakes
from tests.support.small_network import small_network


def pairs(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("former", "present"), RENAMED[kind].items())


def parameter_classes() -> set[type[BaseModel]]:
    """Return the parameter classes of all designs: registry members, the game, and nested classes."""
    pending: list[type[BaseModel]] = [Membership]
    for family in registry.FAMILIES:
        pending += [record.factory for record in registry.family(family).values()]
    found: set[type[BaseModel]] = set()
    while pending:
        cls = pending.pop()
        if cls not in found:
            found.add(cls)
            pending += [part for field in cls.model_fields.values() for part in parts(field.annotation)
                        if isinstance(part, type) and issubclass(part, BaseModel)]  # fmt: skip
    return found


def parts(annotation: object) -> Iterator[object]:
    """Yield an annotation and everything inside it."""
    yield annotation
    for inner in typing.get_args(annotation):
        if isinstance(annotation, types.UnionType) or not isinstance(inner, str):
            yield from parts(inner)
        else:
            yield inner


CLASSES = parameter_classes()
SETTINGS = set(DEFAULTS) | {name for cls in CLASSES for name in cls.model_fields} | {"narrow_range"}
WORDS = set(Kind) | {
    word if isinstance(word, str) else str(word.value)
    for cls in CLASSES
    for field in cls.model_fields.values()
    for part in parts(field.annotation)
    for word in (part if isinstance(part, type) and issubclass(part, Enum) else [part])
    if isinstance(word, str | Enum)
}
LABEL = "fake_loss_"


def objectives() -> set[str]:
    """Return the columns that can be objectives of a study with the attack `fake_loss`."""
    with registry.only(fakes.RECORDS), pytest.raises(UnknownName) as caught:
        Study.from_mapping({"base": fakes.BASE, "objectives": {"no such column": "max"}})
    return set(caught.value.allowed.split(", "))


OBJECTIVES = objectives()
NAMES = {name for family in registry.FAMILIES for name in registry.family(family)}


@pytest.mark.parametrize("kind", RENAMED)
def test_no_name_is_renamed_twice(kind):
    assert not set(RENAMED[kind].values()) & set(RENAMED[kind])


@pytest.mark.parametrize("kind", RENAMED)
def test_other_words_have_no_former_name(kind):
    assert renamed(kind, "no such word") is None


@pairs("setting")
def test_settings(former, present):
    assert present in SETTINGS
    assert str(UnknownSetting(f"group.{former}", [present, "other"])) == (
        f"group.{former}: unknown setting; allowed: {', '.join(sorted([present, 'other']))}. "
        f"It is called {present!r} now."
    )


@pytest.mark.parametrize("cls", sorted(CLASSES, key=lambda cls: cls.__qualname__), ids=lambda cls: cls.__qualname__)
def test_settings_of_every_class(cls):
    for former, present in RENAMED["setting"].items():
        if present in cls.model_fields and former not in cls.model_fields:
            with pytest.raises(HwsimError, match=f"It is called '{present}' now"):
                registry.validate(cls, {former: 1}, "here")


@pairs("value")
def test_values(former, present):
    assert present in WORDS and former not in WORDS
    assert f"It is called {present!r} now" in str(UnknownName("here", former, [present, "other"], "value"))


def test_values_of_an_accelerator():
    with pytest.raises(HwsimError, match=r"optimize: got traffic; .* It is called 'dram_traffic' now"):
        registry.build("accelerator", "tpu_like", optimize="traffic")


@pairs("name")
def test_names(former, present):
    families = [family for family in registry.FAMILIES if present in registry.family(family)]
    assert families and former not in NAMES
    for family in families:
        with pytest.raises(UnknownName, match=f"It is called '{present}' now"):
            registry.find(family, former)


@pairs("column")
def test_columns(former, present):
    known = {*OBJECTIVES, *study_row(), *cycles_columns(), *(column.name for column in COLUMNS)}
    forms = {present, LABEL + present}
    assert forms & known and not {former, LABEL + former} & known


def study_row() -> dict[str, object]:
    """Return the result of one design."""
    with registry.only(fakes.RECORDS):
        return fake_stages.result(Design.resolve(fakes.BASE))


def cycles_columns() -> set[str]:
    """Return the columns of `hwsim cycles`."""
    network = small_network()
    layers = [(layer.name, as_product(network, layer)) for layer in network.layers if layer.has_macs]
    report = layer_reports(registry.build("accelerator", "tpu_like"), layers, batch=1)[0]
    return {*report.row(), *report.breakdown()}


@pytest.mark.parametrize(
    ("former", "present"),
    [(label + old, label + new) for old, new in RENAMED["column"].items() for label in ("", LABEL)
     if label + new in OBJECTIVES],
)  # fmt: skip
@pytest.mark.usefixtures("fake_choices")
def test_columns_of_objectives(former, present):
    with pytest.raises(UnknownName, match=f"It is called '{present}' now"):
        Study.from_mapping({"base": fakes.BASE, "objectives": {former: "max"}})


def options() -> Iterator[tuple[str, str]]:
    """Yield command and long option of the whole command line."""
    for name, command in typer.main.get_command(cli.application().app).commands.items():  # type: ignore[attr-defined]
        yield from ((name, option) for parameter in command.params for option in parameter.opts)


@pairs("option")
def test_options(former, present, capsys):
    commands = [command for command, option in options() if option == present]
    assert commands and former not in {option for _, option in options()}
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            cli.main([command, former])
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert f"{former}: unknown option of `hwsim {command}`. It is called {present!r} now." in error


def test_an_unknown_option_has_the_nearest_one(capsys):
    with pytest.raises(SystemExit):
        cli.main(["list", "--hepl"])
    assert capsys.readouterr().err == "hwsim: --hepl: unknown option of `hwsim list`. Did you mean '--help'?\n"


@pairs("python")
def test_public_names(former, present):
    assert hasattr(hwsim, present)
    with pytest.raises(AttributeError, match=f"It is called '{present}' now"):
        getattr(hwsim, former)


def test_the_list_of_public_names_is_complete():
    assert sorted(hwsim.__all__) == sorted(["MODEL_VERSION", "__version__", *hwsim._MODULES])
    assert all(hasattr(hwsim, name) for name in hwsim.__all__)


def test_a_present_name_that_is_not_allowed_here_is_not_suggested():
    assert "first_last_bits" not in str(UnknownSetting("game.edge_bits", ["models"]))


def test_a_column_can_have_the_label_of_an_attack(monkeypatch):
    monkeypatch.setitem(RENAMED["column"], "auc_lower", "auc_ci")
    assert renamed("column", "lira_auc_lower") == "lira_auc_ci"
    assert renamed("column", "lira_auc_upper") is None
    assert renamed("column", "auc_lower") == "auc_ci"
