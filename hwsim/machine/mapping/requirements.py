"""Requirements of a layer on an accelerator: operand formats of the PE, and region precision."""

from __future__ import annotations

from hwsim.errors import Infeasible
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.pe_suggestions import require_formats
from hwsim.network.graph import Network
from hwsim.network.layer import Layer
from hwsim.registry import family


def check_layer(network: Network, layer: Layer, accelerator: Accelerator) -> None:
    """Raise Infeasible, naming the layer, unless the PE multiplies its operands, regions of two precisions included."""
    if layer.region is not None:
        _check_regions(layer.name, accelerator)
    second = layer.weight.format if layer.weight else network.formats[layer.inputs[1]]
    try:
        require_formats(accelerator.pe, network.formats[layer.inputs[0]], second)
    except Infeasible as error:
        raise Infeasible(f"layer {layer.name!r}: {error}") from None


def _check_regions(layer: str, accelerator: Accelerator) -> None:
    if not accelerator.dataflow.region_precision:
        able = [name for name, record in family("dataflow").items() if record.factory.region_precision]  # type: ignore[attr-defined]
        raise Infeasible(
            f"layer {layer!r} has region precision, which needs dataflow {' or '.join(able)}, not "
            f"{accelerator.dataflow}; accelerators: {', '.join(_accelerators_with_regions())}"
        )
    if not accelerator.pe.regions:
        raise Infeasible(
            f"layer {layer!r} has region precision, but PE {accelerator.pe.name!r} has one width per layer; "
            f"PEs that can: {', '.join(_pes_with_regions())}; "
            f"accelerators: {', '.join(_accelerators_with_regions())}"
        )


def _pes_with_regions() -> list[str]:
    return [name for name, record in family("pe").items() if getattr(record.factory, "regions", False)]


def _accelerators_with_regions() -> list[str]:
    able = _pes_with_regions()
    return [name for name, record in family("accelerator").items() if record.defaults.get("pe", {}).get("name") in able]
