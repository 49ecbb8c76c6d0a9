"""The outlier-aware PE of OLAccel: 4-bit lanes, and a sparse path for the few wide operands."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.arithmetic import ceil_div
from hwsim.machine.pe.base import MAX_OPERAND_BITS, PE, OutlierTiming, Rate
from hwsim.machine.technology.tables import (
    CLOCK_FJ_PER_FLIP_FLOP,
    PSUM_BIT_UM2,
    PhysicalCost,
    assumed_cost,
    plain_pe,
    plain_psum_bits,
)
from hwsim.registry import register

NATIVE_BITS = 4
PSUM_BITS = 28
"""Partial sum, which the 16 x 4 MACs of the outlier unit share: 16 + 4 + 8 bits."""


@register(
    "pe",
    "outlier",
    citation="E. Park et al., Energy-efficient Neural Network Accelerator Based on Outlier-aware Low-precision "
    "Computation, ISCA 2018, hdl.handle.net/10371/186725",
)
class Outlier(PE, OutlierTiming):
    """A 4-bit lane; operands beyond 4 bits are outliers, which cost time only where they are frequent.

    Weights: `lanes` neighboring filters share one spare MAC, so that one outlier weight among them
    costs nothing; with more, they take ceil(w / 4) cycles at this reduction index (`weight_cycles`).
    `rate` is this upper bound. Activations: outliers are computed by separate high-precision MACs which add
    into the same partial sums, while their lanes continue (`outlier_codes`, `outlier_cycles`). A layer
    takes the longer of the two times.

    From the abstract: 4-bit SIMD lanes, the spare MAC which avoids the cycle of a single outlier,
    dedicated MACs for outlier activations, pipelined updates. Assumed: 16 lanes, a second cycle for
    several outliers (and a third and fourth for weights beyond 8 and 12 bits), one high-precision
    MAC per 16 PEs, one product per cycle in it, no skipping of zero activations.

    Area is a lower figure: controllers, the queues of outliers and the wiring between lanes and spare MACs are not in
    it. ANT's simulator gives OLAccel 16x18 units of 8 bits against 32x32 units of its own
    (clevercool/ANT-Quantization @bc84067, conf_olaccel.ini). This figure is not used here, because its area is not
    stated. Compare OLAccel at equal numbers of lanes, and not at equal area.

    Energy and area are assumed: a measured 4x4 lane, its share of a spare 4x4 MAC and of a measured 16x4 MAC,
    and a 28-bit partial sum. A format wider than 4 bits pays for its outlier path as if it
    were always busy, which is right for about one outlier in 16.

    >>> Outlier().rate(16, 4), Outlier().rate(4, 8)
    (Rate(products=1, interval=1), Rate(products=1, interval=2))
    >>> Outlier(lanes=2).weight_cycles(8, np.array([[7, 99, 99], [7, 0, -9]])).tolist()
    [[1, 1, 2]]
    """

    name: Literal["outlier"] = "outlier"
    lanes: int = Field(16, ge=1, le=4096, description="neighboring filters that share one spare MAC")
    pes_per_wide_mac: int = Field(16, ge=1, le=4096, description="PEs for each high-precision MAC of the outlier unit")

    @property
    def max_operand_bits(self) -> int:
        """16 bits, by the outlier path."""
        return MAX_OPERAND_BITS

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return one product, in the cycles of a group with several outlier weights."""
        self.require(a_bits, w_bits)
        return Rate(1, ceil_div(w_bits, NATIVE_BITS))

    def usual_rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return one product per cycle: at most one weight of a group is an outlier, mostly."""
        self.require(a_bits, w_bits)
        return Rate(1, 1)

    def area_delay(self, a_bits: int, w_bits: int) -> float:
        """Return the area-delay product with all activations beyond 4 bits as outliers, which limit the speed."""
        lane_cycles = self.rate(a_bits, w_bits).interval
        outlier_unit_cycles = self.pes_per_wide_mac if a_bits > NATIVE_BITS else 0
        return self.physical_cost().area_um2 * max(lane_cycles, outlier_unit_cycles)

    @property
    def weight_register_bits(self) -> int:
        """One weight with its outlier bits."""
        return MAX_OPERAND_BITS

    def physical_cost(self) -> PhysicalCost:
        """Return the cost of a 4-bit lane with a longer partial sum, plus shares of spare and high-precision MAC."""
        lane, wide = plain_pe(NATIVE_BITS, NATIVE_BITS).physical, plain_pe(NATIVE_BITS, MAX_OPERAND_BITS).physical
        longer = PSUM_BITS - plain_psum_bits(NATIVE_BITS, NATIVE_BITS)
        area = lane.area_um2 * (1 + 1 / self.lanes) + PSUM_BIT_UM2 * longer + wide.area_um2 / self.pes_per_wide_mac
        clock = lane.clock_fj * (1 + 1 / self.lanes) + CLOCK_FJ_PER_FLIP_FLOP * longer
        clock += wide.clock_fj / self.pes_per_wide_mac
        return PhysicalCost(area, assumed_cost(area, 0).leakage_uw, clock)

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Return the energy of a 4x4 product, and the share of the outlier paths that the widths need."""
        self.require(a_bits, w_bits)
        lane = plain_pe(NATIVE_BITS, NATIVE_BITS).switching_fj
        wide = plain_pe(NATIVE_BITS, MAX_OPERAND_BITS).switching_fj
        spare = lane / self.lanes if w_bits > NATIVE_BITS else 0.0
        return lane + spare + (wide / self.pes_per_wide_mac if a_bits > NATIVE_BITS else 0.0)

    @property
    def value_timing(self) -> OutlierTiming:
        """Cycles by outlier values, always."""
        return self

    def weight_cycles(self, w_bits: int, values: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return 1 with at most one outlier weight in the group, else ceil(w_bits / 4): uint8 [group, reduction].

        `values` is int64 [filter, reduction]. Groups are counted from the first filter of the fold, and the
        last may be smaller. Outliers are the values outside -8 to 7.
        """
        outliers = (values < -(1 << (NATIVE_BITS - 1))) | (values >= 1 << (NATIVE_BITS - 1))
        counts = np.add.reduceat(outliers.astype(np.int64), np.arange(0, len(values), self.lanes), axis=0)
        return np.where(counts > 1, ceil_div(w_bits, NATIVE_BITS), 1).astype(np.uint8)

    def outlier_codes(self, values: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which activations exceed 4 bits: outside 0 to 15, or -8 to 7 in formats with negative values.

        >>> Outlier().outlier_codes(np.array([-9, 7, 8])).tolist(), Outlier().outlier_codes(np.array([8, 16])).tolist()
        ([True, False, True], [False, True])
        """
        low = -(1 << (NATIVE_BITS - 1)) if values.min(initial=0) < 0 else 0
        return (values < low) | (values >= low + (1 << NATIVE_BITS))

    def outlier_cycles(self, products: NDArray[np.int64], pes: int) -> NDArray[np.int64]:
        """Return one cycle per product and high-precision MAC, of which an array has at least one.

        >>> Outlier().outlier_cycles(np.array([0, 33]), pes=512).tolist()
        [0, 2]
        """
        return ceil_div(products, max(1, pes // self.pes_per_wide_mac))
