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
"""Every cycle of a layer has exactly one cause.

compute: the busiest row of PEs works on streaming operands; fill_drain: skew in and results out;
weight_load: the stationary operand (weights, or inputs with dataflow `is`) comes into the PEs, where it is
not hidden; stall_rows: rows of variable speed wait for each other; stall_*_port: a scratchpad gives or
takes fewer bits per cycle than the array could use; stall_dram_*: the next tile is late, because of the
bandwidth or because of the latency; prefetch: the first tile comes; writeback: the last outputs leave;
vector: what the vector unit does.
"""

STALLS = tuple(cause for cause in CAUSES if cause.startswith("stall") or cause in ("prefetch", "writeback"))
"""The causes that are waiting."""

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
"""What is counted. macs_low: products at the low width of region precision; pe_cycles: PEs times cycles
in which the array is clocked (it is not while it waits for DRAM); pe_busy_cycles: those in which a PE
has a product; rf_accesses: accesses to the memories inside the PEs (row stationary); decodes: codebook
weights looked up on their way into a PE; vector_ops: operands of the vector unit; requantizations:
multiplications by a requantizer; predictor_adds: codes summed and regions compared to find the
sensitive ones."""
