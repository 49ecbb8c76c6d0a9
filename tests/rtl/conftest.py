"""Tests of the circuit need Verilator and a C++ compiler; HWSIM_REQUIRE_RTL=1 forbids to skip them."""

from __future__ import annotations

import os

import pytest

from tests.rtl.build import tools


@pytest.fixture(autouse=True)
def _tools() -> None:
    found = tools()
    if isinstance(found, str):
        if os.environ.get("HWSIM_REQUIRE_RTL") == "1":
            pytest.fail(f"HWSIM_REQUIRE_RTL=1, but {found}")
        pytest.skip(found)
