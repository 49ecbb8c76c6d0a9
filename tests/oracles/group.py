"""Rows of the table of exactness: a group of cases for one operator, and what came out of comparing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tests.oracles.case import Case, executed_mismatches, mismatches

ENOUGH = 10**6
"""Outputs that must agree before a row may call itself exact."""


@dataclass(frozen=True)
class Group:
    """One operator of one oracle.

    `cases(rng, samples)` yields one round of cases, adversarial ones included; every round draws
    others, with `samples` samples in a live run and `golden` samples for the committed vectors.
    `why_not` is the reason why HQ1 has no exact policy for it, "" where it claims exactness.
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
    """A tool with its version and its groups; both are read only when the tool is installed."""

    name: str
    package: str
    version: Callable[[], str]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Count:
    """Outputs compared and found different, for the definition and for `hwsim.execute`."""

    outputs: int = 0
    mismatches: int = 0
    executed: int = 0
    executed_mismatches: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.outputs + other.outputs,
            self.mismatches + other.mismatches,
            self.executed + other.executed,
            self.executed_mismatches + other.executed_mismatches,
        )


def count(case: Case) -> Count:
    """Compare one case."""
    run = executed_mismatches(case)
    size = case.answer.size
    return Count(size, mismatches(case), 0 if run is None else size, run or 0)


def measure(group: Group, target: int, samples: int | None = None) -> Count:
    """Compare round after round, each from its own seed, until `target` outputs were compared."""
    total, seed = Count(), 0
    while total.outputs < target:
        for case in group.cases(np.random.default_rng(seed), samples or group.samples):
            total += count(case)
        seed += 1
    return total
