"""Base of the dataflows: the loops on the array, the size of a fold, its port demands and its overhead.

A *fold* is one filling of the array. Two loops of the matrix product lie along the rows and the columns of
the array and are cut into folds; the third loop streams through it, one wavefront per iteration.
Everything that depends on the dataflow is read from here: tiling search, layer cycles, tile schedule and
traces contain no dataflow by name.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.kernels.machine.tiling_search import CHANNELS, FILTERS, PIXELS
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.dataflow.hardware import RTL, SCALESIM, Hardware
from hwsim.machine.dataflow.row_stationary_pass import Pass
from hwsim.machine.pe.base import Rate
from hwsim.network.product import Product
from hwsim.registry import Configurable

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Extents:
    """Size of one fold along each loop; the loop that streams has its whole length.

    Attributes
    ----------
    pixels, filters, channels : output pixels, filters, and reduction (channels x taps). Row stationary: output
        rows, filters, and channels.
    filters_spatial, channels_spatial : row stationary: how many of these different PEs work on at a time
    """

    pixels: int
    filters: int
    channels: int
    filters_spatial: int = 1
    channels_spatial: int = 1


@dataclass(frozen=True)
class PortLimits:
    """Cycles as the ports of the scratchpads allow them.

    Attributes
    ----------
    wavefront_cycles : cycles of one wavefront: the PE's own interval, or more
    limited_by : the scratchpad that makes it more, "" where none does
    load_cycles : cycles of one row of the stationary operand
    drain_cycles, drain_cut_cycles : cycles of one row of outputs that shifts out, whole and with cut channels
    """

    wavefront_cycles: int
    limited_by: str = ""
    load_cycles: int = 1
    drain_cycles: int = 1
    drain_cut_cycles: int = 1


@dataclass(frozen=True)
class FoldOverheads:
    """Cycles of one fold besides the streaming of its operands.

    Layer cycles, tile schedule and traces read these numbers; the tiling search gets them as fields of ARRAY.

    Attributes
    ----------
    load : cycles in which the stationary operand is loaded (cause `weight_load`); where loads are hidden, the cycles
        of a slow scratchpad port included
    load_stall : further cycles of a load that is not hidden, because of its scratchpad port (cause
        `stall_<load port>_port`)
    fill_drain : skew into the array and outputs out of it (cause `fill_drain`)
    drain_stall : further cycles of the outputs, because of the ofmap port (cause `stall_ofmap_port`)
    min_interval : least cycles from fold to fold where loads are hidden behind streaming; 0 where they are not.
        Where loads are hidden, `load` shows before the first fold of a layer only, and `fill_drain` after the
        last one: the folds of all groups follow each other.
    """

    load: int = 0
    load_stall: int = 0
    fill_drain: int = 0
    drain_stall: int = 0
    min_interval: int = 0

    @property
    def hidden(self) -> bool:
        """Whether the load of the next fold is hidden behind the streaming of this one."""
        return self.min_interval > 0

    @property
    def exposed(self) -> int:
        """Cycles that every fold adds to its streaming; 0 where loads are hidden."""
        return 0 if self.hidden else self.load + self.load_stall + self.fill_drain + self.drain_stall

    def hidden_wait(self, streaming: Ints) -> Ints:
        """Cycles for which folds with `streaming` cycles wait for the stationary operand of the next fold."""
        return np.maximum(0, self.min_interval - streaming)


class Dataflow(Configurable):
    """Base of the dataflows: a subclass, in a file of its own, is all that a new dataflow needs.

    Attributes
    ----------
    name : name in the registry and in accelerator files
    rows_loop, cols_loop, streamed : loops of `hwsim.kernels.machine.tiling_search` (PIXELS, FILTERS, CHANNELS)
        along the rows and columns of the array, and the one that streams
    timing_models : timing models that know this dataflow
    load_port : scratchpad from which the stationary operand is loaded before a fold streams, "" for none
    region_precision : whether layers with region precision can run, and row FIFOs have an effect
    counts_toggles : whether the activity model describes the array
    needs_register_file : whether the PEs have memories of their own
    needs_rows : whether the array works on rows of a map, so that a plain product is arranged as one
    """

    name: ClassVar[str]
    rows_loop: ClassVar[int]
    cols_loop: ClassVar[int]
    streamed: ClassVar[int]
    timing_models: ClassVar[tuple[str, ...]] = (RTL, SCALESIM)
    load_port: ClassVar[str] = ""
    region_precision: ClassVar[bool] = False
    counts_toggles: ClassVar[bool] = False
    needs_register_file: ClassVar[bool] = False
    needs_rows: ClassVar[bool] = False

    def __str__(self) -> str:
        """The name."""
        return self.name

    @abstractmethod
    def port_limits(
        self, hardware: Hardware, product: Product, rate: Rate, batch: int = 1, row_pass: Pass | None = None
    ) -> PortLimits:
        """Return the cycles that the ports allow; the widest fold decides for all folds of the layer."""

    @abstractmethod
    def overheads(
        self, hardware: Hardware, product: Product, ports: PortLimits, channels_cut: bool = False
    ) -> FoldOverheads:
        """Return the cycles of a fold besides streaming; `channels_cut`: the channels are cut into several tiles."""

    def row_pass(self, hardware: Hardware, product: Product, batch: int) -> Pass | None:
        """Return the row-stationary pass of a layer; None for dataflows whose folds are blocks of loops."""
        return None

    def extents(
        self, hardware: Hardware, product: Product, rate: Rate, batch: int, row_pass: Pass | None = None
    ) -> Extents:
        """Return the size of one fold: rows and columns of PEs, with `rate.products` of the reduction in each PE."""
        sizes = loop_lengths(product, batch)
        array = hardware.array
        sizes[self.rows_loop] = array.rows * (rate.products if self.rows_loop == CHANNELS else 1)
        sizes[self.cols_loop] = array.cols * (rate.products if self.cols_loop == CHANNELS else 1)
        return Extents(sizes[PIXELS], sizes[FILTERS], sizes[CHANNELS])

    def smallest_tile_bits(self, hardware: Hardware) -> Mapping[str, tuple[int, str]]:
        """Return the bits of the smallest tile in each scratchpad, and a description of that tile."""
        wavefront, cols = hardware.array.rows * hardware.pe.weight_register_bits, hardware.array.cols
        inputs_stay = self.load_port == "ifmap"
        return {
            "weight": (wavefront * (1 if inputs_stay else cols), "the weights of one fold"),
            "ifmap": (wavefront * (cols if inputs_stay else 1), "the inputs of one fold"),
            "ofmap": (cols * hardware.psum_bits, "one partial sum for every column"),
        }


def loop_lengths(product: Product, batch: int) -> dict[int, int]:
    """Return the length of each loop of a product: output pixels of all samples, filters, and reduction."""
    return {PIXELS: product.pixels * batch, FILTERS: product.filters, CHANNELS: product.reduction}


def scratchpad_limits(
    hardware: Hardware,
    rate: Rate,
    wavefront: Mapping[str, int],
    load: tuple[str, int] | None = None,
    drain_row: int = 0,
    drain_row_cut: int = 0,
) -> PortLimits:
    """Return the cycles that the scratchpad ports need; `rate.interval` with ideal memory.

    Parameters
    ----------
    wavefront : bits that the array exchanges per wavefront, by scratchpad
    load : scratchpad of the stationary operand, and the bits of one row of it
    drain_row, drain_row_cut : bits of one row of outputs that shifts out of the array, and the same where the
        channels are cut into tiles, so that partial sums are read, added to and written
    """
    if hardware.timing != RTL:
        return PortLimits(rate.interval)
    pads = hardware.scratchpads
    needed = {pad: ceil_div(bits, pads[pad].bits_per_cycle) for pad, bits in wavefront.items()}
    cycles = max(rate.interval, *needed.values())
    slowest = [pad for pad in SCRATCHPADS if needed.get(pad, 0) == cycles > rate.interval]
    ofmap = pads.ofmap.bits_per_cycle
    return PortLimits(
        cycles,
        limited_by=slowest[0] if slowest else "",
        load_cycles=max(1, ceil_div(load[1], pads[load[0]].bits_per_cycle)) if load else 1,
        drain_cycles=max(1, ceil_div(drain_row, ofmap)),
        drain_cut_cycles=max(1, ceil_div(drain_row_cut, ofmap)),
    )


def preload_overheads(hardware: Hardware, ports: PortLimits) -> FoldOverheads:
    """Return the overheads of a dataflow that loads an operand into an R x C array, then streams.

    rtl: R cycles of load, then streaming, then R + C - 1 (skew in, skew out, output register). This equals
    the walks of `hwsim.reference` and the circuit in `accel_models/rtl`: M vectors on N x N PEs take
    M + 3N - 1 cycles. With a second register per PE the operand of the next fold is loaded while this fold
    streams. The load can begin when the last PE has taken over its present operand, R + C - 1 cycles after
    the first PE, and takes R, so that folds begin at least 2R + C - 1 cycles apart.

    scalesim: R of load and R + C - 2 of fill (SCALE-Sim v3, scalesim-project/SCALE-Sim 1d62b68).
    """
    rows, cols = hardware.array.rows, hardware.array.cols
    if hardware.timing == SCALESIM:
        return FoldOverheads(load=rows, fill_drain=rows + cols - 2)
    stall = rows * (ports.load_cycles - 1)
    if hardware.array.weight_buffers == 2:
        return FoldOverheads(rows + stall, 0, rows + cols - 1, min_interval=2 * rows + cols - 1 + stall)
    return FoldOverheads(rows, stall, rows + cols - 1)
