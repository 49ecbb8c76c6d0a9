"""Compilation of kernels: the disk cache depends on every source file, and no kernel bypasses it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hwsim
from hwsim.kernels.compile import SOURCES, source_stamp

ROOT = Path(hwsim.__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner" / "deep").mkdir(parents=True)
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "inner" / "b.py").write_text("y = 2\n")
    (tmp_path / "inner" / "deep" / "c.py").write_text("z = 3\n")
    (tmp_path / "inner" / "notes.txt").write_text("no source")
    return tmp_path


@pytest.mark.parametrize("path", ["a.py", "inner/b.py", "inner/deep/c.py"])
def test_a_change_in_any_subfolder_changes_the_stamp(folder: Path, path: str) -> None:
    before = source_stamp(folder)
    assert source_stamp(folder) == before
    (folder / path).write_text("x = 4\n")
    assert source_stamp(folder) != before


def test_new_moved_and_split_files_change_the_stamp(folder: Path) -> None:
    stamps = [source_stamp(folder)]
    (folder / "inner" / "d.py").write_text("")
    stamps.append(source_stamp(folder))
    (folder / "inner" / "d.py").rename(folder / "d.py")
    stamps.append(source_stamp(folder))
    (folder / "d.py").write_text("x = 1\n")
    (folder / "a.py").write_text("")
    stamps.append(source_stamp(folder))
    assert len(set(stamps)) == 4
    (folder / "inner" / "notes.txt").write_text("changed")
    assert source_stamp(folder) == stamps[-1]


def test_the_stamp_of_the_package_covers_its_folders() -> None:
    assert source_stamp(ROOT / "kernels") == SOURCES


def uses_of_numba_jit(path: Path) -> Iterator[str]:
    """Yield `jit`, `njit` and `vectorize` that a module imports from numba or reads as its attributes."""
    names = {"jit", "njit", "vectorize", "guvectorize", "cfunc"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "numba":
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "numba":
            yield from {node.attr} & names


def test_only_the_decorator_calls_numba_jit() -> None:
    found = {str(path.relative_to(ROOT)): list(uses_of_numba_jit(path)) for path in ROOT.rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {"kernels/compile.py": ["njit"]}
