"""`python -m tests.oracles.make_golden [ORACLE ...]`: ask the installed tools and write tests/oracles/golden/*.npz."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from tests.oracles.case import Case
from tests.oracles.golden import FOLDER, Golden, save
from tests.oracles.group import Oracle
from tests.oracles.oracles import ORACLES

LARGEST = 12_000
"""Integers that one case may hold."""

MOST = 6
"""Cases that one operator may have."""

SEED = 2**31
"""Far from the seeds of live runs."""


def main() -> None:
    """Write the files of the oracles that are named, or of all."""
    for name in sys.argv[1:] or list(ORACLES):
        golden = Golden(ORACLES[name].version(), tuple(cases(ORACLES[name])))
        path = FOLDER / f"{name}.npz"
        save(path, golden)
        print(f"{path.name}: {len(golden.cases)} cases, {path.stat().st_size} bytes")


def cases(oracle: Oracle) -> Iterator[tuple[str, Case]]:
    """Cases of every operator that claims to be exact: one round, thinned where a round has many."""
    for number, group in enumerate(oracle.groups):
        if group.why_not:
            continue
        small = [
            case for case in group.cases(np.random.default_rng(SEED + number), group.golden) if size(case) <= LARGEST
        ]
        step = -(-len(small) // MOST)
        yield from ((group.operator, case) for case in small[number % step :: step])


def size(case: Case) -> int:
    """Integers of operands, weights and answers."""
    weights = 0 if case.layer.weight is None else case.layer.weight.codes.size
    return sum(x.size for x in case.operands) + weights + case.answer.size


if __name__ == "__main__":
    main()
