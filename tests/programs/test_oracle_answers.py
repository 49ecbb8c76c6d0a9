"""The definition and the kernels equal the committed outputs of every oracle; no oracle needs to be installed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from hwsim.network.layer import Requantizer, Rounding
from tests.oracles.case import kernel_mismatches, mismatches
from tests.oracles.golden import FOLDER, Golden, load
from tests.oracles.oracles import ORACLES

CLAIMED = [(name, group.operator) for name, oracle in ORACLES.items() for group in oracle.groups if not group.why_not]


@cache
def golden(name: str) -> Golden:
    return load(FOLDER / f"{name}.npz")


@pytest.mark.parametrize(("oracle", "operator"), CLAIMED)
def test_definition_equals_the_committed_outputs(oracle: str, operator: str) -> None:
    cases = [case for name, case in golden(oracle).cases if name == operator]
    assert cases, "no golden vectors: run python -m tests.oracles.make_golden"
    assert [mismatches(case) for case in cases] == [0] * len(cases)


@pytest.mark.parametrize("oracle", ORACLES)
def test_kernels_equal_the_committed_outputs(oracle: str) -> None:
    found = {i: kernel_mismatches(case) for i, (_, case) in enumerate(golden(oracle).cases)}
    assert {i: count for i, count in found.items() if count} == {}


@pytest.mark.parametrize("oracle", ORACLES)
def test_files_contain_tool_versions_and_claimed_operators_only(oracle: str) -> None:
    file = golden(oracle)
    assert any(sign.isdigit() for sign in file.versions)
    assert {operator for operator, _ in file.cases} == {operator for name, operator in CLAIMED if name == oracle}
    assert (FOLDER / f"{oracle}.npz").stat().st_size < 100_000


@pytest.mark.parametrize("oracle", ORACLES)
def test_another_rounding_changes_the_outputs(oracle: str) -> None:
    """The vectors contain ties: another one-step rounding changes some outputs."""
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
