"""Measure some or all groups, print the speed table, and write build/bench.csv."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

from tests.bench.groups import GROUPS
from tests.bench.row import Row
from tests.bench.table import format_table, write_csv
from tests.bench.threads import THREADS

CSV = Path("build/bench.csv")


def main() -> None:
    """Measure the chosen groups, print the table and write the CSV file."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"any of {', '.join(GROUPS)}; default: all")
    chosen = parser.parse_args().groups or list(GROUPS)
    if unknown := set(chosen) - set(GROUPS):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    rows = [row for group in chosen for row in measure(group)]
    print(f"\n{format_table(rows)}\n")
    judged = [row for row in rows if not math.isnan(row.goal)]
    print(f"{sum(row.met for row in judged)} of {len(judged)} goals met (< marks a missed goal); {THREADS} threads")
    write_csv(rows, CSV)
    print(f"written to {CSV}")


def measure(group: str) -> list[Row]:
    """Return the rows of one group, and print the time of the measurement."""
    start = time.perf_counter()
    rows = list(GROUPS[group]())
    print(f"{group}: {time.perf_counter() - start:.0f} s", flush=True)
    return rows


if __name__ == "__main__":
    main()
