"""The verdicts of the committed table follow from its numbers."""

from __future__ import annotations

import pytest

from tests.oracles.group import MIN_OUTPUTS, Count
from tests.oracles.oracles import ORACLES
from tests.oracles.table import EXACT, UNEXPECTED, read, verdict

ROWS = {row.operator: row for row in read()}
GROUPS = {group.operator: group for oracle in ORACLES.values() for group in oracle.groups}


def test_every_operator_has_its_row() -> None:
    assert list(ROWS) == list(GROUPS), "the table is out of date: make test-oracles"


@pytest.mark.parametrize("operator", GROUPS)
def test_exact_means_no_mismatch_in_a_million_outputs(operator: str) -> None:
    row, group = ROWS[operator], GROUPS[operator]
    assert row.verdict == verdict(group.why_not, row.count)
    assert row.count.outputs >= MIN_OUTPUTS
    if row.verdict == EXACT:
        assert (row.count.mismatches, row.count.kernel_mismatches) == (0, 0)
    assert UNEXPECTED not in row.verdict
    assert any(sign.isdigit() for sign in row.tool)


def test_a_claim_needs_numbers() -> None:
    assert verdict("", Count(MIN_OUTPUTS)) == EXACT
    assert verdict("", Count(MIN_OUTPUTS - 1)) != EXACT
    assert verdict("", Count(MIN_OUTPUTS, mismatches=1)) == UNEXPECTED
    assert verdict("", Count(MIN_OUTPUTS, 0, MIN_OUTPUTS, 1)) == UNEXPECTED
    assert verdict("it rounds twice", Count(MIN_OUTPUTS)) != EXACT
