"""CONTRIBUTING: its folders of tests and its make targets are those of the tree, and tests mirror hwsim."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TESTS = ROOT / "tests"
MIRRORED = {path.name for path in (ROOT / "hwsim").iterdir() if path.is_dir()}
LISTED = set(re.findall(r"`tests/(\w+)/`", PAGE))


def test_every_folder_of_tests_mirrors_hwsim_or_is_listed() -> None:
    folders = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= MIRRORED | LISTED
    assert folders >= LISTED


def test_tests_lie_in_the_folder_that_they_test() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    mirrored = [folder for folder in folders if folder.parts and folder.parts[0] in MIRRORED]
    assert len(mirrored) > 10
    assert [str(folder) for folder in mirrored if not (ROOT / "hwsim" / folder).is_dir()] == []


def test_no_helper_lies_loose() -> None:
    names = {path.stem for path in TESTS.glob("*.py")} - {"conftest"}
    assert {name for name in names if not name.startswith("test_")} == set()
    modules = {path.stem for path in (ROOT / "hwsim").glob("*.py")}
    assert {name.removeprefix("test_") for name in names} <= modules | {"layers", "install"}


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"`make ([\w-]+)`", PAGE))
    assert targets == set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)) - {"clean"}


def test_the_rules_for_writers_are_eight() -> None:
    assert re.findall(r"^(\d)\. ", PAGE[PAGE.index("## Rules for writers") :], re.MULTILINE) == list("12345678")
