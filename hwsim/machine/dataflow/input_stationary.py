"""Input stationary: inputs stay in the PEs, filters stream."""

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


@register("dataflow", "is", citation="A. Samajdar et al., SCALE-Sim, arXiv 1811.02883")
class InputStationary(Dataflow):
    """Inputs stay in the PEs: the reduction lies along the rows, output pixels along the columns, filters stream.

    It is the weight-stationary array with the operands exchanged. A wavefront is one weight per row.
    """

    name = "is"
    rows_loop, cols_loop, streamed = CHANNELS, PIXELS, FILTERS
    load_port = "ifmap"

    def port_limits(
        self, hardware: Hardware, product: Product, rate: Rate, batch: int = 1, row_pass: Pass | None = None
    ) -> PortLimits:
        """Return the limits for weights and sums of one wavefront, and one row of inputs."""
        depth = hardware.array.rows * rate.products
        pixels = min(product.pixels * batch, hardware.array.cols)
        sum_bits = 2 * hardware.psum_bits if product.reduction > depth else product.out_bits  # read, add, write
        return scratchpad_limits(
            hardware,
            rate,
            {"weight": min(product.reduction, depth) * product.stored_w_bits, "ofmap": pixels * sum_bits},
            load=(self.load_port, pixels * rate.products * product.a_bits),
        )

    def overheads(
        self, hardware: Hardware, product: Product, ports: PortLimits, channels_cut: bool = False
    ) -> FoldOverheads:
        """Return the load of the inputs, and the skew of the wavefronts; see `preload_overheads`."""
        return preload_overheads(hardware, ports)
