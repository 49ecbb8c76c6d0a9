"""Random layers and small accelerators for the tests of the machine, and an array like Eyeriss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import Mapping
from hwsim.machine.timing.mapped_layers import MappedLayer
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, conv_product
from hwsim.registry import build, merge

Draw = st.DrawFn
Parameters = dict[str, Any]

REGISTER_FILE = {
    "ifmap_words": 12,
    "weight_words": 224,
    "psum_words": 24,
    "ifmap_words_per_cycle": 1,
    "weight_words_per_cycle": 4,
    "psum_words_per_cycle": 4,
}
"""Memories in the PEs of Eyeriss, and words per cycle of its networks."""


def eyeriss(**changes: Any) -> Accelerator:
    """12x14 row-stationary PEs of 16 bits with room for any pass of AlexNet."""
    pads = {pad: {"kib": kib, "banks": 4} for pad, kib in (("ifmap", 54), ("weight", 32), ("ofmap", 108))}
    parameters: Parameters = {
        "dataflow": "rs",
        "array": {"rows": 12, "cols": 14},
        "register_file": REGISTER_FILE,
        "pe": {"name": "fixed", "max_bits": 16},
        "psum_bits": 16,
        "scratchpads": pads,
    }
    return make(merge(parameters, changes))


def make(parameters: Parameters, **changes: Any) -> Accelerator:
    """`tiny` with these parameters, and a few more changes."""
    accelerator: Accelerator = build("accelerator", "tiny", **merge(parameters, changes))
    return accelerator


@st.composite
def products(draw: Draw, most: int = 16) -> Product:
    """Convolutions and plain products whose smallest tile fits the accelerators below."""
    if draw(st.booleans()):
        sizes = st.integers(1, 10 * most)
        made = Product(draw(sizes), draw(sizes), draw(sizes), groups=draw(st.integers(1, 3)))
    else:
        made = draw(convolutions(most))
    widths = st.integers(1, 8)
    return replace(made, a_bits=draw(widths), w_bits=draw(widths), out_bits=draw(st.sampled_from([4, 8, 32])))


@st.composite
def convolutions(draw: Draw, most: int = 16) -> Product:
    groups = draw(st.integers(1, 3))
    sides = []
    for _ in range(2):
        kernel, dilation, padding = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 2))
        least = max(1, dilation * (kernel - 1) + 1 - 2 * padding)
        sides.append((kernel, draw(st.integers(1, 3)), padding, dilation, draw(st.integers(least, least + most))))
    (kernels, strides, paddings, dilations, (height, width)) = zip(*sides, strict=True)
    geometry = Geometry(kernels, strides, paddings, groups, dilations)
    counts = st.integers(1, most)
    return conv_product(groups * draw(counts), groups * draw(counts), height, width, geometry)


@st.composite
def machines(draw: Draw, flows: tuple[str, ...] = ("ws", "os", "is", "rs")) -> Parameters:
    """Parameters of small accelerators: narrow ports, little bandwidth, scratchpads that cut layers into tiles."""
    flow, few = draw(st.sampled_from(flows)), st.integers(1, 6)
    pads = {
        pad: {"kib": draw(st.integers(2, 8)), "banks": draw(st.integers(1, 4)), "word_bytes": 8}
        for pad in ("ifmap", "weight", "ofmap")
    }
    made: Parameters = {
        "dataflow": flow,
        "optimize": draw(st.sampled_from(["dram_traffic", "latency", "balanced"])),
        "array": {"rows": draw(few), "cols": draw(few)},
        "scratchpads": pads,
        "dram": {"bandwidth_bytes_per_cycle": draw(st.integers(1, 20)), "latency_cycles": draw(st.integers(0, 50))},
    }
    if flow in ("ws", "is"):
        made["array"]["weight_buffers"] = draw(st.integers(1, 2))
    return made | ({"register_file": REGISTER_FILE} if flow == "rs" else {})


def mapping_of(layers: Sequence[MappedLayer], name: str) -> Mapping:
    """The mapping of the layer called `name`."""
    (found,) = [layer.mapping for layer in layers if layer.name == name]
    assert found is not None
    return found
