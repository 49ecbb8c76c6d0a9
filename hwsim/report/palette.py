"""How causes of cycles, components of energy and states of PEs look: the same in every figure."""

from __future__ import annotations

from collections.abc import Mapping

BarStyle = tuple[str, str, str]
"""What the legend says, colour, and hatch."""

CAUSE_LOOKS: Mapping[str, BarStyle] = {
    "compute": ("compute", "#4477AA", ""),
    "fill_drain": ("fill and drain", "#66CCEE", ""),
    "weight_load": ("weight load", "#228833", ""),
    "stall_rows": ("stall: rows", "#999933", ""),
    "stall_ifmap_port": ("stall: ifmap port", "#EEDD88", ""),
    "stall_weight_port": ("stall: weight port", "#EEDD88", "////"),
    "stall_ofmap_port": ("stall: ofmap port", "#EEDD88", "xxxx"),
    "stall_dram_bandwidth": ("stall: DRAM bandwidth", "#EE6677", ""),
    "stall_dram_latency": ("stall: DRAM latency", "#AA3377", ""),
    "prefetch": ("prefetch", "#EE6677", "////"),
    "writeback": ("write-back", "#EE6677", "xxxx"),
    "vector": ("vector unit", "#BBBBBB", ""),
}

COMPONENT_LOOKS: Mapping[str, BarStyle] = {
    "pe": ("PE", "#4477AA", ""),
    "register_file": ("memories in the PEs", "#4477AA", "////"),
    "scratchpad": ("scratchpads", "#66CCEE", ""),
    "dram": ("DRAM", "#EE6677", ""),
    "vector": ("vector unit", "#CCBB44", ""),
    "leakage": ("leakage current", "#BBBBBB", ""),
}

STATE_LOOKS: Mapping[str, BarStyle] = {
    "busy": ("multiplying", "#4477AA", ""),
    "unused": ("outside the fold", "#C9D7E6", ""),
    "port": ("scratchpad port", "#EEDD88", ""),
    "fill_drain": ("fill and drain", "#66CCEE", ""),
    "load": ("load", "#228833", ""),
    "wait": ("waiting for DRAM", "#EE6677", ""),
    "vector": ("vector unit at work", "#BBBBBB", ""),
}

SPARE = ("#CCBB44", "#AA3377", "#117733", "#332288", "#882255")
"""Colours of causes and components that have no look of their own."""
