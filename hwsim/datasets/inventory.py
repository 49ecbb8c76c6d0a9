"""What lies in the data folder, what is missing or damaged, and how to get it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from hwsim.datasets.base import Card, Dataset, Pool
from hwsim.datasets.files import DATA_VARIABLE, UNVERIFIED
from hwsim.errors import HwsimError
from hwsim.registry import family

State = Literal["bundled", "present", "missing", "damaged"]


@dataclass(frozen=True)
class Entry:
    """One data set and the state of its files.

    `state`: bundled needs no file; present means that a file is there and, when `verified`, that its
    checksum is the right one; damaged that it was read and refused. `place` is where it was looked for.
    """

    name: str
    state: State
    verified: bool
    samples: int
    shape: tuple[int, ...]
    classes: int
    licence: str
    place: str
    get: str
    problem: str = ""


def inventory(verify: bool = False) -> list[Entry]:
    """Every registered data set with the state of its files in the folder that `HWSIM_DATA` names.

    `verify` reads every file that is there, one after the other, and compares its checksums.

    >>> [entry.state for entry in inventory() if entry.name == "digits"]
    ['bundled']
    """
    return [
        _entry(name, make, make.card, verify)
        for name, make in ((name, cast(type[Dataset], record.factory)) for name, record in family("dataset").items())
        if make.card is not None
    ]


def _entry(name: str, make: type[Dataset], card: Card, verify: bool) -> Entry:
    found = _find(card)
    state: State = "bundled" if not card.files else "present" if found else "missing"
    problem, verified = _read(make) if verify and state == "present" else ("", False)
    if problem:
        state = "damaged"
    return Entry(
        name,
        state,
        verified=verified,
        samples=card.samples,
        shape=card.shape,
        classes=card.classes,
        licence=card.licence,
        place=found or " or ".join(card.files),
        get=card.get,
        problem=problem,
    )


def _find(card: Card) -> str:
    folder = os.environ.get(DATA_VARIABLE)
    return next((file for file in card.files if folder and (Path(folder) / file).is_file()), "")


def _read(make: type[Dataset]) -> tuple[str, bool]:
    """What is wrong with the files of a data set, and whether a checksum says that they are right."""
    try:
        return "", UNVERIFIED not in Pool(*make().arrays()).remark
    except HwsimError as error:
        return str(error), False


def table(entries: Sequence[Entry]) -> str:
    """The inventory as text: one line for each data set, then how to get what is missing or damaged.

    >>> print(table([Entry("toy", "missing", False, 4, (2,), 2, "MIT", "toy/toy.npz", "from example.org")]))
    data set  state    samples  shape  classes  licence
    toy       missing        4  2            2  MIT
    <BLANKLINE>
    toy: put toy/toy.npz into the data folder, from example.org
    """
    rows = [("data set", "state", "samples", "shape", "classes", "licence")]
    rows += [
        (
            entry.name,
            entry.state + (", verified" if entry.verified else ""),
            f"{entry.samples:,}",
            "x".join(map(str, entry.shape)),
            str(entry.classes),
            entry.licence,
        )
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pads = [str.rjust if title in ("samples", "classes") else str.ljust for title in rows[0]]
    lines = ["  ".join(pad(cell, w) for pad, cell, w in zip(pads, row, widths, strict=True)) for row in rows]
    wanted = [
        f"{entry.name}: {entry.problem or f'put {entry.place} into the data folder, {entry.get}'}"
        for entry in entries
        if entry.state in ("missing", "damaged")
    ]
    return "\n".join([*(line.rstrip() for line in lines), *([""] if wanted else []), *wanted])
