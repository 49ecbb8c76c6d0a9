"""What many samples do in lock-step: one operation on the rows of two arrays, one sample per column (lane).

Each operation is written in numpy, which is what it means; compiled code gets the same as straight
vector instructions. Rows hold LANES entries: steps uint8, sums and times int32.
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
"""Samples that are timed together."""

STEPS, TIMES = ir.VectorType(ir.IntType(8), LANES), ir.VectorType(ir.IntType(32), LANES)


def keep_larger(target, i, steps, j):  # type: ignore[no-untyped-def]
    """Row i of `target` (uint8) becomes the larger of itself and row j of `steps`, lane by lane."""
    np.maximum(target[i], steps[j], out=target[i])


def add_steps(sums, i, steps, j):  # type: ignore[no-untyped-def]
    """Row i of `sums` (int32) grows by row j of `steps`."""
    sums[i] += steps[j]


def advance(ends, row, begins, steps, j):  # type: ignore[no-untyped-def]
    """A row of PEs takes its next wavefront, which lasts row j of `steps`.

    `ends` int32 [1 + row, lane]: when each row ended its last wavefront, behind a first entry of zeros.
    `begins` int32 [row + 1, lane]: when each row began the wavefront whose place in the queues is freed
    now; it receives the new beginning.
    """
    begin = np.maximum(np.maximum(ends[row], ends[row + 1]), begins[row + 1])
    begins[row] = begin
    ends[row + 1] = begin + steps[j]


# The same as vector code, on addresses.


def _on_addresses(count: int, emit: Callable[..., None]) -> Any:
    """A function of `count` int64 addresses that compiles to what `emit` writes."""

    @intrinsic
    def operation(context, addresses):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            items = [builder.extract_value(values[0], i) for i in range(count)]
            emit(builder, *items)
            return context.get_dummy_value()

        return types.void(types.UniTuple(types.int64, count)), generate

    return operation


def _larger(b: ir.IRBuilder, x: Any, y: Any) -> Any:
    return b.select(b.icmp_unsigned(">", x, y), x, y)


def _emit_keep_larger(b: ir.IRBuilder, target: Any, steps: Any) -> None:
    store(b, _larger(b, load(b, STEPS, target), load(b, STEPS, steps)), target)


def _emit_add_steps(b: ir.IRBuilder, sums: Any, steps: Any) -> None:
    store(b, b.add(load(b, TIMES, sums), b.zext(load(b, STEPS, steps), TIMES)), sums)


def _emit_advance(b: ir.IRBuilder, above: Any, mine: Any, freed: Any, begins: Any, steps: Any) -> None:
    begin = _larger(b, _larger(b, load(b, TIMES, above), load(b, TIMES, mine)), load(b, TIMES, freed))
    store(b, begin, begins)
    store(b, b.add(begin, b.zext(load(b, STEPS, steps), TIMES)), mine)


_keep_larger = _on_addresses(2, _emit_keep_larger)
_add_steps = _on_addresses(2, _emit_add_steps)
_advance = _on_addresses(5, _emit_advance)


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
        above, own = ends.ctypes.data + row * wide, begins.ctypes.data + row * wide
        _advance((above, above + wide, own + wide, own, steps.ctypes.data + j * LANES))

    return move
