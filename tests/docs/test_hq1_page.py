"""docs/hq1.md: the examples of the roundings are right, and every policy is named."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hwsim import reference
from hwsim.formats import Kind
from hwsim.network.layer import Op, Overflow, Rounding

PAGE = (Path(__file__).parents[2] / "docs" / "hq1.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", [rule for rule in Rounding if rule.one_step])
def test_the_examples_of_each_rounding(rule: Rounding) -> None:
    row = re.search(rf"^\| `{rule}`.*\| (-?\d+), (-?\d+), (-?\d+) \|$", PAGE, re.MULTILINE)
    assert row is not None
    quarters = np.array([10, -10, 7])
    assert reference.round_shift(quarters, 2, rule).tolist() == [int(word) for word in row.groups()]


@pytest.mark.parametrize("word", [*Rounding, *Overflow, *Kind, *Op])
def test_every_policy_is_named(word: str) -> None:
    assert f"`{word}`" in PAGE
