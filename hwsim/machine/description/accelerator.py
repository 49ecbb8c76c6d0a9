"""Accelerator: array, PE, dataflow, scratchpads, DRAM port, vector unit and clock.

The built-in accelerators are TOML files in `accel_models/accelerators`, which `toml_file` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, SerializeAsAny, field_validator, model_validator

from hwsim import registry
from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput
from hwsim.machine.components import SCRATCHPADS, Array, Dram, RegisterFile, Scratchpad, Scratchpads, Vector
from hwsim.machine.dataflow.base import Dataflow
from hwsim.machine.dataflow.hardware import RTL
from hwsim.machine.description.units import hertz
from hwsim.machine.pe.base import PE
from hwsim.machine.technology.tables import KIB
from hwsim.registry import Configurable


class Accelerator(Configurable):
    """An array of PEs with its memories. Fields without a default are required: a file in `accel_models` sets them.

    `timing` selects the convention of the cycle counts: `rtl` equals the cycle counter of the circuit in
    `accel_models/rtl`, with memory; `scalesim` (SCALE-Sim v3, stall-free) and `stonne` (STONNE's
    output-stationary mesh) exist for comparison with these tools: memory and the vector unit's DRAM traffic then
    take no time, and `weight_buffers` has no effect.
    """

    dataflow: Annotated[Dataflow, PlainSerializer(str, return_type=str)] = Field(
        description="operand that stays in the PEs: ws weights, os outputs, is inputs, rs rows of all three (Eyeriss)"
    )
    timing: Literal["rtl", "scalesim", "stonne"] = Field("rtl", description="convention of the cycle counts")
    optimize: Literal["balanced", "latency", "dram_traffic"] = Field(
        "balanced",
        description="objective of the tiling search: fewest bits over DRAM within 2 % of the fewest cycles, fewest "
        "cycles, or fewest bits over DRAM",
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

    @field_validator("dataflow", mode="before")
    @classmethod
    def _build_dataflow(cls, given: Any) -> Any:
        if isinstance(given, Dataflow):
            return given
        if not isinstance(given, str):
            raise BadInput("accelerator.dataflow", given, f"one of {', '.join(registry.family('dataflow'))}")
        return registry.find("dataflow", given, "accelerator.dataflow").factory()

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
    def models_memory(self) -> bool:
        """Whether scratchpads and DRAM take time; the timing models of other simulators have ideal memory."""
        return self.timing == RTL

    @property
    def pes(self) -> int:
        """Number of PEs."""
        return self.array.rows * self.array.cols

    def describe(self) -> str:
        """Return one line with the array, dataflow, timing model and mapping that the numbers belong to."""
        modeled = f"memory modeled, mapping {self.optimize}"
        memory = modeled if self.models_memory else "ideal memory: stalls are not modeled"
        return (
            f"{self.array.rows}x{self.array.cols} {self.pe.name} PEs, {self.dataflow}, timing {self.timing}, {memory}"
        )

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


def check_dataflow(accelerator: Accelerator) -> None:
    """Raise BadInput unless register file, timing model and row FIFO are consistent with the dataflow."""
    dataflow, register_file = accelerator.dataflow, accelerator.register_file
    if (register_file is not None) != dataflow.needs_register_file:
        given = None if register_file is None else f"a table, but dataflow {dataflow}"
        able = _dataflows(lambda other: other.needs_register_file)
        allowed = f"memories inside the PEs, with dataflow {able} and only there"
        raise BadInput("accelerator.register_file", given, allowed)
    models = dataflow.timing_models
    if accelerator.timing not in models:
        raise BadInput("accelerator.timing", accelerator.timing, f"{', '.join(models)} with dataflow {dataflow}")
    depth = accelerator.array.row_fifo_depth
    if depth is not None and not dataflow.region_precision:
        able = _dataflows(lambda other: other.region_precision)
        raise BadInput("accelerator.array.row_fifo_depth", depth, f"none, unless dataflow {able}")


def min_scratchpad_kib(accelerator: Accelerator) -> dict[str, tuple[int, str]]:
    """Return the smallest size of each scratchpad in KiB, and the contents that need it.

    Empty for a dataflow whose smallest tiles depend on the layer.
    """
    tiles = accelerator.dataflow.smallest_tile_bits(accelerator)
    return {name: (ceil_div(2 * bits, 8 * KIB), contents) for name, (bits, contents) in tiles.items()}


def parameters_without_effect(accelerator: Accelerator) -> list[str]:
    """Return one sentence for each parameter that has no effect on the cycles."""
    found = []
    if not accelerator.models_memory:
        found.append(f"timing {accelerator.timing}: scratchpads, DRAM and weight_buffers do not affect the cycles")
    elif accelerator.array.weight_buffers == 2 and not accelerator.dataflow.load_port:
        found.append(f"dataflow {accelerator.dataflow}: weight_buffers does not affect the cycles")
    pe = accelerator.pe
    if accelerator.array.row_fifo_depth is not None and not (pe.regions or pe.value_timing):
        found.append(f"PE {pe.name}: row_fifo_depth does not affect the cycles, which do not depend on the data")
    return found


def _dataflows(able: Callable[[Any], bool]) -> str:
    """Return the names of the dataflows for which `able` is true, such as "os or ws"."""
    return " or ".join(name for name, record in registry.family("dataflow").items() if able(record.factory))
