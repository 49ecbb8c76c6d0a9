"""Operations on many samples in lock-step: rows of arrays with one sample per column (lane).

Each operation is defined in numpy; compiled code has the same operation as straight vector
instructions. Rows have LANES entries: steps are uint8, sums and times int32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from hwsim.kernels.llvm import load, store

LANES = 32
"""Samples that are timed together, one per lane."""

STEPS, TIMES = ir.VectorType(ir.IntType(8), LANES), ir.VectorType(ir.IntType(32), LANES)


def keep_larger(target, i, steps, j):  # type: ignore[no-untyped-def]
    """Replace row i of `target`, uint8 [row, lane], by its maximum with row j of `steps`, lane by lane."""
    np.maximum(target[i], steps[j], out=target[i])


def add_steps(sums, i, steps, j):  # type: ignore[no-untyped-def]
    """Add row j of `steps`, uint8 [row, lane], to row i of `sums`, int32 [row, lane]."""
    sums[i] += steps[j]


def advance(ends, row, begins, steps, j):  # type: ignore[no-untyped-def]
    """Advance a row of PEs by one wavefront, which lasts row j of `steps`.

    `ends` int32 [1 + row, lane]: end of each row's last wavefront, after a first entry of zeros. `begins`
    int32 [row + 1, lane]: begin of each row's wavefront whose queue entry is freed now; it receives the
    begin of the new wavefront.
    """
    begin = np.maximum(np.maximum(ends[row], ends[row + 1]), begins[row + 1])
    begins[row] = begin
    ends[row + 1] = begin + steps[j]


# Vector code of the operations, on addresses.


def _on_addresses(count: int, generate_code: Callable[..., None]) -> Any:
    """Return an intrinsic of a tuple of `count` int64 addresses with the LLVM code of `generate_code`."""

    @intrinsic
    def operation(context, addresses):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            items = [builder.extract_value(values[0], i) for i in range(count)]
            generate_code(builder, *items)
            return context.get_dummy_value()

        return types.void(types.UniTuple(types.int64, count)), generate

    return operation


def _larger(b: ir.IRBuilder, x: Any, y: Any) -> Any:
    return b.select(b.icmp_unsigned(">", x, y), x, y)


def _generate_keep_larger(b: ir.IRBuilder, target: Any, steps: Any) -> None:
    store(b, _larger(b, load(b, STEPS, target), load(b, STEPS, steps)), target)


def _generate_add_steps(b: ir.IRBuilder, sums: Any, steps: Any) -> None:
    store(b, b.add(load(b, TIMES, sums), b.zext(load(b, STEPS, steps), TIMES)), sums)


def _generate_advance(b: ir.IRBuilder, above: Any, own: Any, freed: Any, begins: Any, steps: Any) -> None:
    begin = _larger(b, _larger(b, load(b, TIMES, above), load(b, TIMES, own)), load(b, TIMES, freed))
    store(b, begin, begins)
    store(b, b.add(begin, b.zext(load(b, STEPS, steps), TIMES)), own)


_keep_larger = _on_addresses(2, _generate_keep_larger)
_add_steps = _on_addresses(2, _generate_add_steps)
_advance = _on_addresses(5, _generate_advance)


@overload(keep_larger)
def _compile_keep_larger(target, i, steps, j):  # type: ignore[no-untyped-def]
    def keep(target, i, steps, j):  # type: ignore[no-untyped-def]
        _keep_larger((target.ctypes.data + i * LANES, steps.ctypes.data + j * LANES))

    return keep


@overload(add_steps)
def _compile_add_steps(sums, i, steps, j):  # type: ignore[no-untyped-def]
    def add(sums, i, steps, j):  # type: ignore[no-untyped-def]
        _add_steps((sums.ctypes.data + i * (4 * LANES), steps.ctypes.data + j * LANES))

    return add


@overload(advance)
def _compile_advance(ends, row, begins, steps, j):  # type: ignore[no-untyped-def]
    def move(ends, row, begins, steps, j):  # type: ignore[no-untyped-def]
        wide = 4 * LANES
        end, begin = ends.ctypes.data + row * wide, begins.ctypes.data + row * wide
        _advance((end, end + wide, begin + wide, begin, steps.ctypes.data + j * LANES))

    return move
