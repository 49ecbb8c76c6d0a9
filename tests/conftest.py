"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hwsim import registry

os.environ["HWSIM_QUIET"] = "1"  # tests compare standard error, whatever is compiled meanwhile


@pytest.fixture
def fake_choices() -> Iterator[None]:
    """Registry with the records of `fakes` only, for one test."""
    from tests.support import fakes

    with registry.only(fakes.RECORDS):
        yield
