"""Caches where neither the package nor the home folder can be written to: a private temporary folder, and one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwsim import cache_folder, status
from hwsim.cache_folder import is_writable, prepare_matplotlib, temporary_cache
from tests.support.interrupts import ROOT

NO_LOCATOR = """
import sys
from numba.core import caching
for locator in (caching.InTreeCacheLocator, caching.UserWideCacheLocator):
    locator.ensure_cache_path = lambda self: (_ for _ in ()).throw(PermissionError("read-only"))
"""
"""Numba as on a machine on which neither the package folder nor the user's cache folder can be written to."""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache_folder.tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_the_folder_is_private_and_the_same_every_time(temporary: Path) -> None:
    folder = temporary_cache()
    assert folder is not None
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o777 == 0o700
    assert temporary_cache() == folder


def test_a_folder_of_somebody_else_is_not_used(temporary: Path) -> None:
    first = temporary_cache()
    assert first is not None
    first.chmod(0o777)
    second, third = temporary_cache(), temporary_cache()
    assert second is not None
    assert third is not None
    assert len({first, second, third}) == 3
    first.rmdir()
    (temporary / "elsewhere").mkdir(mode=0o700)
    first.symlink_to(temporary / "elsewhere")
    assert temporary_cache() not in (None, first)


def test_no_temporary_folder_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(cache_folder.tempfile, "gettempdir", none)
    assert temporary_cache() is None


def test_a_folder_below_a_file_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not is_writable(tmp_path / "file" / "folder")
    assert is_writable(tmp_path / "new" / "folder")


def test_matplotlib_gets_a_folder_only_where_it_has_none(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setattr(cache_folder, "_matplotlib_folders", lambda: [temporary / "home"])
    prepare_matplotlib()
    assert "MPLCONFIGDIR" not in os.environ
    (temporary / "file").write_text("")
    monkeypatch.setattr(cache_folder, "_matplotlib_folders", lambda: [temporary / "file" / "home"])
    prepare_matplotlib()
    assert Path(os.environ["MPLCONFIGDIR"]).parent == temporary_cache()
    monkeypatch.delenv("MPLCONFIGDIR")


def test_kernels_are_kept_in_the_temporary_folder_with_one_line(tmp_path: Path) -> None:
    script = NO_LOCATOR + (
        "from hwsim.kernels.membership.roc import _roc_counts, roc_counts\n"
        "import numpy as np, os\n"
        "roc_counts(np.array([2.0, 1.0]), np.array([True, False]))\n"
        "print(_roc_counts.stats.cache_path); print(os.environ['NUMBA_CACHE_DIR'])\n"
    )
    env = {name: value for name, value in os.environ.items() if name not in ("HWSIM_QUIET", "NUMBA_CACHE_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300,
        env=env | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("hwsim-*")
    assert done.stdout.splitlines()[1] == str(folder)
    assert done.stdout.startswith(str(folder))
    assert list(folder.rglob("*.nbi"))
    assert done.stderr == (
        f"hwsim: neither the package nor the home folder can be written to: compiled kernels are kept in {folder}\n"
    )


def test_status_lines_can_be_silenced(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    status.status("silent")
    monkeypatch.delenv("HWSIM_QUIET")
    status.status("heard")
    assert capsys.readouterr().err == "hwsim: heard\n"
