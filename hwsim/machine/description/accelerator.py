"""An accelerator: array, PE, scratchpads, DRAM port, vector unit and clock, each number with its source.

The built-in ones are TOML files in `accel_models/accelerators`; every file is one entry of the
registry family `accelerator`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, SerializeAsAny, field_validator, model_validator

from hwsim import registry
from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.machine.components import Array, Dram, RegisterFile, Scratchpads, Vector
from hwsim.machine.dataflow.base import Dataflow
from hwsim.machine.dataflow.hardware import RTL
from hwsim.machine.description.units import hertz
from hwsim.machine.pe.base import PE
from hwsim.machine.technology.tables import KIB
from hwsim.registry import Configurable, Record


class Accelerator(Configurable):
    """An array of PEs with its memories. Fields without a default are required: a file in `accel_models` gives them.

    `timing` names the convention of the cycle counts: `rtl` is what the circuit of `accel_models/rtl`
    counts, with memory; `scalesim` (SCALE-Sim v3, stall-free) and `stonne` (STONNE's output-stationary
    mesh) are there to be compared with those tools: memory and the vector unit's DRAM traffic then take
    no time, and `weight_buffers` has no effect.
    """

    dataflow: Annotated[Dataflow, PlainSerializer(str, return_type=str)] = Field(
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
    def _consistent(self) -> Accelerator:
        if (self.register_file is not None) != self.dataflow.needs_register_file:
            given = "nothing" if self.register_file is None else f"a table, but dataflow {self.dataflow}"
            able = _dataflows(lambda dataflow: dataflow.needs_register_file)
            allowed = f"memories inside the PEs, with dataflow {able} and only there"
            raise BadInput("accelerator.register_file", given, allowed)
        models = self.dataflow.timing_models
        if self.timing not in models:
            raise BadInput("accelerator.timing", self.timing, f"{', '.join(models)} with dataflow {self.dataflow}")
        depth = self.array.row_fifo_depth
        if depth is not None and not self.dataflow.region_precision:
            able = _dataflows(lambda dataflow: dataflow.region_precision)
            raise BadInput("accelerator.array.row_fifo_depth", depth, f"none, unless dataflow {able}")
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
        memory = "memory modelled" if self.models_memory else "ideal memory: stalls are not modelled"
        name = getattr(self.pe, "name", type(self.pe).__name__)
        return f"{self.array.rows}x{self.array.cols} {name} PEs, {self.dataflow}, timing {self.timing}, {memory}"

    def notes(self) -> list[str]:
        """Parameters that cannot affect the cycles."""
        found = []
        if not self.models_memory:
            found.append(f"timing {self.timing}: scratchpads, DRAM and weight_buffers do not affect the cycles")
        elif self.array.weight_buffers == 2 and not self.dataflow.load_port:
            found.append(f"dataflow {self.dataflow}: weight_buffers does not affect the cycles")
        if self.array.row_fifo_depth is not None and not (self.pe.regions or self.pe.value_dependent):
            found.append(
                f"PE {self.pe.name}: row_fifo_depth does not affect the cycles, which do not depend on the data"
            )
        return found

    @property
    def models_memory(self) -> bool:
        """Whether scratchpads and DRAM take time; the timing models of other simulators have ideal memory."""
        return self.timing == RTL

    @property
    def pes(self) -> int:
        """Number of PEs."""
        return self.array.rows * self.array.cols


def smallest_kib(accelerator: Accelerator) -> dict[str, tuple[int, str]]:
    """Smallest size of each scratchpad in KiB, and what half of it must hold; empty where that depends on the layer."""
    tiles = accelerator.dataflow.smallest_tile_bits(accelerator)
    return {pad: (ceil_div(2 * bits, 8 * KIB), what) for pad, (bits, what) in tiles.items()}


def _dataflows(able: Callable[[Any], bool]) -> str:
    """Names of the dataflows for which `able` holds, in the order of the registry: "os or ws"."""
    return " or ".join(name for name, record in registry.family("dataflow").items() if able(record.factory))


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
            raise BadInput(f"{path.name}: {key}", "nothing" if value is None else value, "a text")
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
            raise BadInput(f'{where}: sources."{path}"', "nothing", 'where the number is from, or "assumed" and why')
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
