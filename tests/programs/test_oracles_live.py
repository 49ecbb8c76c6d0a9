"""Comparison with the installed oracles on a few outputs; `make test-oracles` compares a million per operator."""

from __future__ import annotations

import warnings

import pytest

from tests.oracles import ap_fixed
from tests.oracles.group import Group, Oracle, measure
from tests.oracles.oracles import ORACLES

QUICK = 20_000
GROUPS = [(oracle, group) for oracle in ORACLES.values() for group in oracle.groups]


@pytest.mark.parametrize(("oracle", "group"), GROUPS, ids=[f"{o.name}: {g.operator}" for o, g in GROUPS])
def test_definition_and_kernels_agree_with_the_tool(oracle: Oracle, group: Group) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tools' own imports
        if oracle.name != "ap_fixed":
            pytest.importorskip(oracle.package, reason=f"{oracle.package} is not installed: make test-oracles")
        elif not ap_fixed.available():  # only the headers of hls4ml are installed, which cannot be imported
            pytest.skip("hls4ml or g++ is not installed: make test-oracles")
        found = measure(group, QUICK)
    if group.why_not:
        assert found.mismatches < found.outputs / 10
    else:
        assert (found.mismatches, found.kernel_mismatches) == (0, 0)
