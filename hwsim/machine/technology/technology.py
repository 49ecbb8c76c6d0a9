"""Technology presets: how the measured 45 nm tables are scaled before they price a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from hwsim import registry
from hwsim.errors import BadInput, UnknownName
from hwsim.machine.technology.provenance import read_prices
from hwsim.machine.technology.scaling import MEASURED_NODE, Node, area_factor, energy_factor
from hwsim.machine.technology.sram import TABLE_NODES, CellType
from hwsim.registry import Configurable, Record

MEASURED_AT_V = 1.1

Operands = Literal["network", "uniform"]

PRICED = (
    "dram",
    "register_file",
    *(f"{pad}_{way}" for pad in ("ifmap", "weight", "ofmap") for way in ("read", "write")),
)
"""What a user's own table may price: any DRAM, memories in PEs, and the ports of the scratchpads."""


class Price(Configurable):
    """A price that a user brings."""

    item: str = Field(description="one of dram, local, ifmap_read, ifmap_write, weight_read ... ofmap_write")
    pj_per_bit: float = Field(gt=0, allow_inf_nan=False, description="energy of one bit, pJ")
    source: str = Field(description="where the number is from")

    @field_validator("item")
    @classmethod
    def _known(cls, item: str) -> str:
        if item not in PRICED:
            raise UnknownName("technology.prices: item", item, PRICED)
        return item

    @field_validator("source")
    @classmethod
    def _filled(cls, source: str) -> str:
        if not source.strip():
            raise BadInput("technology.prices: source", None, "where the number is from")
        return source


class Technology(Configurable):
    """What the counts of a run are multiplied with: logic, scratchpads, DRAM.

    Logic energy is `pe_scale * (voltage_v / 1.1)^2` times the gate-level figures at 45 nm, and times a
    published factor at other nodes. Scratchpads are CACTI 7 memories at their own voltage; DRAM goes
    by its kind, whatever the node.
    """

    preset: str = Field(description="name of the preset that these numbers began with")
    pe_scale: float = Field(gt=0, allow_inf_nan=False, description="calibration of the gate-level energies")
    voltage_v: float = Field(ge=0.5, le=1.3, description="supply of the logic, V")
    node_nm: Node = Field(
        45, description="45: as measured; other nodes extrapolate logic; scratchpads have tables at 45, 32 and 22"
    )
    clock_tree: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="clock energy of the PEs over that of their clock pins; not measured",
    )
    operands: Operands = Field(
        "network", description="static mode: operands of a real network, or uniform random ones, an upper figure"
    )
    sram_cell: CellType = Field("lstp", description="low standby power, low operating power or high performance")
    sram_write: Literal["table", "as_read"] = Field(
        "table", description="energy of a scratchpad write: CACTI's own (uncertain by a factor of 3), or that of a read"
    )
    sram_scale: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="calibration of scratchpad energies; Horowitz's caches are at 3"
    )
    extrapolate: bool = Field(False, description="price memories outside CACTI's 1 KiB to 2 MiB all the same")
    prices: tuple[Price, ...] = Field(
        (), description="own prices before those of the tables: a CSV file with columns item, pJ_per_bit, source"
    )

    @field_validator("prices", mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        """A path becomes the rows of its file, so that a design's key follows the numbers and not the path."""
        return read_prices(Path(given), PRICED) if isinstance(given, str | Path) else given

    @field_validator("prices")
    @classmethod
    def _each_once(cls, prices: tuple[Price, ...]) -> tuple[Price, ...]:
        items = [price.item for price in prices]
        for item in items:
            if items.count(item) > 1:
                raise BadInput("technology.prices", f"{item} twice", "each item once")
        return prices

    @property
    def logic_factor(self) -> float:
        """What a gate-level energy at 45 nm and 1.1 V is multiplied with."""
        by_voltage = (self.voltage_v / MEASURED_AT_V) ** 2
        return self.pe_scale * by_voltage * energy_factor(self.node_nm, self.voltage_v)

    @property
    def logic_area_factor(self) -> float:
        """What an area of logic at 45 nm is multiplied with."""
        return area_factor(self.node_nm)

    @property
    def sram_node_nm(self) -> int:
        """The node of the memory table that is used: the nearest."""
        return min(TABLE_NODES, key=lambda node: abs(node - self.node_nm))

    @property
    def sram_energy_factor(self) -> float:
        """Energy of a memory over that in the table: 1 at 45, 32 and 22 nm, else as logic scales (assumed)."""
        volts = self.voltage_v
        return energy_factor(self.node_nm, volts) / energy_factor(self.sram_node_nm, volts)

    @property
    def sram_area_factor(self) -> float:
        """The same of its area."""
        return area_factor(self.node_nm) / area_factor(self.sram_node_nm)

    def price(self, item: str) -> float | None:
        """The user's own price of `item` in pJ per bit, None where the tables hold."""
        return next((price.pj_per_bit for price in self.prices if price.item == item), None)

    @property
    def label(self) -> str:
        """The preset's name and what differs from it.

        >>> from hwsim.registry import build
        >>> build("technology", "nangate45", sram_write="as_read").label
        'nangate45, sram_write as_read'
        """
        base = _parameters(self.preset)
        changed = [
            f"{name} {len(value) if name == 'prices' else value}"
            for name, value in self
            if name != "preset" and value != base.get(name, type(self).model_fields[name].default)
        ]
        return ", ".join([self.preset, *changed])

    def notes(self) -> list[str]:
        """What is extrapolated or brought by the user, one sentence each."""
        notes = [f"{price.item}: own price, {price.source}" for price in self.prices]
        if self.node_nm != MEASURED_NODE:
            notes.append(f"extrapolated: logic from 45 to {self.node_nm} nm; its leakage is that of 45 nm")
        if self.node_nm not in TABLE_NODES:
            notes.append(f"extrapolated: scratchpads from {self.sram_node_nm} to {self.node_nm} nm, as logic scales")
        return notes


SRAM_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "table": {"sram_write": "table", "sram_scale": 1.0},
    "as_read": {"sram_write": "as_read", "sram_scale": 1.0},
    "horowitz": {"sram_write": "table", "sram_scale": 3.0},
}
"""Scratchpads as CACTI has them; a write priced as a read; and three times CACTI, which is Horowitz's level."""

_ALIKE = """
Published tables of 45 nm logic differ by a factor of 2 to 4: hold a ranking against every preset
before you believe it (`hwsim.machine.cost.uncertainty`). Scratchpads (CACTI 7), DRAM and area are the same in all of
them."""

_SCALED = """
Extrapolated from 45 nm by published fits; from 32 nm downwards, past the step to fin transistors, least
certain. Scratchpads are CACTI 7's at 65 (from 45), 32 and 22 nm. DRAM does not scale. The supply is our assumption."""

_SCALING = (
    "A. Stillmaker and B. Baas, Scaling equations for the accurate prediction of CMOS device performance from "
    "180 nm to 7 nm, Integration, the VLSI Journal 58, 2017"
)

_PRESETS: dict[str, tuple[dict[str, Any], str, str]] = {
    "nangate45": (
        {"pe_scale": 1.0, "voltage_v": 1.1},
        "Gate-level energies as measured: Nangate45, typical corner, 1.1 V, before placement.\n" + _ALIKE,
        "Synthesis with Yosys 0.23 to the Nangate 45 nm Open Cell Library; CACTI 7, HewlettPackard/cacti @1ffd8df",
    ),
    "bitfusion45": (
        {"pe_scale": 0.15, "voltage_v": 1.1},
        "Logic energy scaled to the 8x8 PE that was published with BitFusion (0.298 pJ per cycle).\n" + _ALIKE,
        "hsharma35/bitfusion, results/systolic_array_synth.csv @04ec1c8; H. Sharma et al., Bit Fusion, ISCA 2018",
    ),
    "horowitz45": (
        {"pe_scale": 0.29, "voltage_v": 0.9},
        "Logic energy scaled to Horowitz's 8-bit multiplication (0.2 pJ at 0.9 V).\n" + _ALIKE,
        "M. Horowitz, Computing's Energy Problem (and what we can do about it), ISSCC 2014",
    ),
    "scaled65": (
        {"pe_scale": 1.0, "voltage_v": 1.1, "node_nm": 65},
        "The measured logic at 65 nm and 1.1 V.\n" + _SCALED,
        _SCALING,
    ),
    "scaled32": (
        {"pe_scale": 1.0, "voltage_v": 0.97, "node_nm": 32},
        "The measured logic at 32 nm and 0.97 V.\n" + _SCALED,
        _SCALING,
    ),
    "scaled22": (
        {"pe_scale": 1.0, "voltage_v": 0.9, "node_nm": 22},
        "The measured logic at 22 nm and 0.9 V.\n" + _SCALED,
        _SCALING,
    ),
}

LOGIC_PRESETS: Mapping[str, Mapping[str, float]] = {
    name: _PRESETS[name][0] for name in ("nangate45", "bitfusion45", "horowitz45")
}
"""(s, V): the calibrations of 45 nm logic that a band spans."""


def _parameters(preset: str) -> Mapping[str, Any]:
    return _PRESETS[preset][0] if preset in _PRESETS else {}


for _name, (_values, _help, _citation) in _PRESETS.items():
    registry.add(Record("technology", _name, _help, _citation, Technology, {"preset": _name, **_values}))
