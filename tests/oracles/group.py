"""Groups of cases, one per operator of an oracle, and the counts of their comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tests.oracles.case import Case, kernel_mismatches, mismatches

MIN_OUTPUTS = 10**6
"""Smallest number of compared outputs of an exact row."""


@dataclass(frozen=True)
class Group:
    """One operator of one oracle.

    Attributes
    ----------
    profile : profile of the tool
    operator : operator of the tool
    policy : corresponding policy of HQ1
    cases : function of (rng, samples) that yields one round of cases, adversarial cases included
    why_not : reason why no policy of HQ1 is exact; empty for a claim of exactness
    samples : samples per case in a live run
    golden : samples per case in the committed vectors
    """

    profile: str
    operator: str
    policy: str
    cases: Callable[[np.random.Generator, int], Iterator[Case]]
    why_not: str = ""
    samples: int = 16
    golden: int = 1


@dataclass(frozen=True)
class Oracle:
    """A tool: name, Python package, version and groups; only `version` and the cases need the tool."""

    name: str
    package: str
    version: Callable[[], str]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Count:
    """Number of compared outputs and of mismatches, for the definition and for `hwsim.execute`."""

    outputs: int = 0
    mismatches: int = 0
    kernel_outputs: int = 0
    kernel_mismatches: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.outputs + other.outputs,
            self.mismatches + other.mismatches,
            self.kernel_outputs + other.kernel_outputs,
            self.kernel_mismatches + other.kernel_mismatches,
        )


def count(case: Case) -> Count:
    """Compare one case with the definition and the kernels."""
    different = kernel_mismatches(case)
    size = case.expected.size
    return Count(size, mismatches(case), 0 if different is None else size, different or 0)


def measure(group: Group, target: int, samples: int | None = None) -> Count:
    """Compare rounds of cases, each with its own seed, until `target` outputs are compared."""
    total, seed = Count(), 0
    while total.outputs < target:
        for case in group.cases(np.random.default_rng(seed), samples or group.samples):
            total += count(case)
        seed += 1
    return total
