"""How a layer is laid on the array: the matrix product it is, its folds, and what stays on chip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from hwsim.errors import Infeasible
from hwsim.machine.accelerator import PSUM_BITS, Accelerator
from hwsim.machine.pe import Rate
from hwsim.network.graph import Network
from hwsim.network.layer import Layer
from hwsim.registry import family


@dataclass(frozen=True)
class Product:
    """A convolution, linear or matmul layer as one matrix product per group, for one sample.

    Each of `groups` groups multiplies [pixels, reduction] by [reduction, filters]; a linear layer of
    a plain feature vector has one pixel. `ifmap_elements` are the input codes of all groups, padding
    not included. With region precision `low_bits` is the narrow width and `regions` the number of
    mask bits.
    """

    pixels: int
    reduction: int
    filters: int
    groups: int = 1
    ifmap_elements: int = 0
    a_bits: int = 8
    w_bits: int = 8
    out_bits: int = 8
    low_bits: int | None = None
    regions: int = 0

    @property
    def macs(self) -> int:
        """Products of one sample, those with padding included."""
        return self.groups * self.pixels * self.reduction * self.filters

    @property
    def stored_w_bits(self) -> int:
        """Bits per weight in memory: region layers store a low twin of every weight."""
        return self.w_bits + (self.low_bits or 0)


def as_product(network: Network, layer: Layer) -> Product:
    """The matrix product that a convolution, linear or matmul layer of `network` is."""
    if layer.weight is None:
        return _activations_product(network, layer)
    source, region = layer.inputs[0], layer.region
    shape, output = network.shapes[source], network.shapes[layer.name]
    filters, groups = layer.weight.codes.shape[0], layer.geometry.groups
    regions = -(-shape[1] // region.height) * -(-shape[2] // region.width) if region else 0
    return Product(
        pixels=math.prod(output) // filters,
        reduction=math.prod(layer.weight.codes.shape[1:]),
        filters=filters // groups,
        groups=groups,
        ifmap_elements=math.prod(shape),
        a_bits=network.formats[source].bits,
        w_bits=layer.weight.format.bits,
        out_bits=layer.output.bits,
        low_bits=region.low_bits if region else None,
        regions=regions,
    )


def _activations_product(network: Network, layer: Layer) -> Product:
    """A product of two activations: the second one takes the place of the weights, once per leading index."""
    (*leading, pixels, reduction), right = (network.shapes[name] for name in layer.inputs)
    a, b = (network.formats[name] for name in layer.inputs)
    return Product(
        pixels=pixels,
        reduction=reduction,
        filters=right[-1],
        groups=math.prod(leading),
        ifmap_elements=math.prod(network.shapes[layer.inputs[0]]),
        a_bits=a.bits,
        w_bits=b.bits,
        out_bits=layer.output.bits,
    )


class LoopOrder(StrEnum):
    """Which operand is fetched from DRAM piece by piece in the outer loop, and so only once."""

    WEIGHTS_OUTER = "weights_outer"
    PIXELS_OUTER = "pixels_outer"


@dataclass(frozen=True)
class Mapping:
    """Folds of one product on one array, and the cheaper loop order over DRAM.

    One fold is one filling of the array. `k_folds` cut the reduction, `n_folds` the filters,
    `m_folds` the pixels (os: one block per `rows` pixels; ws: so many pixels that their partial sums
    fit the ofmap scratchpad). The two `dram_*` fields are the bits of one sample, all groups.
    """

    rate: Rate
    k_folds: int
    n_folds: int
    m_folds: int
    folds: int
    order: LoopOrder
    dram_ifmap_bits: int
    dram_weight_bits: int


def derive_mapping(accelerator: Accelerator, product: Product) -> Mapping:
    """The mapping of `product`; raises Infeasible when the PE cannot multiply its operands."""
    rate = accelerator.pe.rate(product.a_bits, product.w_bits)
    array = accelerator.array
    n_folds = -(-product.filters // array.cols)
    if accelerator.dataflow == "ws":
        k_folds = -(-product.reduction // (array.rows * rate.lanes))
        m_folds = _pixel_tiles(accelerator, product, k_folds)
    else:
        k_folds, m_folds = 1, -(-product.pixels // array.rows)
    folds = k_folds * n_folds * m_folds * product.groups
    return Mapping(rate, k_folds, n_folds, m_folds, folds, *_dram(accelerator, product, n_folds, m_folds))


def _pixel_tiles(accelerator: Accelerator, product: Product, k_folds: int) -> int:
    if k_folds == 1 or accelerator.timing == "scalesim":
        return 1  # no partial sum ever waits; SCALE-Sim's stall-free mode has no limit on them
    waiting = min(product.filters, accelerator.array.cols) * PSUM_BITS
    return -(-product.pixels // (accelerator.scratchpads.usable_bits("ofmap") // waiting))


def _dram(accelerator: Accelerator, product: Product, n_folds: int, m_folds: int) -> tuple[LoopOrder, int, int]:
    """Loop order, ifmap bits and weight bits from DRAM: the order that moves less; on a tie weights outer.

    An operand that fits into half of its scratchpad is fetched once in either order. Otherwise the
    inner one is fetched again for every piece of the outer one.
    """
    pads = accelerator.scratchpads
    ifmap = -(-(product.ifmap_elements * product.a_bits + product.regions) // product.groups)
    weights = product.reduction * product.filters * product.stored_w_bits
    block = product.reduction * min(product.filters, accelerator.array.cols) * product.stored_w_bits
    ifmap_room, weight_room = pads.usable_bits("ifmap"), pads.usable_bits("weight")

    blocks_at_once = max(1, weight_room // block)
    ifmap_times = 1 if ifmap <= ifmap_room else -(-n_folds // blocks_at_once)
    weight_times = 1 if block <= weight_room else m_folds
    weights_outer = (ifmap * ifmap_times, weights * weight_times)

    pixel_tiles = m_folds if accelerator.dataflow == "ws" else 1
    weight_times = 1 if weights <= weight_room else max(pixel_tiles, -(-ifmap // ifmap_room))
    pixels_outer = (ifmap, weights * weight_times)

    order = LoopOrder.WEIGHTS_OUTER if sum(weights_outer) <= sum(pixels_outer) else LoopOrder.PIXELS_OUTER
    bits = weights_outer if order is LoopOrder.WEIGHTS_OUTER else pixels_outer
    return order, bits[0] * product.groups, bits[1] * product.groups


def check_runs(network: Network, accelerator: Accelerator) -> None:
    """Raise Infeasible, naming the layer, unless every layer of `network` can run."""
    for layer in network.layers:
        if not layer.has_macs:
            continue
        product = as_product(network, layer)
        if product.low_bits is not None and not accelerator.pe.regions:
            raise Infeasible(
                f"layer {layer.name!r} has region precision, but PE {_name(accelerator)!r} has one width per layer; "
                f"PEs that can: {', '.join(_pes_with_regions())}; "
                f"accelerators: {', '.join(_accelerators_with_regions())}"
            )
        try:
            accelerator.pe.rate(product.a_bits, product.w_bits)
        except Infeasible as error:
            raise Infeasible(f"layer {layer.name!r}: {error}") from None


def _name(accelerator: Accelerator) -> str:
    return str(getattr(accelerator.pe, "name", type(accelerator.pe).__name__))


def _pes_with_regions() -> list[str]:
    return [name for name, record in family("pe").items() if getattr(record.make, "regions", False)]


def _accelerators_with_regions() -> list[str]:
    able = _pes_with_regions()
    return [name for name, record in family("accelerator").items() if record.defaults.get("pe", {}).get("name") in able]
