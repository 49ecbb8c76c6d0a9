"""Simulation of a network on an accelerator: exact outputs, exact cycles, exact counts."""

from __future__ import annotations

from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hwsim.arrays import real_array
from hwsim.errors import BadInput, HwsimError
from hwsim.formats import Kind
from hwsim.machine.activity.toggles import Toggles, count_toggles
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES, EVENTS
from hwsim.machine.mapping.mapping import Mapping
from hwsim.machine.mapping.tiling import Tiling
from hwsim.machine.run import Activity, Precision, Run, join
from hwsim.machine.timing.data_dependent import DataDependentCounts, region_dynamic, value_dynamic
from hwsim.machine.timing.layer_counts import outlier_stall_cycles, product_layer, stack
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.machine.timing.mapped_layers import MappedLayer, map_layers
from hwsim.network.graph import Network
from hwsim.network.layer import Layer

if TYPE_CHECKING:
    from hwsim.engine.execute import Execution

CHUNK_SAMPLES = 256
"""Samples whose codes between layers are in memory at the same time. The results do not depend on it."""


def simulate(
    network: Network,
    accelerator: Accelerator,
    inputs: NDArray[np.generic],
    tilings: Table[str, Tiling] | None = None,
) -> Run:
    """Run `inputs` [sample, ...]: real values (any float dtype, encoded by the network) or integer codes.

    Samples run one after the other, layers too. `tilings` gives tiles for some layers by name; others are
    searched. Raises Infeasible, naming the layer, when one cannot run, and BadInput for inputs of the wrong
    shape or range or a tiling that does not fit.
    """
    from hwsim.engine.execute import execute

    if not isinstance(network, Network):
        raise BadInput("network", f"a {type(network).__name__}", "a Network")
    if not isinstance(accelerator, Accelerator):
        raise BadInput("accelerator", f"a {type(accelerator).__name__}", "an Accelerator, from load_accelerator")
    layers = map_layers(network, accelerator, tilings=tilings)
    values = real_array(inputs, "inputs")
    if values.ndim < 1 or values.shape[1:] != network.input_shape:
        wanted = ", ".join(map(str, network.input_shape))
        raise BadInput("inputs", f"shape {values.shape}", f"[samples, {wanted}]")
    codes = network.encode(values) if values.dtype.kind == "f" else values
    captured = captured_values(network, accelerator)
    parts = [codes[first : first + CHUNK_SAMPLES] for first in range(0, len(codes), CHUNK_SAMPLES)] or [codes]
    return join([count(network, accelerator, execute(network, part, capture=captured), layers) for part in parts])


def captured_values(network: Network, accelerator: Accelerator) -> tuple[str, ...]:
    """Return the values (names of layers, or "input") on which energy or cycles of the run depend.

    `execute` has to capture them for `count`.
    """
    names = [layer.inputs[0] for layer in network.layers if _depends_on_values(layer, accelerator)]
    return tuple(dict.fromkeys(names))


def _depends_on_values(layer: Layer, accelerator: Accelerator) -> bool:
    """Return whether toggles or cycles of a layer depend on the codes that it reads."""
    if layer.weight is None or not layer.has_macs:
        return False
    return accelerator.dataflow.counts_toggles or accelerator.pe.value_timing is not None


def count(
    network: Network, accelerator: Accelerator, execution: Execution, layers: Sequence[MappedLayer] | None = None
) -> Run:
    """Count cycles and events of an execution; one execution serves many accelerators.

    `layers` are those of `map_layers`, which is called when they are not given. Where the execution captured the
    values that `captured_values` names, toggles are counted too. Raises HwsimError when cycles depend on a value
    that was not captured.
    """
    cycles, counts, precisions, toggles = [], [], [], []
    varies = False
    layers = map_layers(network, accelerator) if layers is None else layers
    for mapped in layers:
        layer, spent, counted = mapped.layer, mapped.cycles, mapped.counts
        assert layer is not None
        if mapped.mapping is not None:
            dynamic = _data_dependent(network, accelerator, mapped.mapping, layer, execution)
            varies = varies or dynamic is not None
            spent, counted = product_layer(accelerator, mapped.mapping, layer.requantizer is not None, dynamic)
            if layer.weight is not None and layer.weight.format.kind is Kind.CODEBOOK:
                counted["decodes"] = mapped.mapping.totals["weight_reads"]
        cycles.append(spent)
        counts.append(counted)
        precisions.append(_precision(network, layer))
        toggles.append(_toggles(network, accelerator, layer, execution))
    rows = len(execution.outputs) if varies else 1
    return Run(
        outputs=execution.outputs,
        layers=tuple(mapped.name for mapped in layers),
        cycles=stack(cycles, CAUSES, rows),
        counts=stack(counts, EVENTS, rows),
        masks=execution.masks,
        accelerator=accelerator,
        logit_scale=network.logit_scale,
        precisions=tuple(precisions),
        activity=_activity(toggles, len(execution.outputs)),
    )


def layers_of_sample(network: Network, accelerator: Accelerator, codes: NDArray[np.integer]) -> list[MappedLayer]:
    """Map the layers of one sample with the cycles that depend on its data, for `timeline_of`.

    `codes` is int [*shape of the input]. Raises Infeasible, naming the layer, when one cannot run.
    """
    from hwsim.engine.execute import execute

    layers = map_layers(network, accelerator)
    execution = execute(network, codes[None], capture=captured_values(network, accelerator))
    return [_of_sample(network, accelerator, mapped, execution) for mapped in layers]


def _of_sample(network: Network, accelerator: Accelerator, mapped: MappedLayer, execution: Execution) -> MappedLayer:
    """Return a layer with the cycles of the one sample of `execution`."""
    if mapped.mapping is None or mapped.layer is None:
        return mapped
    dynamic = _data_dependent(network, accelerator, mapped.mapping, mapped.layer, execution)
    if dynamic is None:
        return mapped
    stall = 0
    if dynamic.outlier_unit_cycles is not None:
        timing = time_layer(accelerator, mapped.mapping, dynamic.streams)
        stall = int(outlier_stall_cycles(dynamic, timing)[0])
    return replace(mapped, streams=dynamic.streams, outlier_stall_cycles=stall)


def _data_dependent(
    network: Network, accelerator: Accelerator, mapping: Mapping, layer: Layer, execution: Execution
) -> DataDependentCounts | None:
    """Return the counts of a layer that depend on its data; None where none does."""
    if layer.region is not None:
        return region_dynamic(accelerator, mapping, layer, execution.masks[layer.name])
    if layer.weight is None or accelerator.pe.value_timing is None:
        return None
    source = layer.inputs[0]
    if source not in execution.codes:
        raise HwsimError(
            f"layer {layer.name!r}: the cycles of PE {accelerator.pe.name!r} depend on its input; "
            "execute(..., capture=captured_values(network, accelerator)) captures it"
        )
    return value_dynamic(accelerator, mapping, layer, network.formats[source], execution.codes[source])


def _toggles(network: Network, accelerator: Accelerator, layer: Layer, execution: Execution) -> Toggles | None:
    """Count the toggles of a layer where an activity model describes the array and its input was captured."""
    if not accelerator.dataflow.counts_toggles or not layer.has_macs or layer.weight is None:
        return None
    source = layer.inputs[0]
    if source not in execution.codes:
        return None
    widths = accelerator.pe.baseline_widths(network.formats[source].bits, layer.weight.format.bits)
    masks = execution.masks.get(layer.name)
    return count_toggles(network, layer, execution.codes[source], accelerator.array.rows, widths, masks)


def _activity(toggles: Sequence[Toggles | None], samples: int) -> Activity | None:
    if all(one is None for one in toggles):
        return None
    missing = np.full(samples, -1, dtype=np.int64)
    return Activity(
        operand=np.stack([missing if one is None else one.operand for one in toggles], axis=1),
        psum=np.stack([missing if one is None else one.psum for one in toggles], axis=1),
        psum_error=np.array([0.0 if one is None else one.psum_error for one in toggles]),
    )


def _precision(network: Network, layer: Layer) -> Precision | None:
    if not layer.has_macs:
        return None
    low_bits = layer.region.low_bits if layer.region else None
    second = layer.weight.format if layer.weight else network.formats[layer.inputs[1]]
    return Precision(network.formats[layer.inputs[0]].bits, second.bits, low_bits)
