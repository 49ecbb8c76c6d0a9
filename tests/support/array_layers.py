"""Layers and accelerators on which timelines and occupancy are tested: every dataflow, profile and kind of stall."""

from __future__ import annotations

from hwsim.network.layer import Geometry
from hwsim.network.product import Product, conv_product
from hwsim.registry import build, family

SAME = Geometry((3, 3), (1, 1), (1, 1))
LAYERS = [
    ("conv1", conv_product(3, 64, 64, 64, Geometry((7, 7), (2, 2), (3, 3)))),
    ("conv2", conv_product(64, 64, 16, 16, SAME)),
    ("depthwise", conv_product(24, 24, 14, 14, Geometry((3, 3), (1, 1), (1, 1), groups=24))),
    ("fc", Product(pixels=1, reduction=512, filters=1000, ifmap_elements=512, out_bits=32)),
]

VARIANTS = [
    {},
    {"array": {"weight_buffers": 2}},
    {"dataflow": "is", "array": {"weight_buffers": 2}},
    {"dataflow": "is"},
    {"dataflow": "os"},
    {"optimize": "latency"},
    {"timing": "scalesim"},
    {"dataflow": "os", "timing": "stonne"},
    {"scratchpads": {pad: {"banks": 1, "word_bytes": 8} for pad in ("ifmap", "weight", "ofmap")}},
    {"dataflow": "is", "scratchpads": {pad: {"banks": 1, "word_bytes": 8} for pad in ("ifmap", "weight", "ofmap")}},
    {"dataflow": "os", "scratchpads": {pad: {"banks": 1, "word_bytes": 8} for pad in ("ifmap", "weight", "ofmap")}},
    {
        "dataflow": "rs",
        "array": {"rows": 12, "cols": 14},
        "register_file": {
            "ifmap_words": 12,
            "weight_words": 224,
            "psum_words": 24,
            "ifmap_words_per_cycle": 4,
            "weight_words_per_cycle": 4,
            "psum_words_per_cycle": 4,
        },
    },
    {"dram": {"bandwidth_bytes_per_cycle": 1, "latency_cycles": 1000}},
]
ACCELERATORS = [build("accelerator", name) for name in family("accelerator")]
ACCELERATORS += [build("accelerator", "tpu_like", **variant) for variant in VARIANTS]
