"""Names of the causes of cycles and of the counted events, in the order of the columns of a Run."""

from __future__ import annotations

CAUSES = (
    "compute",
    "fill_drain",
    "weight_load",
    "stall_rows",
    "stall_ifmap_port",
    "stall_weight_port",
    "stall_ofmap_port",
    "stall_dram_bandwidth",
    "stall_dram_latency",
    "prefetch",
    "writeback",
    "vector",
)
"""Causes of cycles: every cycle of a layer has exactly one.

compute : the busiest row of PEs works on streaming operands
fill_drain : skew into the array, and outputs out of it
weight_load : the stationary operand (weights; inputs where the array is input stationary) is loaded, not hidden
stall_rows : rows of variable speed wait for each other, or the array for the outlier unit
stall_<scratchpad>_port : a scratchpad exchanges fewer bits per cycle than the array could use
stall_dram_bandwidth, stall_dram_latency : the array waits for the next tile
prefetch : the first tile is fetched
writeback : the last outputs are written
vector : the vector unit works
"""

STALLS = tuple(cause for cause in CAUSES if cause.startswith("stall") or cause in ("prefetch", "writeback"))
"""Causes that are waiting."""

EVENTS = (
    "macs_full",
    "macs_low",
    "pe_cycles",
    "pe_busy_cycles",
    "ifmap_read_bits",
    "ifmap_write_bits",
    "weight_read_bits",
    "weight_write_bits",
    "ofmap_read_bits",
    "ofmap_write_bits",
    "dram_read_bits",
    "dram_write_bits",
    "rf_accesses",
    "decodes",
    "vector_ops",
    "requantizations",
    "predictor_adds",
)
"""Counted events.

macs_full, macs_low : products at the full width, and at the low width of region precision
pe_cycles : PEs times cycles in which the array is clocked; it is not while it waits for DRAM
pe_busy_cycles : PE cycles with a product
<scratchpad>_read_bits, <scratchpad>_write_bits, dram_read_bits, dram_write_bits : traffic
rf_accesses : words to or from the register files of a row-stationary array
decodes : codebook weights looked up on their way into a PE
vector_ops : operands of the vector unit
requantizations : multiplications by a requantizer
predictor_adds : codes summed and regions compared in search of sensitive regions
"""
