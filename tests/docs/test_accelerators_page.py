"""The layer that docs/accelerators.md works by hand comes out as written there."""

from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "accelerators.md"


def test_worked_layer() -> None:
    failures, examples = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert (failures, examples > 5) == (0, True)
