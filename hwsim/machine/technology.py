"""Technology presets: how the measured 45 nm tables are scaled before they price a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwsim import registry
from hwsim.registry import Choice, Record

MEASURED_AT_V = 1.1


class Technology(Choice):
    """45 nm: Nangate45 logic, CACTI 7 scratchpads (low standby power), DRAM by its kind.

    Logic energy is `pe_scale * (voltage_v / 1.1)^2` times the gate-level figures. Area, leakage,
    scratchpads and DRAM do not change with the two.
    """

    preset: str = Field(description="name of the preset that these numbers began with")
    pe_scale: float = Field(gt=0, allow_inf_nan=False, description="calibration of the gate-level energies")
    voltage_v: float = Field(ge=0.5, le=1.3, description="supply of the logic, V")
    sram_write: Literal["table", "as_read"] = Field(
        "table", description="energy of a scratchpad write: CACTI's own (uncertain by a factor of 3), or that of a read"
    )

    @property
    def logic_factor(self) -> float:
        """What a gate-level energy at 1.1 V is multiplied with."""
        return self.pe_scale * (self.voltage_v / MEASURED_AT_V) ** 2


_ALIKE = """
Published tables of 45 nm logic differ by a factor of 2 to 4: hold a ranking against every preset
before you believe it. Scratchpads (CACTI 7), DRAM, leakage and area are the same in all presets."""

_PRESETS = {
    "nangate45": (
        1.0,
        1.1,
        "Gate-level energies as measured: Nangate45, typical corner, 1.1 V, before placement.",
        "Synthesis with Yosys 0.23 to the Nangate 45 nm Open Cell Library; CACTI 7, HewlettPackard/cacti @1ffd8df",
    ),
    "bitfusion45": (
        0.15,
        1.1,
        "Logic energy scaled to the 8x8 PE that was published with BitFusion (0.298 pJ per cycle).",
        "hsharma35/bitfusion, results/systolic_array_synth.csv @04ec1c8; H. Sharma et al., Bit Fusion, ISCA 2018",
    ),
    "horowitz45": (
        0.29,
        0.9,
        "Logic energy scaled to Horowitz's 8-bit multiplication (0.2 pJ at 0.9 V).",
        "M. Horowitz, Computing's Energy Problem (and what we can do about it), ISSCC 2014",
    ),
}

for _name, (_scale, _voltage, _help, _citation) in _PRESETS.items():
    registry.add(
        Record(
            "technology",
            _name,
            _help + "\n" + _ALIKE,
            _citation,
            Technology,
            {"preset": _name, "pe_scale": _scale, "voltage_v": _voltage},
        )
    )
