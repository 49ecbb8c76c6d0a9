"""An accelerator: array, PE, scratchpads, DRAM port, vector unit and clock, each number with its source.

The built-in ones are TOML files in `accel_models/accelerators`; every file is one entry of the
registry family `accelerator`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from hwsim import registry
from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.machine.pe import PE
from hwsim.machine.tables import KIB, dram_pj_per_bit
from hwsim.registry import Choice, Record

PSUM_BITS = 32
"""Width of a partial sum in the ofmap scratchpad."""


class Array(Choice):
    """The grid of PEs."""

    rows: int = Field(ge=1, le=4096, description="PEs along the reduction (ws) or along output pixels (os)")
    cols: int = Field(ge=1, le=4096, description="PEs along the filters")


class Scratchpads(Choice):
    """The three on-chip buffers; each is double buffered, so half of it is usable for one tile."""

    ifmap_kib: int = Field(ge=1, le=1 << 20, description="input activations, KiB")
    weight_kib: int = Field(ge=1, le=1 << 20, description="weights, KiB")
    ofmap_kib: int = Field(ge=1, le=1 << 20, description="32-bit partial sums and outputs, KiB")
    word_bytes: Literal[8, 32, 64] = Field(description="bytes of one access, for the energy table")

    def usable_bits(self, pad: Literal["ifmap", "weight", "ofmap"]) -> int:
        """Bits of one half of a scratchpad."""
        kib: int = getattr(self, f"{pad}_kib")
        return kib * KIB * 8 // 2


class Dram(Choice):
    """The port to the off-chip memory."""

    kind: str = Field(description="kind of memory: sets the energy per bit")
    bandwidth_bytes_per_cycle: int = Field(ge=1, description="bytes per clock cycle, reads and writes together")

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in dram_pj_per_bit():
            raise UnknownName("accelerator.dram.kind", kind, dram_pj_per_bit())
        return kind


class Vector(Choice):
    """The unit that pools and adds."""

    lanes: int = Field(ge=1, description="operands taken per cycle")


class Accelerator(Choice):
    """A systolic array with its memories. All fields are required: a file in `accel_models` gives them.

    `timing` names the convention of the fold forms: `rtl` is what the cycle walks of
    `hwsim.reference` and the Verilog twin count; `scalesim` is SCALE-Sim v3 in its stall-free mode,
    in which DRAM bandwidth and the ofmap scratchpad do not affect the cycles.
    """

    dataflow: Literal["ws", "os"] = Field(description="what stays in the PEs: ws weights, os outputs")
    timing: Literal["rtl", "scalesim"] = Field("rtl", description="convention of the cycle counts")
    clock_mhz: float = Field(gt=0, allow_inf_nan=False, description="clock, MHz")
    array: Array
    pe: SerializeAsAny[PE]
    scratchpads: Scratchpads
    dram: Dram
    vector: Vector

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
    def _room_for_one_tile(self) -> Accelerator:
        wavefront = self.array.rows * self.pe.word_bits
        needs = {
            "weight": (wavefront * self.array.cols, "the weights of one fold"),
            "ifmap": (wavefront, "one input for every row"),
            "ofmap": (self.array.cols * PSUM_BITS, "one partial sum for every column"),
        }
        for pad, (bits, what) in needs.items():
            if self.scratchpads.usable_bits(pad) < bits:  # type: ignore[arg-type]
                kib = -(-2 * bits // (8 * KIB))
                given = getattr(self.scratchpads, f"{pad}_kib")
                raise BadInput(f"accelerator.scratchpads.{pad}_kib", given, f"{kib} or more; half holds {what}")
        return self


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
    """Raise BadInput or UnknownName unless every number of `content`, and nothing else, has a source."""
    numbers = set(_numbers(content))
    for path in sorted(numbers):
        if not isinstance(sources.get(path), str) or not sources[path].strip():
            raise BadInput(f'{where}: sources."{path}"', "nothing", 'where the number is from, or "assumed" and why')
    for path in sources:
        if path not in numbers:
            raise UnknownName(f"{where}: sources", path, numbers)


def _numbers(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
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
