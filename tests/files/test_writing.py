"""Outputs are whole or absent, and never replace an input, a special file or a file of another program."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from hwsim.debug.runs import RunFile, write_run
from hwsim.errors import BadInput, HwsimError
from hwsim.files.reading import inputs_recorded, read_bytes
from hwsim.files.writing import (
    ZIP,
    check_output,
    contains,
    is_unfinished,
    make_folder,
    new_name,
    remove_unfinished,
    write_file,
)

MARK = contains(b"by hwsim")


def test_a_file_of_hwsim_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "out"
    write_file(path, "by hwsim 1", MARK, force=False)
    path.chmod(0o640)
    write_file(path, b"by hwsim 2", MARK, force=False)
    assert path.read_text() == "by hwsim 2"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_others_need_force(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("mine")
    with pytest.raises(BadInput, match="got a file that hwsim did not write; allowed: a new file, or --force"):
        write_file(path, "by hwsim", MARK, force=False)
    assert path.read_text() == "mine"
    write_file(path, "by hwsim", MARK, force=True)
    assert path.read_text() == "by hwsim"


@pytest.mark.parametrize("force", [False, True])
def test_special_files_and_inputs_are_never_replaced(tmp_path: Path, force: bool) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    source = tmp_path / "input"
    source.write_text("by hwsim")
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "soft").symlink_to("input")
    with inputs_recorded():
        read_bytes(source, 100)
        for path in (source, tmp_path / "hard", tmp_path / "soft", tmp_path / ".." / tmp_path.name / "input"):
            with pytest.raises(BadInput, match="got an input of this command"):
                write_file(path, "x", MARK, force)
    for path, words in ((tmp_path / "fifo", "a FIFO"), (tmp_path / "link", "a FIFO"), (tmp_path, "a folder"),
                        (Path("/dev/null"), "a device")):  # fmt: skip
        with pytest.raises(BadInput, match=f"got {words}"):
            write_file(path, "x", MARK, force)
    assert source.read_text() == "by hwsim"
    write_file(source, "by hwsim, changed", MARK, force=False)  # outside a command


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "the name of a file"),
        ("a\0b", "the name of a file"),
        ("none/x", "a folder that does not exist"),
        ("file/x", "Not a directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_wrong_names_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(HwsimError, match=words):
        write_file(name, "x", MARK, force=False)
    with pytest.raises(HwsimError):
        make_folder("file/x" if name == "none/x" else name or "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    write_file(path, "by hwsim", MARK, force=False)

    def interrupted(stream) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(path, interrupted, MARK, force=False)
    assert path.read_text() == "by hwsim"
    assert list(tmp_path.iterdir()) == [path]


def test_threads_that_write_one_file_write_whole_ones(tmp_path: Path) -> None:
    path, errors = tmp_path / "run.npz", []

    def save(value: int) -> None:
        try:
            for _ in range(10):
                write_run(path, {"a": np.full(5000, value)})
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(RunFile(path)["a"].tolist())) == 1
    assert list(tmp_path.iterdir()) == [path]
    assert check_output(path, ZIP, force=False) == path


def test_only_temporary_names_of_the_program_are_removed(tmp_path: Path) -> None:
    kept = [".notes", ".git", ".hwsim-x.part", f".hwsim-{'0' * 16}.part~", f".HWSIM-{'0' * 16}.part", "a.partial"]
    for name in kept:
        (tmp_path / name).touch()
    left = new_name(tmp_path / "x")
    left.touch()
    folder, link = (tmp_path / f".hwsim-{digit * 16}.part" for digit in "12")
    folder.mkdir()
    link.symlink_to(".notes")
    remove_unfinished(tmp_path)
    assert is_unfinished(left.name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, folder.name, link.name])
