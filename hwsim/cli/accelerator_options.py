"""Accelerator options of the command line: a name or a file, with another array, dataflow, timing or area."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from hwsim import registry
from hwsim.errors import BadInput, UnknownName
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.cost.iso_area import area_of, size_to_area
from hwsim.machine.description.accelerator import Accelerator, min_scratchpad_kib
from hwsim.machine.description.toml_file import is_accelerator_file, read_record
from hwsim.machine.description.units import square_micrometers


def accelerator_label(name: str) -> str:
    """Return the name of an accelerator in texts and figures: that of its file without folder and ending.

    >>> accelerator_label("chips/mine.toml"), accelerator_label("tiny")
    ('mine', 'tiny')
    """
    return Path(name).stem if is_accelerator_file(name) else name


def accelerator_from_options(
    name: str,
    array: str | None = None,
    dataflow: str | None = None,
    timing: str | None = None,
    iso_area: str | None = None,
    mapping: str | None = None,
) -> tuple[Accelerator, list[str]]:
    """Return the accelerator that the options describe, and notes about what was adjusted.

    A scratchpad that cannot hold one tile of the new array grows to the smallest size that can, with a note.
    Raises BadInput or UnknownName as building an accelerator does.

    Parameters
    ----------
    name : registry name, or the path of a TOML file
    array : "ROWSxCOLS"
    dataflow, timing : values of these accelerator fields
    iso_area : an area with its unit, or the name of an accelerator whose PE area is the budget; the array then
        gets the largest number of PEs within it
    mapping : objective of the tiling search, a value of `optimize`

    >>> accelerator, notes = accelerator_from_options("tiny", array="64x64")
    >>> accelerator.array.rows, accelerator.array.cols, notes
    (64, 64, ['scratchpads.weight: 2 -> 8 KiB, as half must hold the weights of one fold'])
    """
    is_file = is_accelerator_file(name)
    record = read_record(Path(name)) if is_file else registry.find("accelerator", name, "--accelerator")
    changes: dict[str, Any] = {}
    if array is not None:
        changes["array"] = dict(zip(("rows", "cols"), _rows_and_cols(array), strict=True))
    if dataflow is not None:
        changes["dataflow"] = dataflow
    if timing is not None:
        changes["timing"] = timing
    if mapping is not None:
        objectives = get_args(Accelerator.model_fields["optimize"].annotation)
        if mapping not in objectives:
            raise UnknownName("--mapping", mapping, objectives)
        changes["optimize"] = mapping
    values = registry.merge(record.defaults, changes)
    notes = _enlarge_scratchpads(values) if array is not None or dataflow is not None else []
    chosen = registry.validate(Accelerator, values, "accelerator")
    if iso_area is None:
        return chosen, notes
    sized = size_to_area(chosen, _budget_um2(iso_area))
    notes.append(f"array: {sized.array.rows}x{sized.array.cols} PEs of {area_of(sized) / 1e6:.3f} mm2")
    return sized, notes


def _budget_um2(text: str) -> float:
    """Return an area with its unit, or the PE area of the accelerator of this name."""
    if text[:1].isdigit():
        return square_micrometers(text, "--iso-area")
    registry.find("accelerator", text, "--iso-area (an area such as 1.5mm2, or an accelerator)")
    return area_of(registry.build("accelerator", text))


def _rows_and_cols(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*([0-9]{1,9})\s*[xX]\s*([0-9]{1,9})\s*", text)
    if found is None:
        raise BadInput("--array", text, "ROWSxCOLS, such as 32x32, at most 4096x4096")
    return int(found[1]), int(found[2])


def _enlarge_scratchpads(values: dict[str, Any]) -> list[str]:
    """Enlarge the scratchpads in `values` that are too small for one tile; return one note for each."""
    notes = []
    largest = {name: {**values["scratchpads"][name], "kib": 1 << 20} for name in SCRATCHPADS}
    try:
        trial = registry.validate(Accelerator, {**values, "scratchpads": largest}, "accelerator")
    except BadInput:
        return []  # the error is not about sizes; building the accelerator raises it again
    for name, (kib, contents) in min_scratchpad_kib(trial).items():
        given = values["scratchpads"][name]["kib"]
        if given < kib:
            values["scratchpads"] = registry.merge(values["scratchpads"], {name: {"kib": kib}})
            notes.append(f"scratchpads.{name}: {given} -> {kib} KiB, as half must hold {contents}")
    return notes
