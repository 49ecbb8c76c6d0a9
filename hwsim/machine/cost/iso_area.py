"""Arrays of equal area: as many PEs as a budget buys."""

from __future__ import annotations

import math
from typing import Literal

from hwsim import registry
from hwsim.errors import BadInput, Infeasible
from hwsim.machine.components import Array
from hwsim.machine.cost.area import area_um2
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.technology.technology import Technology

What = Literal["pe", "total"]
"""pe: the array with the memories inside its PEs; total: scratchpads and vector unit too."""

MOST = 4096
"""Longest side of an array."""


def size_to_area(
    accelerator: Accelerator, budget_um2: float, technology: Technology | None = None, what: What = "pe"
) -> Accelerator:
    """`accelerator` with the largest array of its shape whose area is at most `budget_um2`.

    The shape is kept as whole numbers allow: the longer side is any number, the other follows to
    the nearest. Scratchpads, DRAM and vector lanes stay. Raises Infeasible when not even one PE
    fits, naming the least area, or when the scratchpads are too small for the larger array; BadInput
    for a budget that is not positive or beyond the largest array.

    >>> tiny = registry.build("accelerator", "tiny")
    >>> bigger = size_to_area(tiny, 4 * area_of(tiny))
    >>> bigger.array.rows, bigger.array.cols
    (8, 8)
    """
    if not 0 < budget_um2 < math.inf:
        raise BadInput("area", f"{budget_um2:g} um2", "a positive number of um2")
    shape = (accelerator.array.rows, accelerator.array.cols)

    def needs(side: int) -> float:
        return area_of(_with_array(accelerator, *_scaled(shape, side)), technology, what)

    if needs(1) > budget_um2:
        least = f"one PE needs {needs(1):.0f} um2"
        raise Infeasible(f"no array within {budget_um2:g} um2: {least}{_rest(what)}")
    if needs(MOST) < budget_um2:
        raise BadInput("area", f"{budget_um2:g} um2", f"at most {needs(MOST):.0f} um2, that of {MOST} PEs on a side")
    fits, too_large = 1, MOST + 1
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        fits, too_large = (middle, too_large) if needs(middle) <= budget_um2 else (fits, middle)
    return _checked(accelerator, *_scaled(shape, fits))


def area_of(accelerator: Accelerator, technology: Technology | None = None, what: What = "pe") -> float:
    """The area that `size_to_area` compares, um2."""
    areas = area_um2(accelerator, technology)
    return areas["pe"] + areas["register_file"] if what == "pe" else sum(areas.values())


def _scaled(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """Rows and columns with `side` PEs on the longer side, in the proportions of `shape`.

    >>> _scaled((12, 14), 7), _scaled((1, 9), 3)
    ((6, 7), (1, 3))
    """
    longer = max(shape)
    rows, cols = (max(1, (2 * part * side + longer) // (2 * longer)) for part in shape)
    return rows, cols


def _with_array(accelerator: Accelerator, rows: int, cols: int) -> Accelerator:
    """Without a check whether the scratchpads are large enough."""
    array = accelerator.array.model_copy(update={"rows": rows, "cols": cols})
    return accelerator.model_copy(update={"array": array})


def _checked(accelerator: Accelerator, rows: int, cols: int) -> Accelerator:
    array = {**accelerator.array.model_dump(), "rows": rows, "cols": cols}
    fields = {name: getattr(accelerator, name) for name in Accelerator.model_fields}
    fields["array"] = registry.validate(Array, array, "accelerator.array")
    try:
        return registry.validate(Accelerator, fields, "accelerator")
    except BadInput as error:
        raise Infeasible(f"an array of {rows}x{cols} has the area, but {error}") from None


def _rest(what: What) -> str:
    return ", with scratchpads and vector unit" if what == "total" else ""
