"""An accelerator: array, PE, scratchpads, DRAM port, vector unit and clock, each number with its source.

The built-in ones are TOML files in `accel_models/accelerators`; every file is one entry of the
registry family `accelerator`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from hwsim import registry
from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.machine.description.units import hertz
from hwsim.machine.pe.base import PE
from hwsim.machine.technology.tables import KIB, dram_pj_per_bit
from hwsim.registry import Configurable, Record

SCRATCHPADS = ("ifmap", "weight", "ofmap")
"""The scratchpads, in the order in which a stall is laid to them when several are to blame."""


class Array(Configurable):
    """The grid of PEs."""

    rows: int = Field(
        ge=1, le=4096, description="PEs along the reduction (ws, is), output pixels (os), kernel rows (rs)"
    )
    cols: int = Field(ge=1, le=4096, description="PEs along the filters (ws, os), output pixels (is) or rows (rs)")
    weight_buffers: Literal[1, 2] = Field(
        1, description="2: PEs take the stationary operand of the next fold while this one streams (ws, is)"
    )
    row_fifo_depth: int | None = Field(
        None,
        ge=0,
        le=1024,
        description="psums that wait between two rows, so that rows of variable speed need not move in lock-step",
    )


class Scratchpad(Configurable):
    """One on-chip buffer; it is double buffered, so half of it is usable for one tile."""

    kib: int = Field(ge=1, le=1 << 20, description="size, KiB")
    banks: int = Field(ge=1, le=4096, description="memories that it is made of, which work at the same time")
    word_bytes: Literal[8, 32, 64] = Field(description="bytes that one bank gives or takes per cycle")

    @property
    def usable_bits(self) -> int:
        """Bits of one half."""
        return self.kib * KIB * 8 // 2

    @property
    def bits_per_cycle(self) -> int:
        """Bits that all banks together give or take per cycle."""
        return self.banks * self.word_bytes * 8


class Scratchpads(Configurable):
    """The three on-chip buffers."""

    ifmap: Scratchpad = Field(description="input activations")
    weight: Scratchpad = Field(description="weights")
    ofmap: Scratchpad = Field(description="partial sums and outputs")

    def __getitem__(self, name: str) -> Scratchpad:
        pad: Scratchpad = getattr(self, name)
        return pad


class Dram(Configurable):
    """The port to the off-chip memory."""

    kind: str = Field(description="kind of memory: sets the energy per bit")
    bandwidth_bytes_per_cycle: int = Field(ge=1, description="bytes per clock cycle, reads and writes together")
    latency_cycles: int = Field(ge=0, description="cycles from a request to its first byte")

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in dram_pj_per_bit():
            raise UnknownName("accelerator.dram.kind", kind, dram_pj_per_bit())
        return kind


class Vector(Configurable):
    """The unit that pools, adds and normalizes."""

    lanes: int = Field(ge=1, description="operands taken per cycle")


class RegisterFile(Configurable):
    """What each PE of a row-stationary array keeps, and what the network to the PEs carries per cycle."""

    ifmap_words: int = Field(ge=1, description="input activations in one PE")
    weight_words: int = Field(ge=1, description="weights in one PE")
    psum_words: int = Field(ge=1, description="partial sums in one PE")
    ifmap_words_per_cycle: int = Field(ge=1, description="input activations sent to the array")
    weight_words_per_cycle: int = Field(ge=1, description="weights sent to the array")
    psum_words_per_cycle: int = Field(ge=1, description="partial sums sent to, and taken from, the array")


class Accelerator(Configurable):
    """An array of PEs with its memories. Fields without a default are required: a file in `accel_models` gives them.

    `timing` names the convention of the cycle counts: `rtl` is what the circuit of `accel_models/rtl`
    counts, with memory; `scalesim` (SCALE-Sim v3, stall-free) and `stonne` (STONNE's output-stationary
    mesh) are there to be compared with those tools: memory and the vector unit's DRAM traffic then take
    no time, and `weight_buffers` has no effect.
    """

    dataflow: Literal["ws", "os", "is", "rs"] = Field(
        description="what stays in the PEs: ws weights, os outputs, is inputs, rs rows of all three (Eyeriss)"
    )
    timing: Literal["rtl", "scalesim", "stonne"] = Field("rtl", description="convention of the cycle counts")
    optimize: Literal["dram_traffic", "latency"] = Field(
        "dram_traffic", description="what the tiles of a layer are chosen for: fewest bits over DRAM, or fewest cycles"
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
    def _consistent(self) -> Accelerator:
        if (self.register_file is not None) != (self.dataflow == "rs"):
            given = None if self.register_file is None else f"a table, but dataflow {self.dataflow}"
            raise BadInput(
                "accelerator.register_file", given, "memories inside the PEs, with dataflow rs and only there"
            )
        profiles = {"ws": ("rtl", "scalesim"), "is": ("rtl", "scalesim"), "rs": ("rtl",)}
        allowed = profiles.get(self.dataflow, ("rtl", "scalesim", "stonne"))
        if self.timing not in allowed:
            raise BadInput("accelerator.timing", self.timing, f"{', '.join(allowed)} with dataflow {self.dataflow}")
        if self.array.row_fifo_depth is not None and self.dataflow not in ("ws", "os"):
            raise BadInput(
                "accelerator.array.row_fifo_depth", self.array.row_fifo_depth, "none, unless dataflow ws or os"
            )
        return self

    @model_validator(mode="after")
    def _room_for_one_tile(self) -> Accelerator:
        for pad, (kib, what) in smallest_kib(self).items():
            if self.scratchpads[pad].kib < kib:
                where = f"accelerator.scratchpads.{pad}.kib"
                raise BadInput(where, self.scratchpads[pad].kib, f"{kib} or more; half holds {what}")
        return self

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Made once: mappings are remembered by accelerator, so that a sweep asks for it all the time."""
        return hash(tuple(getattr(self, field) for field in type(self).model_fields))

    @cached_property
    def clock_hz(self) -> float:
        """Cycles per second."""
        return hertz(self.clock, "accelerator.clock")

    def describe(self) -> str:
        """One line: what its numbers are the numbers of."""
        memory = "memory modelled" if self.timing == "rtl" else "ideal memory: stalls are not modelled"
        name = getattr(self.pe, "name", type(self.pe).__name__)
        return f"{self.array.rows}x{self.array.cols} {name} PEs, {self.dataflow}, timing {self.timing}, {memory}"

    def notes(self) -> list[str]:
        """Parameters that cannot affect the cycles."""
        found = []
        if self.timing != "rtl":
            found.append(f"timing {self.timing}: scratchpads, DRAM and weight_buffers do not affect the cycles")
        elif self.array.weight_buffers == 2 and self.dataflow in ("os", "rs"):
            found.append(f"dataflow {self.dataflow}: weight_buffers does not affect the cycles")
        if self.array.row_fifo_depth is not None and not (self.pe.regions or self.pe.value_dependent):
            found.append(
                f"PE {self.pe.name}: row_fifo_depth does not affect the cycles, which do not depend on the data"
            )
        return found

    @property
    def pes(self) -> int:
        """Number of PEs."""
        return self.array.rows * self.array.cols


def smallest_kib(accelerator: Accelerator) -> dict[str, tuple[int, str]]:
    """How many KiB each scratchpad needs at least, and what for; nothing for `rs`, whose tiles depend on the layer."""
    if accelerator.dataflow == "rs":
        return {}
    cols, wavefront = accelerator.array.cols, accelerator.array.rows * accelerator.pe.word_bits
    inputs_stay = accelerator.dataflow == "is"
    bits = {
        "weight": (wavefront * (1 if inputs_stay else cols), "the weights of one fold"),
        "ifmap": (wavefront * (cols if inputs_stay else 1), "the inputs of one fold"),
        "ofmap": (cols * accelerator.psum_bits, "one partial sum for every column"),
    }
    return {pad: (-(-2 * needed // (8 * KIB)), what) for pad, (needed, what) in bits.items()}


def load_accelerator(path: Path) -> Accelerator:
    """The accelerator that a TOML file describes; raises HwsimError naming the file and the place."""
    return _make(read_record(path))


def _make(record: Record) -> Accelerator:
    return registry.validate(Accelerator, record.defaults, "accelerator")


def read_record(path: Path | Traversable) -> Record:
    """The registry record of a TOML file: `help`, `citation`, the fields of Accelerator, and `[sources]`.

    `[sources]` gives, for the dotted path of every number, where it is from; a number without a
    source and a source without a number are refused.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HwsimError(f"{path.name}: not valid TOML: {error}") from None
    except OSError as error:
        raise HwsimError(f"{path.name}: cannot be read: {error.strerror}") from None
    text = {key: content.pop(key, None) for key in ("help", "citation")}
    for key, value in text.items():
        if not isinstance(value, str) or not value.strip():
            raise BadInput(f"{path.name}: {key}", value, "a text")
    sources = content.pop("sources", {})
    check_sources(content, sources, path.name)
    name = path.name.removesuffix(".toml")
    record = Record("accelerator", name, str(text["help"]).strip(), str(text["citation"]).strip(), Accelerator, content)
    _make(record)
    return record


def check_sources(content: Mapping[str, Any], sources: Mapping[str, Any], where: str) -> None:
    """Raise BadInput or UnknownName unless every number of `content`, and nothing else, has a source.

    A source for a table serves all numbers in it that have none of their own.
    """
    numbers = set(_numbers(content))
    named = {path: text for path, text in sources.items() if isinstance(text, str) and text.strip()}
    for path in sorted(numbers):
        if not any(path == source or path.startswith(f"{source}.") for source in named):
            raise BadInput(f'{where}: sources."{path}"', None, 'where the number is from, or "assumed" and why')
    for source in sources:
        if not any(path == source or path.startswith(f"{source}.") for path in numbers):
            raise UnknownName(f"{where}: sources", source, numbers)


def _numbers(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted paths of all numbers, those with a unit included."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, bool):
            continue
        elif isinstance(value, int | float) or (isinstance(value, str) and value[:1].isdigit()):
            yield prefix + key


@cache
def sources(name: str) -> Mapping[str, str]:
    """Where each number of the built-in accelerator `name` is from, by dotted path."""
    registry.find("accelerator", name)
    text = (_folder() / f"{name}.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text)["sources"])


def _folder() -> Traversable:
    return files("accel_models") / "accelerators"


for _file in sorted(_folder().iterdir(), key=lambda entry: entry.name):
    if _file.name.endswith(".toml"):
        registry.add(read_record(_file))
