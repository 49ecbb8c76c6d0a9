"""The definition and the kernels give the committed answers of every oracle, none of which need be installed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from hwsim.network.layer import Requantizer, Rounding
from tests.oracles.case import executed_mismatches, mismatches
from tests.oracles.golden import FOLDER, Golden, load
from tests.oracles.oracles import ORACLES

CLAIMED = [(name, group.operator) for name, oracle in ORACLES.items() for group in oracle.groups if not group.why_not]


@cache
def golden(name: str) -> Golden:
    return load(FOLDER / f"{name}.npz")


@pytest.mark.parametrize(("oracle", "operator"), CLAIMED)
def test_definition_gives_the_committed_answers(oracle: str, operator: str) -> None:
    cases = [case for name, case in golden(oracle).cases if name == operator]
    assert cases, "no golden vectors: run python -m tests.oracles.make_golden"
    assert [mismatches(case) for case in cases] == [0] * len(cases)


@pytest.mark.parametrize("oracle", ORACLES)
def test_kernels_give_the_committed_answers(oracle: str) -> None:
    found = {i: executed_mismatches(case) for i, (_, case) in enumerate(golden(oracle).cases)}
    assert {i: count for i, count in found.items() if count} == {}


@pytest.mark.parametrize("oracle", ORACLES)
def test_files_name_their_tools_and_hold_nothing_unclaimed(oracle: str) -> None:
    file = golden(oracle)
    assert any(sign.isdigit() for sign in file.versions)
    assert {operator for operator, _ in file.cases} == {operator for name, operator in CLAIMED if name == oracle}
    assert (FOLDER / f"{oracle}.npz").stat().st_size < 100_000


@pytest.mark.parametrize("oracle", ORACLES)
def test_another_rounding_is_noticed(oracle: str) -> None:
    """The vectors hold ties: whatever one-step rounding replaces the right one, some answers change."""
    for rounding in (Rounding.HALF_UP, Rounding.HALF_EVEN, Rounding.HALF_AWAY):
        changed = 0
        for _, case in golden(oracle).cases:
            r = case.layer.requantizer
            if isinstance(r, Requantizer) and r.rounding not in (rounding, Rounding.F32_HALF_EVEN):
                changed += mismatches(
                    replace(case, layer=replace(case.layer, requantizer=replace(r, rounding=rounding)))
                )
        right_everywhere = {"ort": Rounding.HALF_EVEN, "brevitas_pow2": Rounding.HALF_EVEN}.get(oracle)
        assert changed or rounding is right_everywhere
