"""The PE with a decode table: codebook weights are decoded before a plain multiplier."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Literal

from pydantic import Field

from hwsim.formats import Format, Kind
from hwsim.machine.pe.base import PE, Rate
from hwsim.machine.technology.tables import PhysicalCost, assumed_cost, plain_pe
from hwsim.registry import register

MAX_CODE_BITS = 8
REGISTER_BIT_UM2 = 36.2 / 8
REGISTER_BIT_FJ = 113.5 / 8
"""Area and write energy of one bit of a measured 8-bit register, Nangate45 at 1.1 V, uniform operands."""


@register("pe", "lookup", citation="C. Baskin et al., UNIQ: Uniform Noise Injection, TOCS 2021, arXiv 1804.10969")
class Lookup(PE):
    """A plain multiplier behind a table of 2^code_bits integers: the weights' codebook.

    A codebook weight is stored and moved as its code and decoded once, when it is loaded into the
    PE; the multiplier then has `max_bits` x `max_bits` bits and one product per cycle. Plain weights
    of up to `max_bits` bits bypass the table. Activations are never decoded.

    The multiplier is the plain PE, measured. The table is assumed: registers without clock (the table does not
    change during a layer) and a multiplexer tree of the same area, shared by `pes_per_table` PEs
    of a column, since a column loads one weight per cycle. Decoding switches one register bit for
    each bit of the entry and level of the tree.

    >>> from hwsim.formats import Format, Kind
    >>> book = Format(2, kind=Kind.CODEBOOK, table=(-90, -7, 7, 90))
    >>> Lookup().supports(Format(8), book), Lookup().rate(8, 2)
    (True, Rate(products=1, interval=1))
    """

    name: Literal["lookup"] = "lookup"
    max_bits: Literal[8, 16] = Field(8, description="width of the table's entries and of both multiplier operands")
    code_bits: int = Field(4, ge=1, le=MAX_CODE_BITS, description="widest code that the table decodes")
    pes_per_table: int = Field(16, ge=1, le=4096, description="PEs of a column that share one table")

    @property
    def max_operand_bits(self) -> int:
        """Width of the multiplier."""
        return self.max_bits

    def supports(self, a_format: Format, w_format: Format) -> bool:
        """Return whether plain operands fit the multiplier, or codes and values of a codebook fit the table."""
        if w_format.kind is not Kind.CODEBOOK:
            return super().supports(a_format, w_format)
        half = 1 << (self.max_bits - 1)
        low, high = w_format.value_range
        fits = w_format.bits <= self.code_bits and -half <= low and high < half
        return fits and a_format.kind is not Kind.CODEBOOK and self.supports_widths(a_format.bits, w_format.bits)

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return one product per cycle."""
        self.require(a_bits, w_bits)
        return Rate(1, 1)

    @property
    def weight_register_bits(self) -> int:
        """One decoded weight."""
        return self.max_bits

    def physical_cost(self) -> PhysicalCost:
        """Return the cost of the plain PE and its share of the table."""
        plain = plain_pe(self.max_bits, self.max_bits).physical
        table = 2 * REGISTER_BIT_UM2 * self.max_bits * (1 << self.code_bits) / self.pes_per_table
        leakage = plain.leakage_uw + assumed_cost(table, 0).leakage_uw
        return PhysicalCost(plain.area_um2 + table, leakage, plain.clock_fj)

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Return the energy of the full multiplier at all supported widths, without decoding (`decode_fj`)."""
        self.require(a_bits, w_bits)
        return plain_pe(self.max_bits, self.max_bits).switching_fj

    def decode_fj(self, code_bits: int) -> float:
        """Return the energy of one path through the multiplexer tree, all bits of the entry."""
        return REGISTER_BIT_FJ * self.max_bits * code_bits

    def variants(self) -> Iterator[PE]:
        """Yield PEs with larger tables, then with wider entries."""
        for bits, code_bits in product((8, 16), range(1, MAX_CODE_BITS + 1)):
            if bits >= self.max_bits and code_bits >= self.code_bits:
                yield self.model_copy(update={"max_bits": bits, "code_bits": code_bits})
