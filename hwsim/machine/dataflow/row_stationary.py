"""Row stationary (Eyeriss): kernel rows, input rows and partial sums stay in the PEs."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.kernels.machine.tiling_search import BY_PASS
from hwsim.machine.dataflow.base import Dataflow, Extents, FoldOverheads, PortLimits
from hwsim.machine.dataflow.hardware import RTL, Hardware
from hwsim.machine.dataflow.row_stationary_pass import Pass, derive_pass
from hwsim.machine.pe.base import Rate
from hwsim.network.product import Product
from hwsim.registry import register


@register("dataflow", "rs", citation="Y.-H. Chen et al., Eyeriss, IEEE JSSC 52(1), 2017")
class RowStationary(Dataflow):
    """Kernel rows, input rows and partial sums stay in the PEs: one fold is a pass, see `row_stationary_pass`.

    Partial sums of a pass move up through the kernel rows of a column when the pass ends. The networks to the
    PEs, described by the accelerator's `register_file`, take the place of scratchpad ports.
    """

    name = "rs"
    streamed = BY_PASS
    timing_models = (RTL,)
    needs_register_file = True
    needs_rows = True

    def row_pass(self, hardware: Hardware, product: Product, batch: int) -> Pass:
        """Return the pass with which the layer takes the fewest cycles."""
        return derive_pass(hardware, product, batch)

    def extents(
        self, hardware: Hardware, product: Product, rate: Rate, batch: int, row_pass: Pass | None = None
    ) -> Extents:
        """Return output rows, filters and channels of one pass."""
        assert row_pass is not None
        p = row_pass
        return Extents(p.rows, p.filters, p.channels, p.filter_sets, p.channel_sets)

    def port_limits(
        self, hardware: Hardware, product: Product, rate: Rate, batch: int = 1, row_pass: Pass | None = None
    ) -> PortLimits:
        """Return the limits of the networks to the PEs; `load_cycles` are those of all weights of a pass."""
        assert row_pass is not None
        return PortLimits(row_pass.wavefront_cycles, row_pass.limited_by, load_cycles=row_pass.weight_load)

    def overheads(
        self, hardware: Hardware, product: Product, ports: PortLimits, channels_cut: bool = False
    ) -> FoldOverheads:
        """Return the weight load of a pass, and one cycle per PE through which partial sums move up."""
        rows = hardware.array.rows
        kernel_rows = product.window.geometry.kernel[0] if product.window else 1
        return FoldOverheads(load=ports.load_cycles, fill_drain=max(rows // kernel_rows, 1) * min(kernel_rows, rows))

    def smallest_tile_bits(self, hardware: Hardware) -> Mapping[str, tuple[int, str]]:
        """Return nothing: the smallest tile depends on the layer."""
        return {}
