"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hwsim import registry


@pytest.fixture
def fake_choices() -> Iterator[None]:
    """Registry with the records of `fakes` only, for one test."""
    from tests.support import fakes

    with registry.only(fakes.RECORDS):
        yield
