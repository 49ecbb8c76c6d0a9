"""Inventory of the data folder: present, missing and damaged data sets, and how to get them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.files import DATA_VARIABLE, UNVERIFIED
from hwsim.errors import HwsimError
from hwsim.registry import family

State = Literal["bundled", "present", "missing", "damaged"]


@dataclass(frozen=True)
class InventoryEntry:
    """One data set and the state of its files.

    Attributes
    ----------
    name : name of the data set
    state : bundled (needs no file), present, missing, or damaged (the file was read and is not the right one)
    verified : True where the file was read and its checksum is right
    samples, shape, classes, license : as in DatasetCard
    place : file that was found, or the alternatives that were searched
    how_to_get : instructions to get the files
    problem : error of a damaged file
    """

    name: str
    state: State
    verified: bool
    samples: int
    shape: tuple[int, ...]
    classes: int
    license: str
    place: str
    how_to_get: str
    problem: str = ""


def inventory(verify: bool = False) -> list[InventoryEntry]:
    """Return every registered data set with the state of its files in the folder `HWSIM_DATA`.

    With `verify`, every file is read and its checksums are compared.

    >>> [entry.state for entry in inventory() if entry.name == "digits"]
    ['bundled']
    """
    return [
        _entry(name, factory, factory.card, verify)
        for name, factory in ((name, cast(type[Dataset], record.factory)) for name, record in family("dataset").items())
        if factory.card is not None
    ]


def _entry(name: str, factory: type[Dataset], card: DatasetCard, verify: bool) -> InventoryEntry:
    found = _find(card)
    state: State = "bundled" if not card.files else "present" if found else "missing"
    problem, verified = _read(factory) if verify and state == "present" else ("", False)
    if problem:
        state = "damaged"
    return InventoryEntry(
        name,
        state,
        verified=verified,
        samples=card.samples,
        shape=card.shape,
        classes=card.classes,
        license=card.license,
        place=found or " or ".join(card.files),
        how_to_get=card.how_to_get,
        problem=problem,
    )


def _find(card: DatasetCard) -> str:
    """Return the file of a data set below the data folder, empty where there is none."""
    folder = os.environ.get(DATA_VARIABLE)
    return next((file for file in card.files if folder and (Path(folder) / file).is_file()), "")


def _read(factory: type[Dataset]) -> tuple[str, bool]:
    """Read a data set; returns its error, empty without one, and whether a checksum verified its files."""
    try:
        return "", UNVERIFIED not in Pool(*factory().arrays()).remark
    except HwsimError as error:
        return str(error), False


def inventory_table(entries: Sequence[InventoryEntry]) -> str:
    """Return the inventory as text: one line for each data set, then instructions for missing and damaged ones.

    >>> toy = InventoryEntry("toy", "missing", False, 4, (2,), 2, "MIT", "toy/toy.npz", "from example.org")
    >>> print(inventory_table([toy]))
    data set  state    samples  shape  classes  license
    toy       missing        4  2            2  MIT
    <BLANKLINE>
    toy: put toy/toy.npz into the data folder, from example.org
    """
    rows = [("data set", "state", "samples", "shape", "classes", "license")]
    rows += [
        (
            entry.name,
            entry.state + (", verified" if entry.verified else ""),
            f"{entry.samples:,}",
            "x".join(map(str, entry.shape)),
            str(entry.classes),
            entry.license,
        )
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    justify = [str.rjust if title in ("samples", "classes") else str.ljust for title in rows[0]]
    lines = ["  ".join(just(cell, w) for just, cell, w in zip(justify, row, widths, strict=True)) for row in rows]
    instructions = [
        f"{entry.name}: {entry.problem or f'put {entry.place} into the data folder, {entry.how_to_get}'}"
        for entry in entries
        if entry.state in ("missing", "damaged")
    ]
    return "\n".join([*(line.rstrip() for line in lines), *([""] if instructions else []), *instructions])
