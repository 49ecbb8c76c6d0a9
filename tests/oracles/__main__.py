"""`python -m tests.oracles [ORACLE ...]`: run the tools, print the table; for all tools, write docs/exactness.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec

from tests.oracles import ap_fixed
from tests.oracles.group import MIN_OUTPUTS, Oracle, measure
from tests.oracles.oracles import ORACLES
from tests.oracles.table import DOCUMENT, UNEXPECTED, Row, markdown, row, write


def main() -> None:
    """Compare and print; the exit status is 1 if a row that claims exactness is not exact."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracles", description=__doc__)
    parser.add_argument("oracles", nargs="*", metavar="ORACLE", help=f"any of {', '.join(ORACLES)}; default: all")
    parser.add_argument("--outputs", type=int, default=MIN_OUTPUTS, help="outputs per operator, at least")
    chosen = parser.parse_args()
    names = chosen.oracles or list(ORACLES)
    if unknown := set(names) - set(ORACLES):
        parser.error(f"no oracle {', '.join(sorted(unknown))}; allowed: {', '.join(ORACLES)}")
    if missing := [ORACLES[name].package for name in names if find_spec(ORACLES[name].package) is None]:
        parser.error(f"{', '.join(missing)} not installed: make test-oracles installs them")
    if "ap_fixed" in names and not ap_fixed.available():
        parser.error("g++ is not installed, and ap_fixed.h must be compiled")
    rows = [line for name in names for line in measured(ORACLES[name], chosen.outputs)]
    print(f"\n{markdown(rows)}\n")
    if not chosen.oracles:
        write(rows)
        print(f"written to {DOCUMENT}")
    if wrong := [line.operator for line in rows if line.verdict == UNEXPECTED]:
        sys.exit(f"not exact: {'; '.join(wrong)}")


def measured(oracle: Oracle, outputs: int) -> Iterator[Row]:
    """Yield the rows of one oracle and print the time of each."""
    tool = oracle.version()
    for group in oracle.groups:
        start = time.perf_counter()
        found = measure(group, outputs)
        seconds = time.perf_counter() - start
        print(f"{seconds:5.1f} s  {found.mismatches:8,} of {found.outputs:,}  {group.operator}", flush=True)
        yield row(group, found, tool)


if __name__ == "__main__":
    main()
