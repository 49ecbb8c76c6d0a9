"""Cycles by cause and counts by event of one layer; one number for all samples, or int64 [sample]."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES
from hwsim.machine.mapping.limits import check_total
from hwsim.machine.mapping.mapping import Mapping
from hwsim.machine.timing.data_dependent import DataDependentCounts
from hwsim.machine.timing.layer_cycles import LayerTiming, time_layer
from hwsim.machine.timing.traffic import product_traffic, vector_traffic, vector_waits
from hwsim.network.graph import Network
from hwsim.network.layer import Layer, Op

Ints = NDArray[np.int64]
Entries = dict[str, "int | Ints"]
"""Cycles by cause, or counts by event. What is absent is 0."""


def product_layer(
    accelerator: Accelerator, mapping: Mapping, requantizes: bool = True, dynamic: DataDependentCounts | None = None
) -> tuple[Entries, Entries]:
    """Return cycles and counts of a convolution, linear or matmul layer; `dynamic` depends on the data."""
    product, batch = mapping.product, mapping.batch
    timing = time_layer(accelerator, mapping, dynamic.streams if dynamic else None)
    cycles: Entries = {name: timing.cycles[:, i] for i, name in enumerate(CAUSES)}
    if dynamic and dynamic.outlier_unit_cycles is not None:
        cycles["stall_rows"] = timing.cause("stall_rows") + outlier_stall_cycles(dynamic, timing)
    check_total("PE cycles", int(timing.array_cycles.max(initial=0)) * accelerator.pes)
    macs = product.macs * batch
    low: int | Ints = dynamic.macs_low if dynamic else 0
    counts: Entries = {
        **vars(product_traffic(accelerator, mapping)),
        "macs_full": macs - low,
        "macs_low": low,
        "pe_cycles": timing.array_cycles * accelerator.pes,
        "pe_busy_cycles": dynamic.busy if dynamic else _operand_sets(mapping) * mapping.rate.interval,
        "requantizations": product.pixels * product.filters * product.groups * batch if requantizes else 0,
        "predictor_adds": (product.ifmap_elements + product.regions) * batch if product.regions else 0,
    }
    return cycles, counts


def outlier_stall_cycles(dynamic: DataDependentCounts, timing: LayerTiming) -> Ints:
    """Return the cycles by which the outlier unit finishes after the array: int64 [sample]."""
    assert dynamic.outlier_unit_cycles is not None
    stall: Ints = np.maximum(0, dynamic.outlier_unit_cycles - timing.array_cycles)
    return stall


def _operand_sets(mapping: Mapping) -> int:
    """Count how often a PE takes operands, `rate.products` pairs at a time."""
    product = mapping.product
    terms = ceil_div(product.reduction, mapping.rate.products)
    return product.groups * product.pixels * product.filters * terms * mapping.batch


def vector_layer(network: Network, layer: Layer, accelerator: Accelerator) -> tuple[Entries, Entries]:
    """Return cycles and counts of a layer of the vector unit for one sample: one operand per lane and cycle.

    Padding of a window counts as operands. Softmax and layer norm pass three times over their operands
    (maximum, weights and their sum, division; sums and root, normalization, scale and bias). A change of shape
    moves nothing.
    """
    if layer.op in (Op.FLATTEN, Op.RESHAPE):
        return {}, {}
    sizes = [math.prod(network.shapes[name]) for name in layer.inputs]
    outputs = math.prod(network.shapes[layer.name])
    windowed = layer.op in (Op.MAX_POOL, Op.AVG_POOL)
    passes = 3 if layer.op in (Op.SOFTMAX, Op.LAYER_NORM) else 1
    operands = outputs * math.prod(layer.geometry.kernel) if windowed else passes * sum(sizes)
    in_bits = max(network.formats[name].bits for name in layer.inputs)
    traffic = vector_traffic(sum(sizes), operands, outputs, in_bits, layer.output.bits)
    working = ceil_div(operands, accelerator.vector.lanes)
    multiplied = len(sizes) if layer.op is Op.ADD else 1  # an add multiplies both operands
    requantizations = outputs * multiplied if layer.requantizer else 0
    cycles: Entries = {"vector": working, **vector_waits(accelerator, traffic, working)}
    return cycles, {**vars(traffic), "vector_ops": operands, "requantizations": requantizations}


def stack(layers: list[Entries], names: tuple[str, ...], rows: int) -> Ints:
    """Return int64 [rows, layer, name]."""
    table = np.zeros((rows, len(layers), len(names)), dtype=np.int64)
    for i, entries in enumerate(layers):
        for name, value in entries.items():
            table[:, i, names.index(name)] = value
    return table
