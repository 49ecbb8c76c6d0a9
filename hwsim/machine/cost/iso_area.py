"""Arrays of equal area: the largest array within an area budget."""

from __future__ import annotations

import math
from typing import Literal

from hwsim import registry
from hwsim.errors import BadInput, Infeasible
from hwsim.machine.components import Array
from hwsim.machine.cost.area import area_um2
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.technology.technology import Technology

AreaScope = Literal["pe", "total"]
"""pe: the array with the memories inside its PEs; total: also scratchpads and vector unit."""

MAX_SIDE = 4096
"""Longest side of an array."""


def size_to_area(
    accelerator: Accelerator, budget_um2: float, technology: Technology | None = None, scope: AreaScope = "pe"
) -> Accelerator:
    """Return `accelerator` with the largest array of its shape whose area is at most `budget_um2`.

    The shape is kept as far as whole numbers allow: the longer side is any number, the shorter side is rounded to
    the nearest. Scratchpads, DRAM and vector lanes are unchanged. Raises Infeasible when not even one PE
    fits, naming its area, or when the scratchpads are too small for the larger array; BadInput
    for a budget that is not positive or beyond the largest array.

    >>> tiny = registry.build("accelerator", "tiny")
    >>> bigger = size_to_area(tiny, 4 * area_of(tiny))
    >>> bigger.array.rows, bigger.array.cols
    (8, 8)
    """
    if not 0 < budget_um2 < math.inf:
        raise BadInput("area", f"{budget_um2:g} um2", "a positive number of um2")
    shape = (accelerator.array.rows, accelerator.array.cols)

    def area_at(side: int) -> float:
        return area_of(_with_array(accelerator, *_scaled(shape, side)), technology, scope)

    if area_at(1) > budget_um2:
        included = ", with scratchpads and vector unit" if scope == "total" else ""
        raise Infeasible(f"no array within {budget_um2:g} um2: one PE needs {area_at(1):.0f} um2{included}")
    if area_at(MAX_SIDE) < budget_um2:
        allowed = f"at most {area_at(MAX_SIDE):.0f} um2, that of {MAX_SIDE} PEs on a side"
        raise BadInput("area", f"{budget_um2:g} um2", allowed)
    fits, too_large = 1, MAX_SIDE + 1
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        if area_at(middle) <= budget_um2:
            fits = middle
        else:
            too_large = middle
    return _validated(accelerator, *_scaled(shape, fits))


def area_of(accelerator: Accelerator, technology: Technology | None = None, scope: AreaScope = "pe") -> float:
    """Return the area that `size_to_area` compares with the budget, um2."""
    areas = area_um2(accelerator, technology)
    return areas["pe"] + areas["register_file"] if scope == "pe" else sum(areas.values())


def _scaled(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """Return rows and columns with `side` PEs on the longer side, in the proportions of `shape`.

    >>> _scaled((12, 14), 7), _scaled((1, 9), 3)
    ((6, 7), (1, 3))
    """
    longer = max(shape)
    rows, cols = (max(1, (2 * part * side + longer) // (2 * longer)) for part in shape)
    return rows, cols


def _with_array(accelerator: Accelerator, rows: int, cols: int) -> Accelerator:
    """Return the accelerator with another array, without checking that the scratchpads are large enough."""
    array = accelerator.array.model_copy(update={"rows": rows, "cols": cols})
    return accelerator.model_copy(update={"array": array})


def _validated(accelerator: Accelerator, rows: int, cols: int) -> Accelerator:
    """Return the accelerator with another array; raises Infeasible when its scratchpads are too small."""
    array = {**accelerator.array.model_dump(), "rows": rows, "cols": cols}
    fields = {name: getattr(accelerator, name) for name in Accelerator.model_fields}
    fields["array"] = registry.validate(Array, array, "accelerator.array")
    try:
        return registry.validate(Accelerator, fields, "accelerator")
    except BadInput as error:
        raise Infeasible(f"an array of {rows}x{cols} has the area, but {error}") from None
