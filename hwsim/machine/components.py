"""Components of an accelerator: array, scratchpads, DRAM port, vector unit, register file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from hwsim.errors import UnknownName
from hwsim.machine.technology.tables import KIB, dram_pj_per_bit
from hwsim.registry import Configurable

SCRATCHPADS = ("ifmap", "weight", "ofmap")
"""The scratchpads in priority order: when several limit a step, the stall is attributed to the first."""


class Array(Configurable):
    """Grid of PEs."""

    rows: int = Field(
        ge=1, le=4096, description="PEs along the reduction (ws, is), output pixels (os), kernel rows (rs)"
    )
    cols: int = Field(ge=1, le=4096, description="PEs along the filters (ws, os), output pixels (is) or rows (rs)")
    weight_buffers: Literal[1, 2] = Field(
        1, description="2: PEs load the stationary operand of the next fold while this fold streams (ws, is)"
    )
    row_fifo_depth: int | None = Field(
        None,
        ge=0,
        le=1024,
        description="partial sums that a FIFO between two rows holds, so that rows of variable speed run "
        "asynchronously; none: rows run in lock-step",
    )


class Scratchpad(Configurable):
    """One on-chip buffer; it is double buffered, so one half holds one tile."""

    kib: int = Field(ge=1, le=1 << 20, description="size, KiB")
    banks: int = Field(ge=1, le=4096, description="number of memories of the scratchpad, accessed in parallel")
    word_bytes: Literal[8, 32, 64] = Field(description="bytes that one bank reads or writes per cycle")

    @property
    def usable_bits(self) -> int:
        """Bits of one half."""
        return self.kib * KIB * 8 // 2

    @property
    def bits_per_cycle(self) -> int:
        """Bits that all banks together read or write per cycle."""
        return self.banks * self.word_bytes * 8


class Scratchpads(Configurable):
    """Three on-chip buffers."""

    ifmap: Scratchpad = Field(description="input activations")
    weight: Scratchpad = Field(description="weights")
    ofmap: Scratchpad = Field(description="partial sums and outputs")

    def __getitem__(self, name: str) -> Scratchpad:
        scratchpad: Scratchpad = getattr(self, name)
        return scratchpad


class Dram(Configurable):
    """Port to the off-chip memory."""

    kind: str = Field(description="kind of memory: sets the energy per bit")
    bandwidth_bytes_per_cycle: int = Field(
        ge=1, le=1 << 20, description="bytes per clock cycle, reads and writes together"
    )
    latency_cycles: int = Field(ge=0, le=1 << 20, description="cycles from a request to its first byte")

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in dram_pj_per_bit():
            raise UnknownName("accelerator.dram.kind", kind, dram_pj_per_bit())
        return kind


class Vector(Configurable):
    """Vector unit: pools, adds and normalizes."""

    lanes: int = Field(ge=1, le=1 << 20, description="operands per cycle")


class RegisterFile(Configurable):
    """Memories in each PE of a row-stationary array, and the bandwidth of the network to the PEs."""

    ifmap_words: int = Field(ge=1, le=1 << 20, description="input activations in one PE")
    weight_words: int = Field(ge=1, le=1 << 20, description="weights in one PE")
    psum_words: int = Field(ge=1, le=1 << 20, description="partial sums in one PE")
    ifmap_words_per_cycle: int = Field(ge=1, le=1 << 20, description="input activations sent to the array")
    weight_words_per_cycle: int = Field(ge=1, le=1 << 20, description="weights sent to the array")
    psum_words_per_cycle: int = Field(ge=1, le=1 << 20, description="partial sums sent to the array, and read from it")
