"""Closed-form cycles of a layer in SCALE-Sim's and STONNE's conventions, with ideal memory."""

from __future__ import annotations

from hwsim.arithmetic import ceil_div
from hwsim.kernels.machine.tiling_search import CHANNELS
from hwsim.machine.dataflow.base import loop_lengths
from hwsim.machine.dataflow.hardware import STONNE
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import Mapping


def ideal_cycles(accelerator: Accelerator, mapping: Mapping) -> dict[str, int]:
    """Compute the cycles of a layer by cause: its folds one after the other, memory takes no time."""
    product, flow, array = mapping.product, accelerator.dataflow, accelerator.array
    lengths = loop_lengths(product, mapping.batch)
    lengths[CHANNELS] = ceil_div(product.reduction, mapping.rate.products)
    down, across, streamed = (lengths[loop] for loop in (flow.rows_loop, flow.cols_loop, flow.streamed))
    folds = ceil_div(down, array.rows) * ceil_div(across, array.cols)
    fill = folds * mapping.fold.fill_drain
    if accelerator.timing == STONNE:
        fill = _stonne_fill(array.rows, array.cols, down, across)
    return {
        "compute": folds * streamed * mapping.rate.interval * product.groups,
        "fill_drain": fill * product.groups,
        "weight_load": folds * mapping.fold.load * product.groups,
    }


def stonne_fill(rows: int, cols: int) -> int:
    """Cycles that STONNE's output-stationary mesh charges besides the reduction for a fold that uses rows x cols PEs.

    Rows + columns + 3, or + 2 where one of them is 1 (stonne-simulator/stonne 22634b8).
    """
    return rows + cols + (2 if 1 in (rows, cols) else 3)


def _stonne_fill(rows: int, cols: int, down: int, across: int) -> int:
    """Sum `stonne_fill` over the folds of `down` x `across` outputs on an array of rows x cols PEs."""
    return sum(
        count * times * stonne_fill(used_rows, used_cols)
        for count, used_rows in _folds(down, rows)
        for times, used_cols in _folds(across, cols)
    )


def _folds(total: int, size: int) -> list[tuple[int, int]]:
    """List (number of folds, used part of the array) of the whole folds and of the remainder."""
    return [(total // size, size), *([(1, total % size)] if total % size else [])]
