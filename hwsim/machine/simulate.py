"""Run a network on an accelerator: exact outputs, exact cycles, exact counts."""

from __future__ import annotations

from collections.abc import Mapping as Table
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.formats import Kind
from hwsim.machine.activity.toggles import Toggles, count_toggles
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES, EVENTS
from hwsim.machine.mapping.mapping import Mapping, Tiling, map_network
from hwsim.machine.run import Activity, Precision, Run, join
from hwsim.machine.timing.data_dependent import DataDependentCounts, region_dynamic, value_dynamic
from hwsim.machine.timing.layer_counts import product_layer, stack, vector_layer, waits_beside
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.machine.timing.tile_schedule import Line
from hwsim.network.graph import Network
from hwsim.network.layer import Layer
from hwsim.network.width_groups import width_groups

if TYPE_CHECKING:
    from hwsim.engine.execute import Execution

TOGETHER = 256
"""Samples whose codes between layers are in memory at the same time. The results do not depend on it."""


def simulate(
    network: Network,
    accelerator: Accelerator,
    inputs: NDArray[np.generic],
    tilings: Table[str, Tiling] | None = None,
) -> Run:
    """Run `inputs` [sample, ...]: real values (any float dtype, encoded by the network) or integer codes.

    Samples run one after the other, layers too. `tilings` gives tiles for some layers by name; the others
    get the best ones. Raises Infeasible, naming the layer, when one cannot run, and BadInput for inputs
    of the wrong shape or range or a tiling that does not fit.
    """
    from hwsim.engine.execute import execute

    map_network(network, accelerator, tilings)
    values: Any = inputs
    codes = network.encode(values) if np.issubdtype(inputs.dtype, np.floating) else values
    keep = captured_values(network, accelerator)
    parts = [codes[first : first + TOGETHER] for first in range(0, len(codes), TOGETHER)] or [codes]
    return join([count(network, accelerator, execute(network, part, capture=keep), tilings) for part in parts])


def sample_lines(network: Network, accelerator: Accelerator, codes: NDArray[np.integer]) -> list[Line]:
    """The layers of the run of one sample, with what depends on its data: for `timeline_of`.

    `codes` is int [*shape of the input]. Raises Infeasible, naming the layer, when one cannot run.
    """
    from hwsim.engine.execute import execute

    mappings = map_network(network, accelerator)
    execution = execute(network, codes[None], capture=captured_values(network, accelerator))
    lines = []
    for layer in network.layers:
        for name, part in width_groups(layer):
            if not part.has_macs:
                lines.append(Line(name, None, *vector_layer(network, part, accelerator)))
                continue
            dynamic = _dynamic(network, accelerator, mappings[name], part, execution)
            streams = dynamic.streams if dynamic else None
            lines.append(Line(name, mappings[name], {}, {}, streams, _beside(accelerator, mappings[name], dynamic)))
    return lines


def _beside(accelerator: Accelerator, mapping: Mapping, dynamic: DataDependentCounts | None) -> int:
    """Cycles of a sample in which the array has ended and multipliers beside it have not."""
    if dynamic is None or dynamic.outlier_unit_cycles is None:
        return 0
    return int(waits_beside(dynamic, time_layer(accelerator, mapping, dynamic.streams))[0])


def captured_values(network: Network, accelerator: Accelerator) -> tuple[str, ...]:
    """The values (names of layers, or "input") on which energy or cycles of the run depend.

    They are what `execute` has to keep for `count` to see them.
    """
    names = [layer.inputs[0] for layer in network.layers if _watched(layer, accelerator)]
    return tuple(dict.fromkeys(names))


def _watched(layer: Layer, accelerator: Accelerator) -> bool:
    """Do toggles or steps of a layer depend on the codes that it reads?"""
    if layer.weight is None or not layer.has_macs:
        return False
    return accelerator.dataflow == "ws" or accelerator.pe.value_dependent


def count(
    network: Network, accelerator: Accelerator, execution: Execution, tilings: Table[str, Tiling] | None = None
) -> Run:
    """The Run of an execution that has already been made; one execution serves many accelerators.

    Where the execution kept the values that `captured_values` names, toggles are counted too. Raises
    HwsimError when cycles depend on a value that was not kept.
    """
    mappings = map_network(network, accelerator, tilings)
    cycles, counts, precisions, toggles = [], [], [], []
    varies = False
    parts = [part for layer in network.layers for part in width_groups(layer)]
    for name, layer in parts:
        if layer.has_macs:
            mapping = mappings[name]
            dynamic = _dynamic(network, accelerator, mapping, layer, execution)
            varies = varies or dynamic is not None
            spent, counted = product_layer(accelerator, mapping, layer.requantizer is not None, dynamic)
            if layer.weight is not None and layer.weight.format.kind is Kind.CODEBOOK:
                counted["decodes"] = mapping.totals["weight_reads"]
        else:
            spent, counted = vector_layer(network, layer, accelerator)
        cycles.append(spent)
        counts.append(counted)
        precisions.append(_precision(network, layer))
        toggles.append(_toggles(network, accelerator, layer, execution))
    rows = len(execution.outputs) if varies else 1
    return Run(
        outputs=execution.outputs,
        layers=tuple(name for name, _ in parts),
        cycles=stack(cycles, CAUSES, rows),
        counts=stack(counts, EVENTS, rows),
        masks=execution.masks,
        accelerator=accelerator,
        logit_scale=network.logit_scale,
        precisions=tuple(precisions),
        activity=_activity(toggles, len(execution.outputs)),
    )


def _dynamic(
    network: Network, accelerator: Accelerator, mapping: Mapping, layer: Layer, execution: Execution
) -> DataDependentCounts | None:
    """What depends on values in a layer on this accelerator, if anything does."""
    if layer.region is not None:
        return region_dynamic(accelerator, mapping, layer, execution.masks[layer.name])
    if layer.weight is None or not accelerator.pe.value_dependent:
        return None
    source = layer.inputs[0]
    if source not in execution.codes:
        raise HwsimError(
            f"layer {layer.name!r}: the cycles of PE {accelerator.pe.name!r} depend on its input; "
            "execute(..., capture=captured_values(network, accelerator)) keeps what they need"
        )
    return value_dynamic(accelerator, mapping, layer, network.formats[source], execution.codes[source])


def _toggles(network: Network, accelerator: Accelerator, layer: Layer, execution: Execution) -> Toggles | None:
    """Toggles of a layer in a weight-stationary array, where its input was kept."""
    if accelerator.dataflow != "ws" or not layer.has_macs or layer.weight is None:
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
