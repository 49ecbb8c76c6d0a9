"""Output stationary: sums stay in the PEs, the reduction streams."""

from __future__ import annotations

from hwsim.kernels.machine.tiling_search import CHANNELS, FILTERS, PIXELS
from hwsim.machine.dataflow.base import Dataflow, FoldOverheads, PortLimits, scratchpad_limits
from hwsim.machine.dataflow.hardware import RTL, SCALESIM, STONNE, Hardware
from hwsim.machine.dataflow.row_stationary_pass import Pass
from hwsim.machine.pe.base import Rate
from hwsim.network.product import Product
from hwsim.registry import register


@register("dataflow", "os", citation="Z. Du et al., ShiDianNao, ISCA 2015; A. Samajdar et al., arXiv 1811.02883")
class OutputStationary(Dataflow):
    """Sums stay in the PEs: output pixels lie along the rows, filters along the columns, the reduction streams.

    A fold of an R x C array streams the whole reduction of a tile, R + C - 2 cycles longer because of the skew,
    then shifts its outputs out of the array in R cycles (rtl; scalesim charges the skew alone).
    """

    name = "os"
    rows_loop, cols_loop, streamed = PIXELS, FILTERS, CHANNELS
    timing_models = (RTL, SCALESIM, STONNE)
    region_precision = True

    def port_limits(
        self, hardware: Hardware, product: Product, rate: Rate, batch: int = 1, row_pass: Pass | None = None
    ) -> PortLimits:
        """Return the limits for inputs and weights of one wavefront, and one row of outputs or of partial sums."""
        products = min(product.reduction, rate.products)
        pixels, filters = min(product.pixels * batch, hardware.array.rows), min(product.filters, hardware.array.cols)
        return scratchpad_limits(
            hardware,
            rate,
            {"ifmap": pixels * products * product.a_bits, "weight": filters * products * product.stored_w_bits},
            drain_row=filters * product.out_bits,
            drain_row_cut=filters * 2 * hardware.psum_bits,
        )

    def overheads(
        self, hardware: Hardware, product: Product, ports: PortLimits, channels_cut: bool = False
    ) -> FoldOverheads:
        """Return the skew of the operands, and the shift of the outputs as fast as the ofmap port takes them."""
        rows, skew = hardware.array.rows, hardware.array.rows + hardware.array.cols - 2
        if hardware.timing == SCALESIM:
            return FoldOverheads(fill_drain=skew)
        row_cycles = ports.drain_cut_cycles if channels_cut else ports.drain_cycles
        return FoldOverheads(fill_drain=skew + rows, drain_stall=rows * (row_cycles - 1))
