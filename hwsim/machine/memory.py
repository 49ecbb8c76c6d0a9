"""Bits that move in one layer and sample, and how long the array waits for DRAM.

The model: every layer reads its input from DRAM and writes its output there; weights are read for
every sample. Operands are packed, so 3-bit codes take 3 bits. Bias and requantizer parameters sit in
the drain path and are not counted. Where a map is tiled, the overlap of neighbouring tiles is not
fetched twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from hwsim.machine.accelerator import PSUM_BITS, Accelerator
from hwsim.machine.mapping import Mapping, Product


@dataclass(frozen=True)
class Traffic:
    """Bits over every port for one sample; `first_bits` must have come from DRAM before the first cycle.

    Scratchpad reads go towards the array or, for the ofmap, also back to it and out to DRAM; writes
    of ifmap and weights are fills from DRAM.
    """

    ifmap_read_bits: int
    ifmap_write_bits: int
    weight_read_bits: int
    weight_write_bits: int
    ofmap_read_bits: int
    ofmap_write_bits: int
    dram_read_bits: int
    dram_write_bits: int
    first_bits: int


def product_traffic(accelerator: Accelerator, product: Product, mapping: Mapping) -> Traffic:
    """Traffic of a convolution or linear layer, from the same folds as its cycles.

    In words per group: ifmap reads M K ceil(N/C), weight reads K N per pixel block, ofmap writes
    M N ceil(K/R) of which all but the last are partial sums that are read back.
    """
    outputs = product.groups * product.pixels * product.filters
    psums = outputs * (mapping.k_folds - 1) * PSUM_BITS
    codes = outputs * product.out_bits
    return Traffic(
        ifmap_read_bits=product.groups * product.pixels * product.reduction * mapping.n_folds * product.a_bits,
        ifmap_write_bits=mapping.dram_ifmap_bits,
        weight_read_bits=product.groups * product.reduction * product.filters * mapping.m_folds * product.stored_w_bits,
        weight_write_bits=mapping.dram_weight_bits,
        ofmap_read_bits=psums + codes,
        ofmap_write_bits=psums + codes,
        dram_read_bits=mapping.dram_ifmap_bits + mapping.dram_weight_bits,
        dram_write_bits=codes + product.regions,
        first_bits=_first_bits(accelerator, product, mapping),
    )


def _first_bits(accelerator: Accelerator, product: Product, mapping: Mapping) -> int:
    """ws: the weights of one fold and one input per row; os: one operand for every row and column."""
    rows, cols = accelerator.array.rows, min(product.filters, accelerator.array.cols)
    if accelerator.dataflow == "ws":
        depth = min(product.reduction, rows * mapping.rate.lanes)
        return depth * (cols * product.stored_w_bits + product.a_bits)
    depth = min(product.reduction, mapping.rate.lanes)
    return depth * (min(product.pixels, rows) * product.a_bits + cols * product.stored_w_bits)


def vector_traffic(inputs: int, operands: int, outputs: int, in_bits: int, out_bits: int) -> Traffic:
    """Traffic of a pool or add: `inputs` codes from DRAM, read `operands` times, `outputs` codes back."""
    return Traffic(
        ifmap_read_bits=operands * in_bits,
        ifmap_write_bits=inputs * in_bits,
        weight_read_bits=0,
        weight_write_bits=0,
        ofmap_read_bits=outputs * out_bits,
        ofmap_write_bits=outputs * out_bits,
        dram_read_bits=inputs * in_bits,
        dram_write_bits=outputs * out_bits,
        first_bits=in_bits,
    )


@overload
def stall_cycles(accelerator: Accelerator, traffic: Traffic, busy: int) -> int: ...
@overload
def stall_cycles(accelerator: Accelerator, traffic: Traffic, busy: NDArray[np.int64]) -> NDArray[np.int64]: ...


def stall_cycles(accelerator: Accelerator, traffic: Traffic, busy: int | NDArray[np.int64]) -> int | NDArray[np.int64]:
    """Cycles that array or vector unit wait for DRAM when they work for `busy` cycles (int64, any shape).

    Exposed prefetch of what the first cycle needs, and then whatever the rest of the transfer takes
    longer than the work, which double buffering hides otherwise. Zero in the `scalesim` profile.
    """
    if accelerator.timing == "scalesim":
        return busy * 0
    per_cycle = accelerator.dram.bandwidth_bytes_per_cycle * 8
    prefetch = -(-traffic.first_bits // per_cycle)
    rest = -(-(traffic.dram_read_bits + traffic.dram_write_bits - traffic.first_bits) // per_cycle)
    if isinstance(busy, int):
        return prefetch + max(0, rest - busy)
    return prefetch + np.maximum(0, rest - busy)
