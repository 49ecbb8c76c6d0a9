"""Accelerator records: array, PE, scratchpads, DRAM port, vector unit and clock.

The built-in accelerators are TOML files in `accel_models/accelerators`, which `toml_file` reads. What depends on
the dataflow is in the functions below the records: `TIMING_MODELS`, `check_dataflow`, `min_scratchpad_kib` and
`parameters_without_effect`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from hwsim import registry
from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput, UnknownName
from hwsim.machine.description.units import hertz
from hwsim.machine.pe.base import PE
from hwsim.machine.technology.tables import KIB, dram_pj_per_bit
from hwsim.registry import Configurable

SCRATCHPADS = ("ifmap", "weight", "ofmap")
"""The scratchpads in priority order: when several limit a step, the stall is attributed to the first."""


class Array(Configurable):
    """The grid of PEs."""

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
    """The three on-chip buffers."""

    ifmap: Scratchpad = Field(description="input activations")
    weight: Scratchpad = Field(description="weights")
    ofmap: Scratchpad = Field(description="partial sums and outputs")

    def __getitem__(self, name: str) -> Scratchpad:
        scratchpad: Scratchpad = getattr(self, name)
        return scratchpad


class Dram(Configurable):
    """The port to the off-chip memory."""

    kind: str = Field(description="kind of memory: sets the energy per bit")
    bandwidth_bytes_per_cycle: int = Field(ge=1, description="bytes per clock cycle, reads and writes together")
    latency_cycles: int = Field(ge=0, description="cycles from a request to its first byte")

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in dram_pj_per_bit():
            raise UnknownName("accelerator.dram.kind", kind, dram_pj_per_bit())
        return kind


class Vector(Configurable):
    """The unit that pools, adds and normalizes."""

    lanes: int = Field(ge=1, description="operands per cycle")


class RegisterFile(Configurable):
    """Memories in each PE of a row-stationary array, and the bandwidth of the network to the PEs."""

    ifmap_words: int = Field(ge=1, description="input activations in one PE")
    weight_words: int = Field(ge=1, description="weights in one PE")
    psum_words: int = Field(ge=1, description="partial sums in one PE")
    ifmap_words_per_cycle: int = Field(ge=1, description="input activations sent to the array")
    weight_words_per_cycle: int = Field(ge=1, description="weights sent to the array")
    psum_words_per_cycle: int = Field(ge=1, description="partial sums sent to the array, and read from it")


class Accelerator(Configurable):
    """An array of PEs with its memories. Fields without a default are required: a file in `accel_models` sets them.

    `timing` selects the convention of the cycle counts: `rtl` equals the cycle counter of the circuit in
    `accel_models/rtl`, with memory; `scalesim` (SCALE-Sim v3, stall-free) and `stonne` (STONNE's
    output-stationary mesh) exist for comparison with these tools: memory and the vector unit's DRAM traffic then
    take no time, and `weight_buffers` has no effect.
    """

    dataflow: Literal["ws", "os", "is", "rs"] = Field(
        description="operand that stays in the PEs: ws weights, os outputs, is inputs, rs rows of all three (Eyeriss)"
    )
    timing: Literal["rtl", "scalesim", "stonne"] = Field("rtl", description="convention of the cycle counts")
    optimize: Literal["dram_traffic", "latency"] = Field(
        "dram_traffic", description="objective of the tiling search: fewest bits over DRAM, or fewest cycles"
    )
    clock: str = Field(description='clock with its unit, such as "700 MHz"')
    psum_bits: Literal[16, 24, 32, 48] = Field(32, description="width of a partial sum in the ofmap scratchpad")
    array: Array
    pe: SerializeAsAny[PE]
    scratchpads: Scratchpads
    dram: Dram
    vector: Vector
    register_file: RegisterFile | None = Field(None, description="memories inside the PEs, for dataflow rs only")

    @field_validator("clock", mode="before")
    @classmethod
    def _clock_has_unit(cls, given: Any) -> Any:
        hertz(given, "accelerator.clock")
        return given

    @field_validator("pe", mode="before")
    @classmethod
    def _build_pe(cls, given: Any) -> Any:
        if isinstance(given, PE):
            return given
        table = {"name": given} if isinstance(given, str) else given
        if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
            raise BadInput("accelerator.pe", given, 'a name, or a table such as {name = "fixed", max_bits = 8}')
        parameters = {key: value for key, value in table.items() if key != "name"}
        return registry.build("pe", table["name"], where="accelerator.pe", **parameters)

    @model_validator(mode="after")
    def _fits_dataflow(self) -> Accelerator:
        check_dataflow(self)
        return self

    @model_validator(mode="after")
    def _holds_one_tile(self) -> Accelerator:
        for name, (kib, contents) in min_scratchpad_kib(self).items():
            if self.scratchpads[name].kib < kib:
                where = f"accelerator.scratchpads.{name}.kib"
                raise BadInput(where, self.scratchpads[name].kib, f"{kib} or more; half holds {contents}")
        return self

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Computed once: mappings are cached by accelerator, so that a sweep hashes it often."""
        return hash(tuple(getattr(self, field) for field in type(self).model_fields))

    @cached_property
    def clock_hz(self) -> float:
        """Cycles per second."""
        return hertz(self.clock, "accelerator.clock")

    @property
    def pes(self) -> int:
        """Number of PEs."""
        return self.array.rows * self.array.cols

    def describe(self) -> str:
        """Return one line with the array, dataflow and timing model that the numbers belong to."""
        memory = "memory modeled" if self.timing == "rtl" else "ideal memory: stalls are not modeled"
        name = getattr(self.pe, "name", type(self.pe).__name__)
        return f"{self.array.rows}x{self.array.cols} {name} PEs, {self.dataflow}, timing {self.timing}, {memory}"

    def notes(self) -> list[str]:
        """Return one sentence for each parameter that has no effect on the cycles."""
        return parameters_without_effect(self)

    def __str__(self) -> str:
        """Return one screen: array, PE, dataflow, memories, DRAM, vector unit and clock."""
        pe = ", ".join(f"{key} {value}" for key, value in self.pe if key != "name")
        rows = {
            "array": f"{self.array.rows} x {self.array.cols} PEs, weight_buffers {self.array.weight_buffers}"
            + (f", row_fifo_depth {self.array.row_fifo_depth}" if self.array.row_fifo_depth is not None else ""),
            "PE": self.pe.name + (f" ({pe})" if pe else ""),
            "dataflow": f"{self.dataflow}, timing {self.timing}, optimize {self.optimize}",
            "clock": self.clock,
            **{name: _one_line(self.scratchpads[name]) for name in SCRATCHPADS},
            "partial sum": f"{self.psum_bits} bits",
            "DRAM": f"{self.dram.kind}, {self.dram.bandwidth_bytes_per_cycle} bytes per cycle, "
            f"latency {self.dram.latency_cycles} cycles",
            "vector unit": f"{self.vector.lanes} lanes",
        }
        if self.register_file is not None:
            words = {name: getattr(self.register_file, f"{name}_words") for name in ("ifmap", "weight", "psum")}
            rows["register file"] = ", ".join(f"{count} {name} words" for name, count in words.items()) + " per PE"
        return "\n".join(f"{name:<13}  {text}" for name, text in rows.items())


def _one_line(scratchpad: Scratchpad) -> str:
    banks = "1 bank" if scratchpad.banks == 1 else f"{scratchpad.banks} banks"
    return f"{scratchpad.kib} KiB, {banks} of {scratchpad.word_bytes}-byte words"


# What depends on the dataflow.

TIMING_MODELS: Mapping[str, tuple[str, ...]] = {
    "ws": ("rtl", "scalesim"),
    "os": ("rtl", "scalesim", "stonne"),
    "is": ("rtl", "scalesim"),
    "rs": ("rtl",),
}
"""Dataflow -> the values of `timing` that support it."""


def check_dataflow(accelerator: Accelerator) -> None:
    """Raise BadInput unless register file, timing model and row FIFO are consistent with the dataflow."""
    dataflow, register_file = accelerator.dataflow, accelerator.register_file
    if (register_file is not None) != (dataflow == "rs"):
        given = "nothing" if register_file is None else f"a table, but dataflow {dataflow}"
        raise BadInput("accelerator.register_file", given, "memories inside the PEs, with dataflow rs and only there")
    allowed = TIMING_MODELS[dataflow]
    if accelerator.timing not in allowed:
        raise BadInput("accelerator.timing", accelerator.timing, f"{', '.join(allowed)} with dataflow {dataflow}")
    depth = accelerator.array.row_fifo_depth
    if depth is not None and dataflow not in ("ws", "os"):
        raise BadInput("accelerator.array.row_fifo_depth", depth, "none, unless dataflow ws or os")


def min_scratchpad_kib(accelerator: Accelerator) -> dict[str, tuple[int, str]]:
    """Return the smallest size of each scratchpad in KiB, and the contents that need it.

    Empty for `rs`, whose smallest tiles depend on the layer.
    """
    if accelerator.dataflow == "rs":
        return {}
    cols, wavefront = accelerator.array.cols, accelerator.array.rows * accelerator.pe.weight_register_bits
    inputs_stay = accelerator.dataflow == "is"
    bits = {
        "weight": (wavefront * (1 if inputs_stay else cols), "the weights of one fold"),
        "ifmap": (wavefront * (cols if inputs_stay else 1), "the inputs of one fold"),
        "ofmap": (cols * accelerator.psum_bits, "one partial sum for every column"),
    }
    return {name: (ceil_div(2 * needed, 8 * KIB), contents) for name, (needed, contents) in bits.items()}


def parameters_without_effect(accelerator: Accelerator) -> list[str]:
    """Return one sentence for each parameter that has no effect on the cycles."""
    found = []
    if accelerator.timing != "rtl":
        found.append(f"timing {accelerator.timing}: scratchpads, DRAM and weight_buffers do not affect the cycles")
    elif accelerator.array.weight_buffers == 2 and accelerator.dataflow in ("os", "rs"):
        found.append(f"dataflow {accelerator.dataflow}: weight_buffers does not affect the cycles")
    pe = accelerator.pe
    if accelerator.array.row_fifo_depth is not None and not (pe.regions or pe.value_timing):
        found.append(f"PE {pe.name}: row_fifo_depth does not affect the cycles, which do not depend on the data")
    return found
