"""Limits of a layer: sizes that a machine can have, so that no count leaves 64 bits."""

from __future__ import annotations

from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput, Infeasible
from hwsim.machine.dataflow.base import Extents, FoldOverheads, PortLimits
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.tiling import MAX_TILES
from hwsim.network.product import Product

MAX_BATCH = 1 << 20
"""Largest number of samples of a batch."""

MAX_OPERAND_BITS = 1 << 40
"""Bits of the largest operand or output of a layer, for all samples of a batch: 128 GiB."""

MAX_MACS = 1 << 54
"""Largest number of products of a layer, for all samples of a batch; of a few bits each, they fit 64 bits."""

MAX_COUNT = 1 << 60
"""Largest bound of a count inside the tiling search; the sum of several bounds fits 64 bits."""

MAX_TOTAL = (1 << 63) - 1


def check_batch(batch: int) -> None:
    """Raise BadInput unless `batch` is from 1 to MAX_BATCH."""
    if not 1 <= batch <= MAX_BATCH:
        raise BadInput("batch", batch, f"1 to {MAX_BATCH:,}")


def check_size(product: Product, batch: int) -> None:
    """Raise Infeasible for an operand or output above MAX_OPERAND_BITS, or more than MAX_MACS products."""
    window = product.convolution
    channels = product.reduction // window.taps
    bits = {
        "input": batch * product.groups * channels * window.height * window.width * product.a_bits,
        "second operand": product.groups * product.reduction * product.filters * product.stored_w_bits,
        "output": batch * product.groups * product.pixels * product.filters * product.out_bits,
    }
    for name, size in bits.items():
        if size > MAX_OPERAND_BITS:
            raise Infeasible(f"its {name} has {size:,} bits for {batch:,} samples; the limit is {MAX_OPERAND_BITS:,}")
    if product.macs * batch > MAX_MACS:
        raise Infeasible(f"{product.macs * batch:,} products for {batch:,} samples; the limit is {MAX_MACS:,}")


def check_counts(
    accelerator: Accelerator,
    product: Product,
    batch: int,
    extents: Extents,
    ports: PortLimits,
    overheads: tuple[FoldOverheads, FoldOverheads],
) -> None:
    """Raise Infeasible where the tiling search could count beyond MAX_COUNT; `overheads` are those of a fold."""
    pixels, products = product.pixels * batch, product.pixels * batch * product.filters * product.reduction
    most_tiles = min(MAX_TILES, products)
    a, b, c = (
        ceil_div(length, extent)
        for length, extent in (
            (pixels, extents.pixels),
            (product.filters, extents.filters),
            (product.reduction, extents.channels),
        )
    )
    folds = min(products, a * b * c + most_tiles * (a * b + b * c + a * c + a + b + c + 1))
    exposed = max(each.load + each.load_stall + each.fill_drain + each.drain_stall for each in overheads)
    exposed += max(each.min_interval for each in overheads)
    work = product.groups * (products * ports.wavefront_cycles + folds * exposed)
    waiting = product.groups * most_tiles * (accelerator.dram.latency_cycles + 1)
    if max(work, waiting) > MAX_COUNT:
        raise Infeasible(
            f"up to {max(work, waiting):.1e} cycles; a layer with more than {MAX_COUNT:.1e} is not counted"
        )


def check_total(name: str, count: int) -> None:
    """Raise Infeasible for a count that does not fit 64 bits."""
    if count > MAX_TOTAL:
        raise Infeasible(f"{count:,} {name}; the limit is {MAX_TOTAL:,}")
