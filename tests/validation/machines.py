"""Accelerators with changes, and what a workload without values costs on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.interop.topology.builtin import load_workload
from hwsim.machine.cost.uncertainty import ValueRange
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES, EVENTS
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.run import Precision, Run
from hwsim.machine.timing.layer_counts import product_layer, stack
from hwsim.network.product import Product
from hwsim.registry import build

Layers = Sequence[tuple[str, Product]]


def accelerator(name: str, **changes: Any) -> Accelerator:
    """A built-in accelerator with some fields changed."""
    made: Accelerator = build("accelerator", name, **changes)
    return made


def layers_of(workload: str, keep: Callable[[str], bool] = lambda name: True) -> Layers:
    """The layers of a built-in workload whose names are to be kept."""
    return [(layer.name, layer.product) for layer in load_workload(workload).layers if keep(layer.name)]


def at_bits(layers: Layers, bits: int) -> Layers:
    """The same layers with all codes of one width."""
    return [(name, replace(product, a_bits=bits, w_bits=bits, out_bits=bits)) for name, product in layers]


def run_of(machine: Accelerator, layers: Layers, batch: int = 1) -> Run:
    """Cycles and counts of a whole batch as if it were one sample, without values."""
    mappings = [derive_mapping(machine, product, batch) for _, product in layers]
    spent = [product_layer(machine, mapping) for mapping in mappings]
    return Run(
        outputs=np.zeros((1, 1), dtype=np.int32),
        layers=tuple(name for name, _ in layers),
        cycles=stack([cycles for cycles, _ in spent], CAUSES, 1),
        counts=stack([counts for _, counts in spent], EVENTS, 1),
        masks={},
        accelerator=machine,
        logit_scale=1.0,
        precisions=tuple(Precision(product.a_bits, product.w_bits) for _, product in layers),
    )


def band(interval: ValueRange, scale: float = 1.0) -> tuple[float, float, float]:
    """Lowest, nominal and highest figure."""
    return interval.low * scale, interval.nominal * scale, interval.high * scale


def geometric_mean(values: Iterable[float]) -> float:
    """Of positive numbers."""
    return float(np.exp(np.mean(np.log(list(values)))))
