"""What all tests of the engine have in common."""

from __future__ import annotations

import pytest

from hwsim.engine import execute


@pytest.fixture(autouse=True)
def threads_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks of tests are small: let them use all threads all the same."""
    monkeypatch.setattr(execute, "SHARED_WORK", 0)
