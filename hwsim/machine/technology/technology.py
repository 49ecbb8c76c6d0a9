"""Technologies: scale factors of the measured 45 nm tables, own prices, and the presets of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from hwsim import registry
from hwsim.checksums import folder_checksum
from hwsim.errors import BadInput, UnknownName
from hwsim.machine.technology.provenance import TABLES, read_prices
from hwsim.machine.technology.scaling import MEASURED_NODE, Node, area_factor, energy_factor
from hwsim.machine.technology.sram import SRAM_CELSIUS, TABLE_NODES, CellType
from hwsim.machine.technology.tables import LOGIC_CELSIUS
from hwsim.registry import Configurable, Record

MEASURED_VOLTAGE_V = 1.1
"""Supply of the gate-level measurements."""

KELVIN_PER_DOUBLING = 12.5
"""Leakage doubles within 10 to 15 K. Assumed: the middle."""

Operands = Literal["network", "uniform"]

PRICE_ITEMS = (
    "dram",
    "register_file",
    *(f"{name}_{port}" for name in ("ifmap", "weight", "ofmap") for port in ("read", "write")),
)
"""Items of a user's own price table: any DRAM, memories in PEs, and the ports of the scratchpads."""


class Price(Configurable):
    """One price of a user's own table."""

    item: str = Field(description="one of dram, register_file, ifmap_read, ifmap_write, weight_read ... ofmap_write")
    pj_per_bit: float = Field(gt=0, allow_inf_nan=False, description="energy of one bit, pJ")
    source: str = Field(description="publication or measurement of the number")

    @field_validator("item")
    @classmethod
    def _known_item(cls, item: str) -> str:
        if item not in PRICE_ITEMS:
            raise UnknownName("technology.prices: item", item, PRICE_ITEMS, "setting")
        return item

    @field_validator("source")
    @classmethod
    def _source_given(cls, source: str) -> str:
        if not source.strip():
            raise BadInput("technology.prices: source", None, "where the number is from")
        return source


class Technology(Configurable):
    """Prices of the counts of a run: logic, scratchpads, DRAM.

    Logic energy is `pe_scale * (voltage_v / 1.1)^2` times the gate-level energy at 45 nm, and times a
    published factor at other nodes. Scratchpads are CACTI 7 memories at their own voltage. The energy of DRAM
    depends on its kind and not on the node.
    """

    preset: str = Field(description="name of the preset from which these numbers were derived")
    pe_scale: float = Field(gt=0, allow_inf_nan=False, description="calibration of the gate-level energies")
    voltage_v: float = Field(ge=0.5, le=1.3, description="supply of the logic, V")
    node_nm: Node = Field(
        45, description="45: as measured; other nodes extrapolate logic; scratchpads have tables at 45, 32 and 22"
    )
    clock_tree: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="clock energy of the PEs relative to the energy of their clock pins; not measured",
    )
    operands: Operands = Field(
        "network", description="static mode: operands of a real network, or uniform random ones (an upper figure)"
    )
    sram_cell: CellType = Field("lstp", description="low standby power, low operating power or high performance")
    sram_write: Literal["table", "as_read"] = Field(
        "table",
        description="energy of a scratchpad write: CACTI's (uncertain by a factor of 3), or equal to a read",
    )
    sram_scale: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="calibration of scratchpad energies; 3 gives the level of Horowitz's caches",
    )
    celsius: float = Field(
        25.0, ge=0, le=125, description="temperature at which logic and memories leak, degrees Celsius"
    )
    extrapolate: bool = Field(False, description="extrapolate to memories outside CACTI's 1 KiB to 2 MiB")
    prices: tuple[Price, ...] = Field(
        (), description="own prices, which replace the tables: a CSV file with columns item, pJ_per_bit, source"
    )

    @field_validator("prices", mode="before")
    @classmethod
    def _read_file(cls, given: Any) -> Any:
        """Replace a path by the rows of its file, so that a design's key depends on the numbers and not on the path."""
        return read_prices(Path(given), PRICE_ITEMS) if isinstance(given, str | Path) else given

    @field_validator("prices")
    @classmethod
    def _each_once(cls, prices: tuple[Price, ...]) -> tuple[Price, ...]:
        items = [price.item for price in prices]
        for item in items:
            if items.count(item) > 1:
                raise BadInput("technology.prices", f"{item} twice", "each item once")
        return prices

    def checksums(self) -> Mapping[str, str]:
        """Return the checksum of the tables that are priced from."""
        return {"accel_models/technology": folder_checksum(TABLES)}

    @property
    def logic_factor(self) -> float:
        """Energy of logic relative to its gate-level energy at 45 nm and 1.1 V."""
        by_voltage = (self.voltage_v / MEASURED_VOLTAGE_V) ** 2
        return self.pe_scale * by_voltage * energy_factor(self.node_nm, self.voltage_v)

    @property
    def logic_area_factor(self) -> float:
        """Area of logic relative to its area at 45 nm."""
        return area_factor(self.node_nm)

    @property
    def logic_leakage_factor(self) -> float:
        """Leakage of logic relative to its value at 25 C."""
        return float(2 ** ((self.celsius - LOGIC_CELSIUS) / KELVIN_PER_DOUBLING))

    @property
    def sram_leakage_factor(self) -> float:
        """Leakage of a memory relative to the table, which is for 350 K."""
        return float(2 ** ((self.celsius - SRAM_CELSIUS) / KELVIN_PER_DOUBLING))

    @property
    def sram_node_nm(self) -> int:
        """Nearest node of the memory table."""
        return min(TABLE_NODES, key=lambda node: abs(node - self.node_nm))

    @property
    def sram_energy_factor(self) -> float:
        """Energy of a memory relative to the table: 1 at 45, 32 and 22 nm, else the factor of logic (assumed)."""
        volts = self.voltage_v
        return energy_factor(self.node_nm, volts) / energy_factor(self.sram_node_nm, volts)

    @property
    def sram_area_factor(self) -> float:
        """Area of a memory relative to the table: 1 at 45, 32 and 22 nm, else the factor of logic (assumed)."""
        return area_factor(self.node_nm) / area_factor(self.sram_node_nm)

    def price(self, item: str) -> float | None:
        """Return the user's own price of `item` in pJ per bit, None where the tables apply."""
        return next((price.pj_per_bit for price in self.prices if price.item == item), None)

    @property
    def label(self) -> str:
        """Name of the preset, and the fields that differ from it.

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
        """Return one sentence for each number that is extrapolated or the user's own."""
        return [*(f"{price.item}: own price, {price.source}" for price in self.prices), *self._extrapolations()]

    def _extrapolations(self) -> list[str]:
        notes = []
        if self.node_nm != MEASURED_NODE:
            notes.append(f"extrapolated: logic from 45 to {self.node_nm} nm; its leakage is that of 45 nm")
        if self.node_nm not in TABLE_NODES:
            notes.append(f"extrapolated: scratchpads from {self.sram_node_nm} to {self.node_nm} nm, as logic scales")
        return notes

    def __str__(self) -> str:
        """Return one screen: node, supply, factors of logic and memories, own prices, notes."""
        rows = [
            ("technology", self.label),
            (
                "logic",
                f"{self.node_nm} nm, {self.voltage_v:g} V, {self.logic_factor:.3g} x gate-level energy at 45 nm, 1.1 V",
            ),
            ("logic area", f"{self.logic_area_factor:.3g} x area at 45 nm"),
            ("clock", f"{self.clock_tree:g} x energy of the clock pins"),
            ("operands", f"{self.operands} (static mode)"),
            (
                "scratchpads",
                f"CACTI 7, {self.sram_node_nm} nm, {self.sram_cell} cells, "
                f"{self.sram_scale * self.sram_energy_factor:.3g} x table, write: {self.sram_write}",
            ),
            ("leakage", f"logic and memories at {self.celsius:g} C"),
            ("DRAM", "by the kind of the accelerator's DRAM"),
            *(("own price", f"{price.item} {price.pj_per_bit:g} pJ per bit ({price.source})") for price in self.prices),
            *(("note", note) for note in self._extrapolations()),
        ]
        return "\n".join(f"{name:<11}  {text}" for name, text in rows)


SRAM_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "table": {"sram_write": "table", "sram_scale": 1.0},
    "as_read": {"sram_write": "as_read", "sram_scale": 1.0},
    "horowitz": {"sram_write": "table", "sram_scale": 3.0},
}
"""Calibrations of scratchpads: CACTI's table; a write priced as a read; three times CACTI, Horowitz's level."""

_CALIBRATED = """
Published tables of 45 nm logic differ by a factor of 2 to 4: compare a ranking under every preset
(`hwsim.machine.cost.uncertainty`). Scratchpads (CACTI 7), DRAM and area are equal in all of
them."""

_SCALED = """
Extrapolated from 45 nm by published fits, which are least certain below 32 nm, where fin transistors begin.
Scratchpads are CACTI 7's at 65 (from 45), 32 and 22 nm. DRAM does not scale. The supply is assumed."""

_SCALING = (
    "A. Stillmaker and B. Baas, Scaling equations for the accurate prediction of CMOS device performance from "
    "180 nm to 7 nm, Integration, the VLSI Journal 58, 2017"
)

_PRESETS: dict[str, tuple[dict[str, Any], str, str]] = {
    "nangate45": (
        {"pe_scale": 1.0, "voltage_v": 1.1},
        "Gate-level energies as measured: Nangate45, typical corner, 1.1 V, before placement.\n" + _CALIBRATED,
        "Synthesis with Yosys 0.23 to the Nangate 45 nm Open Cell Library; CACTI 7, HewlettPackard/cacti @1ffd8df",
    ),
    "bitfusion45": (
        {"pe_scale": 0.15, "voltage_v": 1.1},
        "Logic energy scaled to the 8x8 PE that was published with BitFusion (0.298 pJ per cycle).\n" + _CALIBRATED,
        "hsharma35/bitfusion, results/systolic_array_synth.csv @04ec1c8; H. Sharma et al., Bit Fusion, ISCA 2018",
    ),
    "horowitz45": (
        {"pe_scale": 0.29, "voltage_v": 0.9},
        "Logic energy scaled to Horowitz's 8-bit multiplication (0.2 pJ at 0.9 V).\n" + _CALIBRATED,
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
"""Calibrations of 45 nm logic (`pe_scale`, `voltage_v`), over which an energy range is taken."""


def _parameters(preset: str) -> Mapping[str, Any]:
    return _PRESETS[preset][0] if preset in _PRESETS else {}


for _name, (_values, _help, _citation) in _PRESETS.items():
    registry.add(Record("technology", _name, _help, _citation, Technology, {"preset": _name, **_values}))
