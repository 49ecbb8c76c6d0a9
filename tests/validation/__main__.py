"""`python -m tests.validation [-o PAGE.md]`: compare, write the page; exit status 1 when an exact one is not exact."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.validation.page import Made, markdown
from tests.validation.rows import Section
from tests.validation.sections import SECTIONS

PAGE = Path(__file__).parents[2] / "docs" / "validation.md"


def main() -> None:
    """Compare, print what was found, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.validation", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=PAGE, metavar="PAGE.md", help="where the page goes")
    output = parser.parse_args().output
    made = [_made(section) for section in SECTIONS]
    output.write_text(markdown(made), encoding="utf-8")
    print(f"written to {output}")
    if wrong := [group.what for _, groups in made for group in groups if group.wrong]:
        sys.exit(f"not exact: {'; '.join(wrong)}")


def _made(section: Section) -> Made:
    """The groups of a section, with a word about the time that they took."""
    start = time.perf_counter()
    groups = section.make()
    print(f"{section.title}: {time.perf_counter() - start:.0f} s", flush=True)
    for group in groups:
        print(f"    {group.what}: {group.verdict}", flush=True)
    return section, groups


if __name__ == "__main__":
    main()
