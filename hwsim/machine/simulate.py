"""Run a network on an accelerator: exact outputs, exact cycles, exact counts."""

from __future__ import annotations

import math
from collections.abc import Mapping as Table
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwsim.machine.accelerator import Accelerator
from hwsim.machine.mapping import Mapping, Product, as_product, check_runs, derive_mapping
from hwsim.machine.memory import Traffic, product_traffic, stall_cycles, vector_traffic
from hwsim.machine.run import CAUSES, EVENTS, Precision, Run
from hwsim.machine.timing import array_cycles, region_counts
from hwsim.network.graph import Network
from hwsim.network.layer import Layer, Op

if TYPE_CHECKING:
    from hwsim.engine.execute import Execution

Ints = NDArray[np.int64]
Entries = dict[str, "int | Ints"]
"""Cycles by cause, or counts by event; one number for all samples, or int64 [sample]. What is absent is 0."""


def simulate(network: Network, accelerator: Accelerator, inputs: NDArray[np.generic]) -> Run:
    """Run `inputs` [sample, ...]: real values (any float dtype, encoded by the network) or integer codes.

    Samples run one after the other, layers too. Raises Infeasible, naming the layer, when one cannot
    run, and BadInput for inputs of the wrong shape or range.
    """
    from hwsim.engine.execute import execute

    check_runs(network, accelerator)
    values: Any = inputs
    codes = network.encode(values) if np.issubdtype(inputs.dtype, np.floating) else values
    return count(network, accelerator, execute(network, codes))


def count(network: Network, accelerator: Accelerator, execution: Execution) -> Run:
    """The Run of an execution that has already been made; one execution serves many accelerators."""
    check_runs(network, accelerator)
    cycles, counts, precisions = [], [], []
    for layer in network.layers:
        if layer.has_macs:
            spent, counted = _product_layer(network, layer, accelerator, execution.masks)
        elif layer.op in (Op.FLATTEN, Op.RESHAPE):
            spent, counted = {}, {}  # a change of shape moves nothing
        else:
            spent, counted = _vector_layer(network, layer, accelerator)
        cycles.append(spent)
        counts.append(counted)
        precisions.append(_precision(network, layer))
    rows = len(execution.outputs) if any(layer.region for layer in network.layers) else 1
    return Run(
        outputs=execution.outputs,
        layers=tuple(layer.name for layer in network.layers),
        cycles=_stack(cycles, CAUSES, rows),
        counts=_stack(counts, EVENTS, rows),
        masks=execution.masks,
        accelerator=accelerator,
        logit_scale=network.logit_scale,
        precisions=tuple(precisions),
    )


def _product_layer(
    network: Network, layer: Layer, accelerator: Accelerator, masks: Table[str, NDArray[np.bool_]]
) -> tuple[Entries, Entries]:
    product = as_product(network, layer)
    mapping = derive_mapping(accelerator, product)
    plain = array_cycles(accelerator, product, mapping)
    compute: int | Ints = plain.compute
    macs: Entries = {"macs_full": product.macs}
    busy: int | Ints = _passes(product, mapping) * mapping.rate.steps
    if product.low_bits is not None:
        height, width = network.shapes[layer.inputs[0]][1:]
        region = region_counts(accelerator, product, mapping, layer, masks[layer.name], (height, width))
        low_steps = accelerator.pe.rate(product.low_bits, product.low_bits).steps
        compute, macs_low = region.compute, product.macs - region.macs_full
        macs = {"macs_full": region.macs_full, "macs_low": macs_low}
        busy = region.macs_full * mapping.rate.steps + macs_low * low_steps
    working = compute + plain.fill_drain + plain.weight_load
    traffic = product_traffic(accelerator, product, mapping)
    cycles: Entries = {
        "compute": compute,
        "fill_drain": plain.fill_drain,
        "weight_load": plain.weight_load,
        "memory_stall": stall_cycles(accelerator, traffic, working),
    }
    counts = macs | _port_counts(traffic)
    counts |= {
        "pe_cycles": working * (accelerator.array.rows * accelerator.array.cols),
        "pe_busy_cycles": busy,
        "requantizations": math.prod(network.shapes[layer.name]) if layer.requantizer else 0,
        "predictor_adds": product.ifmap_elements + product.regions if product.regions else 0,
    }
    return cycles, counts


def _passes(product: Product, mapping: Mapping) -> int:
    """Times that a PE takes a set of operands, one for every lane."""
    return product.groups * product.pixels * product.filters * -(-product.reduction // mapping.rate.lanes)


def _vector_layer(network: Network, layer: Layer, accelerator: Accelerator) -> tuple[Entries, Entries]:
    """Layers of the vector unit: one operand per lane and cycle; a window's padding is an operand like any other.

    Softmax and layer norm pass three times over theirs (largest, weights and their sum, division; sums
    and root, normalization, scale and bias).
    """
    sizes = [math.prod(network.shapes[name]) for name in layer.inputs]
    outputs = math.prod(network.shapes[layer.name])
    windowed = layer.op in (Op.MAX_POOL, Op.AVG_POOL)
    passes = 3 if layer.op in (Op.SOFTMAX, Op.LAYER_NORM) else 1
    operands = outputs * math.prod(layer.geometry.kernel) if windowed else passes * sum(sizes)
    in_bits = max(network.formats[name].bits for name in layer.inputs)
    traffic = vector_traffic(sum(sizes), operands, outputs, in_bits, layer.output.bits)
    working = -(-operands // accelerator.vector.lanes)
    cycles: Entries = {"vector": working, "memory_stall": stall_cycles(accelerator, traffic, working)}
    multiplied = len(sizes) if layer.op is Op.ADD else 1  # an add multiplies both operands
    requantizations = outputs * multiplied if layer.requantizer else 0
    return cycles, _port_counts(traffic) | {"vector_ops": operands, "requantizations": requantizations}


def _port_counts(traffic: Traffic) -> Entries:
    return {name: bits for name, bits in vars(traffic).items() if name in EVENTS}


def _precision(network: Network, layer: Layer) -> Precision | None:
    if not layer.has_macs:
        return None
    low_bits = layer.region.low_bits if layer.region else None
    second = layer.weight.format if layer.weight else network.formats[layer.inputs[1]]
    return Precision(network.formats[layer.inputs[0]].bits, second.bits, low_bits)


def _stack(layers: list[Entries], names: tuple[str, ...], rows: int) -> Ints:
    """int64 [rows, layer, name]."""
    table = np.zeros((rows, len(layers), len(names)), dtype=np.int64)
    for i, entries in enumerate(layers):
        for name, value in entries.items():
            table[:, i, names.index(name)] = value
    return table
