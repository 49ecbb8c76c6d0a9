"""An empty data folder for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.datasets import DATA_VARIABLE


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty data folder that the loaders read from."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    return tmp_path
