"""Weight stationary: weights stay in the PEs, output pixels stream."""

from __future__ import annotations

from hwsim.kernels.machine.tiling_search import CHANNELS, FILTERS, PIXELS
from hwsim.machine.dataflow.base import (
    Dataflow,
    FoldOverheads,
    PortLimits,
    preload_overheads,
    scratchpad_limits,
)
from hwsim.machine.dataflow.hardware import Hardware
from hwsim.machine.dataflow.row_stationary_pass import Pass
from hwsim.machine.pe.base import Rate
from hwsim.network.product import Product
from hwsim.registry import register


@register("dataflow", "ws", citation="H. T. Kung, Why Systolic Architectures?, Computer 15(1), 1982; TPU, ISCA 2017")
class WeightStationary(Dataflow):
    """Weights stay in the PEs: the reduction lies along the rows, filters along the columns, output pixels stream.

    A fold of an R x C array loads R rows of weights, then streams one wavefront per output pixel. A wavefront
    is one input per row; partial sums move down the columns. Where the reduction takes several folds,
    partial sums are read from and written to the ofmap scratchpad.

    >>> from hwsim.registry import build
    >>> flow, tiny = WeightStationary(), build("accelerator", "tiny")
    >>> flow.overheads(tiny, Product(37, 4, 4), PortLimits(wavefront_cycles=1))
    FoldOverheads(load=4, load_stall=0, fill_drain=7, drain_stall=0, min_interval=0)
    """

    name = "ws"
    rows_loop, cols_loop, streamed = CHANNELS, FILTERS, PIXELS
    load_port = "weight"
    region_precision = True
    counts_toggles = True

    def port_limits(
        self, hardware: Hardware, product: Product, rate: Rate, batch: int = 1, row_pass: Pass | None = None
    ) -> PortLimits:
        """Return the limits for inputs and sums of one wavefront, and one row of weights."""
        depth = hardware.array.rows * rate.products
        filters = min(product.filters, hardware.array.cols)
        sum_bits = 2 * hardware.psum_bits if product.reduction > depth else product.out_bits  # read, add, write
        return scratchpad_limits(
            hardware,
            rate,
            {"ifmap": min(product.reduction, depth) * product.a_bits, "ofmap": filters * sum_bits},
            load=(self.load_port, filters * rate.products * product.stored_w_bits),
        )

    def overheads(
        self, hardware: Hardware, product: Product, ports: PortLimits, channels_cut: bool = False
    ) -> FoldOverheads:
        """Return the load of the weights, and the skew of the wavefronts; see `preload_overheads`."""
        return preload_overheads(hardware, ports)
