"""The part of an accelerator that a dataflow reads, and the names of the timing models."""

from __future__ import annotations

from typing import Protocol

from hwsim.machine.components import Array, RegisterFile, Scratchpads
from hwsim.machine.pe.base import PE

RTL, SCALESIM, STONNE = "rtl", "scalesim", "stonne"
"""Timing models. rtl: the circuit in `accel_models/rtl`, with memory; the other two: those tools, ideal memory."""


class Hardware(Protocol):
    """The part of an accelerator that a dataflow reads."""

    @property
    def array(self) -> Array:
        """Grid of PEs."""

    @property
    def pe(self) -> PE:
        """Processing element."""

    @property
    def scratchpads(self) -> Scratchpads:
        """On-chip buffers."""

    @property
    def register_file(self) -> RegisterFile | None:
        """Memories inside the PEs."""

    @property
    def psum_bits(self) -> int:
        """Width of a partial sum in the ofmap scratchpad."""

    @property
    def timing(self) -> str:
        """Timing model."""
