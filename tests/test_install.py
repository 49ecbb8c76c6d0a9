"""The editable install of a clone named hwsim: Python in the folder above it imports the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_python_above_the_clone_imports_the_package(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="the build backend")
    (clone := tmp_path / "hwsim").mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    for package in ("hwsim", "accel_models"):
        (clone / package).mkdir()
        (clone / package / "__init__.py").write_text("__version__ = 'of the package'\n")
    build = "from setuptools.build_meta import build_editable; build_editable('..')"
    subprocess.run([sys.executable, "-c", build], cwd=clone, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    look = "import site; site.addsitedir('site'); import hwsim; print(hwsim.__version__)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", look], cwd=tmp_path, capture_output=True, text=True, check=False, env={}
    )
    assert done.stdout == "of the package\n", done.stderr
