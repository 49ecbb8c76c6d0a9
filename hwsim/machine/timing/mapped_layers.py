"""Mapped layers: the layers of a workload on an accelerator, in their order."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass, field

from hwsim.errors import Infeasible, UnknownName
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.limits import check_batch
from hwsim.machine.mapping.mapping import Mapping, derive_mapping
from hwsim.machine.mapping.requirements import check_layer
from hwsim.machine.mapping.tiling import Tiling
from hwsim.machine.timing.layer_counts import Entries, vector_layer
from hwsim.machine.timing.layer_cycles import StreamCycles
from hwsim.network.graph import Network
from hwsim.network.layer import Layer
from hwsim.network.product import Product, as_product
from hwsim.network.width_groups import width_groups

Workload = Network | Iterable[tuple[str, Product]]
"""A network, or named products without weights, such as a topology file gives."""


@dataclass(frozen=True, eq=False)
class MappedLayer:
    """One layer of a workload on an accelerator.

    Attributes
    ----------
    name : name of the layer; "conv:w8" for the filters of one width where a layer has several
    mapping : where the layer has multiplications, else None
    layer : the layer of the network; None for a product without weights
    cycles, counts : of the vector unit for one sample, where there is no mapping
    streams : of one sample, where the streaming cycles depend on its data
    outlier_stall_cycles : of one sample, by which the outlier unit finishes after the array
    """

    name: str
    mapping: Mapping | None
    layer: Layer | None = None
    cycles: Entries = field(default_factory=dict)
    counts: Entries = field(default_factory=dict)
    streams: StreamCycles | None = None
    outlier_stall_cycles: int = 0


def map_layers(
    workload: Workload, accelerator: Accelerator, batch: int = 1, tilings: Table[str, Tiling] | None = None
) -> list[MappedLayer]:
    """Map every layer of `workload` onto `accelerator`; `tilings` are given by layer name, others are searched.

    Raises Infeasible, naming the layer, when one cannot run; BadInput for a batch out of range or a tiling that does
    not fit; UnknownName for the tiling of a layer that does not exist.

    >>> from hwsim.network.product import conv_product
    >>> from hwsim.registry import build
    >>> [mapped.name for mapped in map_layers([("conv", conv_product(1, 8, 8, 8))], build("accelerator", "tiny"))]
    ['conv']
    """
    check_batch(batch)
    tilings = tilings or {}
    if not isinstance(workload, Network):
        found = [(name, product, None) for name, product in workload]
        _check_names(tilings, [name for name, _, _ in found])
        return [_map(name, product, layer, accelerator, batch, tilings) for name, product, layer in found]
    parts = [part for layer in workload.layers for part in width_groups(layer)]
    _check_names(tilings, [name for name, layer in parts if layer.has_macs])
    mapped = []
    for name, layer in parts:
        if layer.has_macs:
            check_layer(workload, layer, accelerator)
            mapped.append(_map(name, as_product(workload, layer), layer, accelerator, batch, tilings))
        else:
            mapped.append(MappedLayer(name, None, layer, *vector_layer(workload, layer, accelerator)))
    return mapped


def _check_names(tilings: Table[str, Tiling], names: list[str]) -> None:
    for name in tilings:
        if name not in names:
            raise UnknownName("tilings", name, names)


def _map(
    name: str,
    product: Product,
    layer: Layer | None,
    accelerator: Accelerator,
    batch: int,
    tilings: Table[str, Tiling],
) -> MappedLayer:
    try:
        return MappedLayer(name, derive_mapping(accelerator, product, batch, tilings.get(name)), layer)
    except Infeasible as error:
        raise Infeasible(f"layer {name!r}: {error}") from None
