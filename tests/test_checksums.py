"""Checksums of files and code: one changed byte is another checksum, however well it is hidden."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path

import pytest

from hwsim import checksums
from hwsim.checksums import code_checksums, file_checksum, folder_checksum
from hwsim.design import Design
from hwsim.errors import HwsimError
from hwsim.registry import Configurable, Record, find, only
from tests.support import fakes

ATTACK = """
from hwsim_theirs import helper
from other_folder_helper import SIGN
from tests.support.fakes import FakeAttack

class Attack(FakeAttack):
    label = "theirs"
"""


def test_a_changed_byte_with_old_times_and_size_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "data.bin"
    file.write_bytes(b"one")
    os.utime(file, (1, 1))
    before = file_checksum(file)
    assert file_checksum(file) == before
    file.write_bytes(b"two")
    os.utime(file, (1, 1))
    assert file_checksum(file) != before


def test_a_settled_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data.bin"
    file.write_bytes(b"one")
    monkeypatch.setattr(checksums, "_SETTLED_NS", -(10**18))  # every file counts as old
    before = file_checksum(file)
    monkeypatch.setattr(checksums.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert file_checksum(file) == before


def test_a_folder_is_its_names_and_bytes_without_caches(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.csv").write_text("1")
    before = folder_checksum(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("1")
    (tmp_path / "b.pyc").write_text("1")
    assert folder_checksum(tmp_path) == before
    (tmp_path / "inner" / "a.csv").rename(tmp_path / "inner" / "b.csv")
    assert folder_checksum(tmp_path) != before


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HwsimError, match=r"nothing\.bin: cannot be read: No such file"):
        file_checksum(tmp_path / "nothing.bin")


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package of an attack, a module that it imports, and the metadata of its distribution."""
    package = tmp_path / "hwsim_theirs"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "attack.py").write_text(ATTACK)
    (package / "helper.py").write_text("FACTOR = 1\n")
    (package / "table.csv").write_text("1,2\n")
    (tmp_path / "other_folder_helper.py").write_text("SIGN = 1\n")
    (tmp_path / "of_the_distribution.py").write_text("BITS = 1\n")
    info = tmp_path / "hwsim_theirs-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hwsim-theirs\nVersion: 0.1\nRequires-Dist: numpy>1\n")
    (info / "entry_points.txt").write_text("[hwsim.plugins]\ntheirs = hwsim_theirs.attack\n")
    (info / "RECORD").write_text("of_the_distribution.py,,\nhwsim_theirs/attack.py,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(checksums, "_plugins", lambda: metadata.entry_points(group=checksums.PLUGINS))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(("hwsim_theirs", "other_folder_helper"))]:
        del sys.modules[name]


def key_with_plugin() -> str:
    from hwsim_theirs.attack import Attack  # type: ignore[import-not-found]

    record = Record("attack", "theirs", "Theirs.", "nobody", Attack, {})
    with only([*fakes.RECORDS, record]):
        return Design.resolve(fakes.BASE | {"attacks": ["theirs"]}).key


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("hwsim_theirs/attack.py", ATTACK + "#"),
        ("hwsim_theirs/helper.py", "FACTOR = 2\n"),
        ("hwsim_theirs/table.csv", "1,3\n"),
        ("hwsim_theirs/new.py", ""),
        ("other_folder_helper.py", "SIGN = 2\n"),
        ("of_the_distribution.py", "BITS = 2\n"),
        ("hwsim_theirs-0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: hwsim-theirs\nVersion: 0.2\n"),
    ],
)
def test_every_file_of_a_plugin_is_part_of_the_key(plugin: Path, file: str, content: str) -> None:
    before = key_with_plugin()
    assert key_with_plugin() == before
    (plugin / file).write_text(content)
    assert key_with_plugin() != before


def test_a_plugin_that_a_design_does_not_use_is_not_part_of_its_key(plugin: Path) -> None:
    with only(fakes.RECORDS):
        before = Design.resolve(fakes.BASE).key
        (plugin / "hwsim_theirs" / "helper.py").write_text("FACTOR = 2\n")
        assert Design.resolve(fakes.BASE).key == before


def test_the_place_of_a_plugin_is_not_part_of_its_checksums(plugin: Path) -> None:
    from hwsim_theirs.attack import Attack

    assert not any(str(plugin) in name for name in code_checksums(Attack))


def test_the_files_of_a_class_in_the_tree_and_of_its_bases_count() -> None:
    lira = find("attack", "lira").factory
    assert {"hwsim.privacy.attacks.reference.lira", "hwsim.privacy.attack_tools.attack"} <= set(code_checksums(lira))


def test_a_class_without_a_file_is_refused() -> None:
    cls = type("Typed", (Configurable,), {"__module__": "typed_in_a_notebook"})
    sys.modules["typed_in_a_notebook"] = type(sys)("typed_in_a_notebook")
    try:
        with pytest.raises(HwsimError, match="module typed_in_a_notebook: its source is in no file"):
            code_checksums(cls)
    finally:
        del sys.modules["typed_in_a_notebook"]


@pytest.mark.parametrize("group", ["dataset", "accelerator", "technology"])
def test_contents_of_every_group_are_part_of_the_key(group: str, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "input.csv"
    file.write_text("1")
    with only(fakes.RECORDS):
        chosen = type(getattr(Design.resolve(fakes.BASE), group))
        monkeypatch.setattr(chosen, "checksums", lambda self: {"input.csv": file_checksum(file)})
        before, settings = Design.resolve(fakes.BASE).key, Design.resolve(fakes.BASE).settings_key
        assert Design.resolve(fakes.BASE).key == before
        file.write_text("2")
        assert Design.resolve(fakes.BASE).key != before
        assert Design.resolve(fakes.BASE).settings_key == settings


def test_a_table_of_prices_is_part_of_the_key(tmp_path: Path, monkeypatch) -> None:
    from hwsim.machine.technology import technology

    (tmp_path / "dram.csv").write_text("kind,pJ_per_bit,source\n")
    monkeypatch.setattr(technology, "TABLES", tmp_path)
    before = Design.resolve({}).key
    (tmp_path / "dram.csv").write_text("kind,pJ_per_bit,source\nx,1,y\n")
    assert Design.resolve({}).key != before
