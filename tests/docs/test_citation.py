"""CITATION.cff: the keys of the Citation File Format that hwsim fills, equal to what the package says of itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import hwsim

ROOT = Path(__file__).parents[2]
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_keys() -> None:
    keys = re.findall(r"^([a-z-]+):", CITATION, re.MULTILINE)
    assert {"cff-version", "message", "title", "authors"} <= set(keys), "required by the format"
    assert len(keys) == len(set(keys))
    assert value("cff-version") == "1.2.0"


def test_the_version_is_that_of_the_package() -> None:
    assert value("version") == hwsim.__version__ == PROJECT["version"]


def test_title_license_and_keywords() -> None:
    assert value("title") == PROJECT["name"]
    assert value("license") == PROJECT["license"]
    assert re.findall(r"^  - (?!name:)(.+)$", CITATION, re.MULTILINE) == PROJECT["keywords"]


def value(key: str) -> str:
    """The text after `key:` on one line."""
    (text,) = re.findall(rf"^{key}: (.+)$", CITATION, re.MULTILINE)
    return str(text)
