"""An accelerator as a command line asks for it: a name or a file, and a few changes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hwsim import registry
from hwsim.errors import BadInput
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.cost.iso_area import area_of, size_to_area
from hwsim.machine.description.accelerator import Accelerator, read_record, smallest_kib
from hwsim.machine.description.units import square_micrometres


def accelerator_from_options(
    name: str,
    array: str | None = None,
    dataflow: str | None = None,
    timing: str | None = None,
    iso_area: str | None = None,
) -> tuple[Accelerator, list[str]]:
    """The accelerator `name` (or the TOML file of that path) with another array, dataflow or profile, and notes.

    `iso_area` is an area with its unit, or an accelerator whose PE area is the budget: the array then
    gets as many PEs as it buys. A scratchpad that could not hold one tile of the new array grows to the
    smallest size that can, and a note says so. Raises BadInput or UnknownName as building an accelerator
    does.

    >>> accelerator, notes = choose("tiny", array="64x64")
    >>> accelerator.array.rows, accelerator.array.cols, notes
    (64, 64, ['scratchpads.weight: 2 -> 8 KiB, as half must hold the weights of one fold'])
    """
    record = read_record(Path(name)) if name.endswith(".toml") else registry.find("accelerator", name, "--accelerator")
    changes: dict[str, Any] = {}
    if array is not None:
        changes["array"] = dict(zip(("rows", "cols"), _sizes(array), strict=True))
    if dataflow is not None:
        changes["dataflow"] = dataflow
    if timing is not None:
        changes["timing"] = timing
    values = registry.merge(record.defaults, changes)
    notes = _grow(values) if array is not None or dataflow is not None else []
    chosen = registry.validate(Accelerator, values, "accelerator")
    if iso_area is None:
        return chosen, notes
    sized = size_to_area(chosen, _budget_um2(iso_area))
    notes.append(f"array: {sized.array.rows}x{sized.array.cols} PEs of {area_of(sized) / 1e6:.3f} mm2")
    return sized, notes


def _budget_um2(text: str) -> float:
    """An area with its unit, or that of an accelerator's PEs."""
    if text[:1].isdigit():
        return square_micrometres(text, "--iso-area")
    registry.find("accelerator", text, "--iso-area (an area such as 1.5mm2, or an accelerator)")
    return area_of(registry.build("accelerator", text))


def _sizes(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*(\d+)\s*[xX]\s*(\d+)\s*", text)
    if found is None:
        raise BadInput("--array", text, "ROWSxCOLS, such as 32x32")
    return int(found[1]), int(found[2])


def _grow(values: dict[str, Any]) -> list[str]:
    """Enlarge scratchpads in `values` that are too small for one tile; say which."""
    notes = []
    roomy = {pad: {**values["scratchpads"][pad], "kib": 1 << 20} for pad in SCRATCHPADS}
    try:
        trial = registry.validate(Accelerator, {**values, "scratchpads": roomy}, "accelerator")
    except BadInput:
        return []  # the error is about something else, and comes again
    for pad, (kib, what) in smallest_kib(trial).items():
        given = values["scratchpads"][pad]["kib"]
        if given < kib:
            values["scratchpads"] = registry.merge(values["scratchpads"], {pad: {"kib": kib}})
            notes.append(f"scratchpads.{pad}: {given} -> {kib} KiB, as half must hold {what}")
    return notes
