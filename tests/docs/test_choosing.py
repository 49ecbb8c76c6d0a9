"""docs/choosing.md: its names are in the registry, its figures in the pages that it links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hwsim.registry import family

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "choosing.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


PARAMETERS = {"narrow_range", "noise", "resolution"}
"""Words in the column of choices that are parameters."""


@pytest.mark.parametrize("section", ["Quantizer", "Attack", "Output channel", "Accelerator", "Technology"])
def test_every_choice_is_in_the_registry(section: str) -> None:
    rows = re.findall(r"^\|[^|]+\|([^|]+)\|", SECTIONS[section], re.MULTILINE)
    names = {name for cell in rows for name in re.findall(r"`([a-z]\w*)`", cell)} - PARAMETERS
    assert names <= set(family(section.split()[-1].lower()))
    assert len(names) > 3


def test_every_figure_is_in_a_linked_page() -> None:
    for section in SECTIONS.values():
        linked = [(DOCS / link).read_text(encoding="utf-8") for link in re.findall(r"\]\(([^)]+\.md)\)", section)]
        for figure in re.findall(r"(?<![\d.])(?:0?)(\.\d{3})\b", section):
            assert any(re.search(rf"(?<!\d)0?{re.escape(figure)}(?!\d)", text) for text in linked), figure
