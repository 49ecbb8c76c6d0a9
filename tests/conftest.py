"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hwsim import registry


@pytest.fixture
def fake_choices() -> Iterator[None]:
    """A registry that holds the stand-ins of `fakes` only, for the length of one test."""
    from tests.support import fakes

    for family in registry.FAMILIES:  # what is loaded for the first time among the stand-ins would be forgotten after
        registry.family(family)
    records, loaded = dict(registry._records), set(registry._loaded)
    fakes.install()
    yield
    registry._records.clear()
    registry._records.update(records)
    registry._loaded.clear()
    registry._loaded.update(loaded)
