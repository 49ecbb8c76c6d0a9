"""Labels, colors and hatches of causes of cycles, components of energy and states of PEs, equal in all figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class BarStyle(NamedTuple):
    """Style of one part of a stacked bar or area: its label in the legend, color and hatch."""

    label: str
    color: str
    hatch: str = ""


CAUSE_STYLES: Mapping[str, BarStyle] = {
    "compute": BarStyle("compute", "#4477AA"),
    "fill_drain": BarStyle("fill and drain", "#66CCEE"),
    "weight_load": BarStyle("weight load", "#228833"),
    "stall_rows": BarStyle("stall: rows", "#999933"),
    "stall_ifmap_port": BarStyle("stall: ifmap port", "#EEDD88"),
    "stall_weight_port": BarStyle("stall: weight port", "#EEDD88", "////"),
    "stall_ofmap_port": BarStyle("stall: ofmap port", "#EEDD88", "xxxx"),
    "stall_dram_bandwidth": BarStyle("stall: DRAM bandwidth", "#EE6677"),
    "stall_dram_latency": BarStyle("stall: DRAM latency", "#AA3377"),
    "prefetch": BarStyle("prefetch", "#EE6677", "////"),
    "writeback": BarStyle("write-back", "#EE6677", "xxxx"),
    "vector": BarStyle("vector unit", "#BBBBBB"),
}

COMPONENT_STYLES: Mapping[str, BarStyle] = {
    "pe": BarStyle("PE", "#4477AA"),
    "register_file": BarStyle("register files", "#4477AA", "////"),
    "scratchpad": BarStyle("scratchpads", "#66CCEE"),
    "dram": BarStyle("DRAM", "#EE6677"),
    "vector": BarStyle("vector unit", "#CCBB44"),
    "leakage": BarStyle("leakage current", "#BBBBBB"),
}

STATE_STYLES: Mapping[str, BarStyle] = {
    "busy": BarStyle("multiplying", "#4477AA"),
    "unused": BarStyle("outside the fold", "#C9D7E6"),
    "port": BarStyle("scratchpad port", "#EEDD88"),
    "fill_drain": BarStyle("fill and drain", "#66CCEE"),
    "load": BarStyle("load", "#228833"),
    "wait": BarStyle("waiting for DRAM", "#EE6677"),
    "vector": BarStyle("vector unit at work", "#BBBBBB"),
}

SPARE_COLORS = ("#CCBB44", "#AA3377", "#117733", "#332288", "#882255")
"""Colors of causes and components that have no style of their own."""
