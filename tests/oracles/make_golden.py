"""`python -m tests.oracles.make_golden [ORACLE ...]`: run the installed tools and write tests/oracles/golden/*.npz."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from hwsim.arithmetic import ceil_div
from tests.oracles.case import Case
from tests.oracles.golden import FOLDER, Golden, save
from tests.oracles.group import Oracle
from tests.oracles.oracles import ORACLES

MAX_INTEGERS = 12_000
"""Largest number of integers of one case."""

MAX_CASES = 6
"""Largest number of cases of one operator."""

SEED = 2**31
"""First seed of the committed cases, beyond the seeds of live runs."""


def main() -> None:
    """Write the files of the named oracles, or of all oracles."""
    for name in sys.argv[1:] or list(ORACLES):
        golden = Golden(ORACLES[name].version(), tuple(cases(ORACLES[name])))
        path = FOLDER / f"{name}.npz"
        save(path, golden)
        print(f"{path.name}: {len(golden.cases)} cases, {path.stat().st_size} bytes")


def cases(oracle: Oracle) -> Iterator[tuple[str, Case]]:
    """Yield up to MAX_CASES cases of one round for every operator that claims exactness."""
    for number, group in enumerate(oracle.groups):
        if group.why_not:
            continue
        small = [
            case
            for case in group.cases(np.random.default_rng(SEED + number), group.golden)
            if size(case) <= MAX_INTEGERS
        ]
        step = ceil_div(len(small), MAX_CASES)
        yield from ((group.operator, case) for case in small[number % step :: step])


def size(case: Case) -> int:
    """Return the number of integers of operands, weights and outputs."""
    weights = 0 if case.layer.weight is None else case.layer.weight.codes.size
    return sum(x.size for x in case.operands) + weights + case.expected.size


if __name__ == "__main__":
    main()
