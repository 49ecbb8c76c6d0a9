"""TOML files: whatever is wrong with one, the error is one line that names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwsim.design import Design, parse_override
from hwsim.errors import BadInput, HwsimError
from hwsim.files.reading import MAX_TEXT_BYTES
from hwsim.toml import read_toml

BAD = {
    "nested": ("x = " + "[" * 5000 + "]" * 5000, "not valid TOML: nested too deeply"),
    "digits": ("seed = " + "9" * 4400, "not valid TOML: Exceeds the limit (4300 digits)"),
    "twice": ("a = 1\na = 2", "not valid TOML: Cannot overwrite a value"),
    "date": ("a = 2026-02-31", "not valid TOML: "),
    "open": ("a = [1", "not valid TOML: Unclosed array"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_text_is_one_line(name: str, tmp_path: Path) -> None:
    text, message = BAD[name]
    file = tmp_path / "a.toml"
    file.write_text(text)
    with pytest.raises(HwsimError) as caught:
        read_toml(file)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfseed = 1\n")
    assert read_toml(tmp_path / "a.toml") == {"seed": 1}


def test_what_is_no_text_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(MAX_TEXT_BYTES + 1)
    for name, message in (
        ("pipe", "got a FIFO; allowed: a regular file"),
        (".", "Is a directory"),
        ("none", "cannot be read"),
        ("latin.toml", "not a text file in UTF-8"),
        ("large.toml", "got more than"),
    ):
        with pytest.raises(HwsimError, match=message):
            read_toml(tmp_path / name)


def test_a_huge_number_is_refused_and_not_printed() -> None:
    for seed in (16**6000, 10**2000):
        with pytest.raises(BadInput) as caught:
            Design.resolve({"seed": seed})
        assert len(str(caught.value)) < 1200


@pytest.mark.parametrize("value", ["[" * 5000 + "]" * 5000, "9" * 4400, "1 2"])
def test_an_override_is_checked_in_the_same_way(value: str) -> None:
    with pytest.raises(BadInput, match="--set"):
        parse_override(f"seed={value}")
