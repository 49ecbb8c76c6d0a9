"""The outlier-aware PE of OLAccel: 4-bit lanes, and a sparse path for the few wide operands."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.machine.pe.base import PE, WIDEST, Rate
from hwsim.machine.technology.tables import CLOCK_FJ_PER_FLIP_FLOP, PSUM_BIT_UM2, PhysicalCost, assumed_cost, plain_cell
from hwsim.registry import register

NATIVE = 4
PSUM_BITS = 28
"""Partial sum of the high-precision path, which adds into the same one: 16 x 4 and 8 bits more."""


@register(
    "pe",
    "outlier",
    citation="E. Park et al., Energy-efficient Neural Network Accelerator Based on Outlier-aware Low-precision "
    "Computation, ISCA 2018, hdl.handle.net/10371/186725",
)
class Outlier(PE):
    """A 4-bit lane; operands beyond 4 bits are outliers and cost more only where they are many.

    Weights: `lanes` neighbouring filters share one spare MAC, so that one outlier weight among them
    costs nothing; with more, they take ceil(w / 4) cycles at this reduction index (`weight_cycles`).
    `rate` is that upper bound for the lanes. Activations: outliers go to separate high-precision MACs which add
    into the same partial sums, while their lanes go on (`outlier_codes`, `outlier_cycles`); a layer
    takes the longer of the two.

    From the abstract: 4-bit SIMD lanes, the spare MAC which avoids the cycle of a single outlier,
    dedicated MACs for outlier activations, pipelined updates. Assumed: 16 lanes, a second cycle for
    several outliers (and a third and fourth for weights beyond 8 and 12 bits), one high-precision
    MAC per 16 PEs, one product per cycle in it, no skipping of zero activations.

    Energy and area: measured 4x4 lane, and its share of a spare 4x4 and of a measured 16x4 MAC, with
    a 28-bit partial sum: assumed. A format wider than 4 bits pays for its outlier path as if that
    were always busy, which holds for about one outlier in 16.

    >>> Outlier().rate(16, 4), Outlier().rate(4, 8)
    (Rate(products=1, interval=1), Rate(products=1, interval=2))
    >>> Outlier(lanes=2).weight_cycles(8, np.array([[7, 99, 99], [7, 0, -9]])).tolist()
    [[1, 1, 2]]
    """

    name: Literal["outlier"] = "outlier"
    lanes: int = Field(16, ge=1, le=4096, description="neighbouring filters that share one spare MAC")
    pes_per_wide_mac: int = Field(16, ge=1, le=4096, description="PEs for each high-precision MAC beside the array")

    @property
    def widest(self) -> int:
        """16 bits, by the outlier path."""
        return WIDEST

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """One product, in as many steps as a group with several outlier weights takes."""
        self.refuse(a_bits, w_bits)
        return Rate(1, -(-w_bits // NATIVE))

    def area_time(self, a_bits: int, w_bits: int) -> float:
        """As if every activation beyond 4 bits were an outlier, so that their MACs set the pace."""
        steps = self.rate(a_bits, w_bits).interval
        beside = self.pes_per_wide_mac if a_bits > NATIVE else 0
        return self.silicon().area_um2 * max(steps, beside)

    @property
    def word_bits(self) -> int:
        """One weight with its outlier bits."""
        return WIDEST

    def silicon(self) -> PhysicalCost:
        """A 4-bit lane with a longer partial sum, and its shares of the spare and of the high-precision MAC."""
        lane, wide = plain_cell(NATIVE, NATIVE).silicon, plain_cell(NATIVE, WIDEST).silicon
        longer = PSUM_BITS - (2 * NATIVE + 8)
        area = lane.area_um2 * (1 + 1 / self.lanes) + PSUM_BIT_UM2 * longer + wide.area_um2 / self.pes_per_wide_mac
        clock = lane.clock_fj * (1 + 1 / self.lanes) + CLOCK_FJ_PER_FLIP_FLOP * longer
        clock += wide.clock_fj / self.pes_per_wide_mac
        return PhysicalCost(area, assumed_cost(area, 0).leakage_uw, clock)

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """A 4x4 product, and the share of the outlier paths that the widths need."""
        self.refuse(a_bits, w_bits)
        lane, wide = plain_cell(NATIVE, NATIVE).switching_fj, plain_cell(NATIVE, WIDEST).switching_fj
        spare = lane / self.lanes if w_bits > NATIVE else 0.0
        return lane + spare + (wide / self.pes_per_wide_mac if a_bits > NATIVE else 0.0)

    @property
    def value_dependent(self) -> bool:
        """Always: outliers are values."""
        return True

    def weight_cycles(self, w_bits: int, values: NDArray[np.int64]) -> NDArray[np.uint8]:
        """1 with at most one outlier weight in the group, else ceil(w_bits / 4): uint8 [groups, reduction].

        Groups are counted from the first filter of the fold; the last may be smaller. Outliers are
        the values outside -8 to 7.
        """
        outliers = (values < -(1 << (NATIVE - 1))) | (values >= 1 << (NATIVE - 1))
        counts = np.add.reduceat(outliers.astype(np.int64), np.arange(0, len(values), self.lanes), axis=0)
        return np.where(counts > 1, -(-w_bits // NATIVE), 1).astype(np.uint8)

    def outlier_codes(self, values: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Activations beyond 4 bits: outside 0 to 15, or outside -8 to 7 where the format has negative values.

        >>> Outlier().outlier_codes(np.array([-9, 7, 8])).tolist(), Outlier().outlier_codes(np.array([8, 16])).tolist()
        ([True, False, True], [False, True])
        """
        low = -(1 << (NATIVE - 1)) if values.min(initial=0) < 0 else 0
        return (values < low) | (values >= low + (1 << NATIVE))

    def outlier_cycles(self, products: NDArray[np.int64], pes: int) -> NDArray[np.int64]:
        """One cycle per product and high-precision MAC, of which an array has at least one.

        >>> Outlier().outlier_cycles(np.array([0, 33]), pes=512).tolist()
        [0, 2]
        """
        return -(-products // max(1, pes // self.pes_per_wide_mac))
