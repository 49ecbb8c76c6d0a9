"""The page of result columns is the one that the records give."""

from __future__ import annotations

from pathlib import Path

from hwsim.report.pages.columns_page import columns_page

PAGE = Path(__file__).parents[2] / "docs" / "columns.md"


def test_the_page_equals_the_records() -> None:
    assert PAGE.read_text(encoding="utf-8") == columns_page(), "run python -m hwsim.report.pages.columns_page"
