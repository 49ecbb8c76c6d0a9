"""Port and DRAM traffic of one layer for a batch, in bits.

The model: every layer reads its input from DRAM and writes its output there; weights are read for
every batch. Operands are packed, so 3-bit codes take 3 bits. Bias and requantizer parameters sit in
the drain path and are not counted. Input that neighboring tiles share is fetched for each tile.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.arithmetic import ceil_div
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import Mapping


@dataclass(frozen=True)
class Traffic:
    """Bits over every port; the fields are events of `hwsim.machine.events`.

    Attributes
    ----------
    ifmap_read_bits, weight_read_bits : from the scratchpads to the array
    ifmap_write_bits, weight_write_bits : fills from DRAM
    ofmap_read_bits, ofmap_write_bits : partial sums to and from the array, and outputs on their way to DRAM
    dram_read_bits, dram_write_bits : over the DRAM port
    rf_accesses : words to or from the register files of a row-stationary array
    """

    ifmap_read_bits: int
    ifmap_write_bits: int
    weight_read_bits: int
    weight_write_bits: int
    ofmap_read_bits: int
    ofmap_write_bits: int
    dram_read_bits: int
    dram_write_bits: int
    rf_accesses: int = 0


def product_traffic(accelerator: Accelerator, mapping: Mapping) -> Traffic:
    """Count the traffic of a convolution, linear or matmul layer, from the same tiles as its cycles.

    Per tile with p pixels, r products and n filters on an R x C array, in words: ifmap reads p r ceil(n/C),
    weight reads r n (ws), ofmap writes p n ceil(r/R), of which all but the last are partial sums that
    are read back. Row stationary, every pass reads the rows of the map that it needs once.
    """
    product, total = mapping.product, mapping.totals
    outputs = product.pixels * product.filters * product.groups * mapping.batch
    psums = (total["ofmap_writes"] - outputs) * accelerator.psum_bits
    spilled, returned = total["psum_spill"], total["psum_fetch"]
    return Traffic(
        ifmap_read_bits=total["ifmap_reads"] * product.a_bits,
        ifmap_write_bits=total["ifmap_fetch"],
        weight_read_bits=total["weight_reads"] * product.stored_w_bits,
        weight_write_bits=total["weight_fetch"],
        ofmap_read_bits=psums + total["output_bits"] + spilled,
        ofmap_write_bits=psums + total["output_bits"] + returned,
        dram_read_bits=total["ifmap_fetch"] + total["weight_fetch"] + returned,
        dram_write_bits=total["output_bits"] + spilled + product.regions * mapping.batch,
        rf_accesses=4 * product.macs * mapping.batch if accelerator.dataflow.needs_register_file else 0,
    )


def vector_traffic(inputs: int, operands: int, outputs: int, in_bits: int, out_bits: int) -> Traffic:
    """Count the traffic of a vector layer: `inputs` codes from DRAM, read `operands` times, `outputs` codes back."""
    return Traffic(
        ifmap_read_bits=operands * in_bits,
        ifmap_write_bits=inputs * in_bits,
        weight_read_bits=0,
        weight_write_bits=0,
        ofmap_read_bits=outputs * out_bits,
        ofmap_write_bits=outputs * out_bits,
        dram_read_bits=inputs * in_bits,
        dram_write_bits=outputs * out_bits,
    )


def vector_waits(accelerator: Accelerator, traffic: Traffic, busy: int) -> dict[str, int]:
    """Compute the cycles by cause for which the vector unit waits when it works for `busy` cycles.

    It begins with the first word from DRAM and streams along with DRAM to the last word.
    """
    if not accelerator.models_memory:
        return {}
    per_cycle = accelerator.dram.bandwidth_bytes_per_cycle * 8
    transfer = ceil_div(traffic.dram_read_bits + traffic.dram_write_bits, per_cycle)
    return {
        "prefetch": accelerator.dram.latency_cycles + 1,
        "stall_dram_bandwidth": max(0, transfer - 1 - busy),
    }
