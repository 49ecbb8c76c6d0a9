"""The registry: discovery of new modules and plugins, replacement in tests, and readable validation errors."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from hwsim import registry
from hwsim.errors import HwsimError, UnknownName
from hwsim.registry import Configurable, Record

FAMILY = "pe"
MODULE = '''
from hwsim.registry import Configurable, register

@register("pe", "found_{number}", citation="a test")
class Found{number}(Configurable):
    """A member in a new file."""
'''


class Nested(Configurable):
    rows: int = Field(8, ge=1, le=64)


class Example(Configurable):
    order: Literal["fifo", "stack"] = "fifo"
    array: Nested = Nested()
    optional: Nested | None = None


@pytest.fixture
def package(tmp_path: Path, monkeypatch):
    """The family `pe` in an empty package on disk, not imported yet."""
    folder = tmp_path / "new_family"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "inner" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with registry.only([], packages={FAMILY: "new_family"}):
        yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "new_family"]:
        del sys.modules[name]


def test_a_new_module_needs_no_list(package):
    (package / "one.py").write_text(MODULE.format(number=1))
    (package / "inner" / "two.py").write_text(MODULE.format(number=2))
    assert sorted(registry.family(FAMILY)) == ["found_1", "found_2"]
    assert registry.find(FAMILY, "found_2").headline == "A member in a new file."


def test_a_broken_module_is_one_line(package):
    (package / "broken.py").write_text("import no_such_package")
    with pytest.raises(HwsimError) as caught:
        registry.family(FAMILY)
    assert str(caught.value) == (
        "module new_family.broken: cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"
    )


def test_a_broken_plugin_is_one_line_and_all_else_works(package, monkeypatch):
    plugin = EntryPoint("mine", "no_such_package.parts", registry.PLUGINS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [plugin] if group == "hwsim.plugins" else [])
    monkeypatch.setattr(registry, "_broken_plugins", {})
    (package / "one.py").write_text(MODULE.format(number=1))
    line = r"^plugin 'mine' \(no_such_package.parts\): cannot be imported: .*No module"
    with pytest.warns(registry.BrokenPlugin, match=line):
        assert list(registry.family(FAMILY)) == ["found_1"]
    with pytest.raises(HwsimError, match=r"got theirs; allowed: found_1.* missing: plugin 'mine'"):
        registry.find(FAMILY, "theirs")


def test_a_plugin_joins_its_family(package, monkeypatch, tmp_path):
    (tmp_path / "plugin_of_somebody.py").write_text(MODULE.format(number=3))
    plugin = EntryPoint("mine", "plugin_of_somebody", registry.PLUGINS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [plugin] if group == "hwsim.plugins" else [])
    assert list(registry.family(FAMILY)) == ["found_3"]
    del sys.modules["plugin_of_somebody"]


def test_only_replaces_the_registry_and_restores_it_after_an_error():
    before = {family: list(registry.family(family)) for family in registry.FAMILIES}
    assert all(before.values())
    with pytest.raises(ZeroDivisionError), registry.only([Record(FAMILY, "x", "Help.", "a test", Nested, {})]):
        assert list(registry.family(FAMILY)) == ["x"]
        assert registry.family("attack") == {}
        raise ZeroDivisionError
    assert {family: list(registry.family(family)) for family in registry.FAMILIES} == before


def test_entries_that_are_refused():
    with registry.only([]):
        with pytest.raises(HwsimError, match="pe 'x': a registry entry needs a help text and a citation"):
            registry.add(Record(FAMILY, "x", " ", "a test", Nested, {}))
        with pytest.raises(UnknownName, match=r"registry family: got pes; .*Did you mean 'pe'"):
            registry.add(Record("pes", "x", "Help.", "a test", Nested, {}))
        registry.add(Record(FAMILY, "x", "Help.", "a test", Nested, {}))
        with pytest.raises(HwsimError, match="pe 'x': two entries have this name"):
            registry.add(Record(FAMILY, "x", "Help.", "a test", Example, {}))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"array": {"rows": 65}}, "here.array.rows: got 65; allowed: 1 to 64"),
        ({"array": {"row": 6}}, "here.array.row: unknown setting; allowed: rows. Did you mean 'rows'?"),
        ({"optional": {"row": 6}}, "here.optional.row: unknown setting; allowed: rows. Did you mean 'rows'?"),
        ({"array": {"rows": 0, "row": 6}}, "here.array.row: unknown setting; allowed: rows. Did you mean 'rows'?"),
        ({"order": "fofi"}, "here.order: got fofi; allowed: 'fifo' or 'stack'. Did you mean 'fifo'?"),
        ({"order": 3}, "here.order: got 3; allowed: 'fifo' or 'stack'"),
        ({"array": 3}, "here.array: got 3; allowed: a valid dictionary or instance of Nested"),
    ],
)
def test_validation_errors_are_one_line(values, text):
    with pytest.raises(HwsimError) as caught:
        registry.validate(Example, values, "here")
    assert str(caught.value) == text
