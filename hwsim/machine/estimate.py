"""Price a run: counts times a technology table gives energy, latency and area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.machine.accelerator import Accelerator
from hwsim.machine.run import Run
from hwsim.machine.tables import KIB, LOGIC_LEAKAGE_UW_PER_UM2, dram_pj_per_bit, operator, sram
from hwsim.machine.technology import Technology

Floats = NDArray[np.float64]

COMPONENTS = ("pe", "scratchpad", "dram", "vector", "leakage")
"""Where energy goes: the array, the three scratchpads, DRAM, pools with requantizers, and standing still."""

PADS = ("ifmap", "weight", "ofmap")
FJ_PER_PJ = 1000.0
UM2_PER_MM2 = 1e6


@dataclass(frozen=True, eq=False)
class Cost:
    """What a run costs: energy_pj float64 [rows, layer, component], latency_s float64 [rows], area_um2 by component.

    `rows` is as in the run: 1 where nothing depends on the data. `technology` names the preset.
    """

    energy_pj: Floats
    latency_s: Floats
    area_um2: Mapping[str, float]
    layers: tuple[str, ...]
    samples: int
    technology: str

    @property
    def total_energy_pj(self) -> Floats:
        """Energy of each sample, float64 [sample]."""
        total = np.zeros(len(self.energy_pj))
        for layer in range(self.energy_pj.shape[1]):  # one by one: numpy's own order depends on the shape
            for component in range(len(COMPONENTS)):
                total += self.energy_pj[:, layer, component]
        return np.broadcast_to(total, self.samples)

    @property
    def total_area_um2(self) -> float:
        """Area of all components."""
        return sum(self.area_um2.values())

    def relative_to(self, baseline: Cost) -> float:
        """Mean energy per sample over that of `baseline`, for instance of the same network at 8x8 bits.

        Relative energy is good to about 15 % between widths, the absolute level only to a factor of
        about 3. Raises HwsimError when the two were priced with different technologies.
        """
        if self.technology != baseline.technology:
            raise HwsimError(f"cost: technology {self.technology}, but the baseline has {baseline.technology}")
        return float(self.total_energy_pj.mean() / baseline.total_energy_pj.mean())


def estimate(run: Run, technology: Technology) -> Cost:
    """Energy, latency and area of `run`; raises BadInput for a scratchpad outside the table (1 KiB to 2 MiB)."""
    accelerator, latency = run.accelerator, run.cycles.sum(axis=2)
    parts = {
        "pe": _pe_pj(run) * technology.logic_factor,
        "scratchpad": _scratchpad_pj(run, technology),
        "dram": (run.event("dram_read_bits") + run.event("dram_write_bits")) * dram_pj_per_bit()[accelerator.dram.kind],
        "vector": _vector_pj(run) * technology.logic_factor,
        "leakage": latency * (_leakage_uw(accelerator) / accelerator.clock_mhz),  # 1 uW for 1 us is 1 pJ
    }
    return Cost(
        energy_pj=np.stack([parts[name] for name in COMPONENTS], axis=-1),
        latency_s=latency.sum(axis=1) / (accelerator.clock_mhz * 1e6),
        area_um2=area_um2(accelerator),
        layers=run.layers,
        samples=run.samples,
        technology=technology.preset,
    )


def area_um2(accelerator: Accelerator) -> dict[str, float]:
    """Area of array, scratchpads and vector unit, um2, before placement.

    The vector part is one requantizer (32-bit multiplier and adder) per column and one 32-bit adder
    per lane. Interconnect and control are not modelled.
    """
    array = accelerator.array
    multiplier, adder = operator("mul", 32).area_um2, operator("add", 32).area_um2
    return {
        "pe": array.rows * array.cols * accelerator.pe.silicon().area_um2,
        "scratchpad": UM2_PER_MM2 * sum(_pad(accelerator, "area_mm2", pad) for pad in PADS),
        "vector": array.cols * (multiplier + adder) + accelerator.vector.lanes * adder,
    }


def _pad(accelerator: Accelerator, column: str, pad: str) -> float:
    pads = accelerator.scratchpads
    size = getattr(pads, f"{pad}_kib") * KIB
    return sram(column, size, pads.word_bytes, f"accelerator.scratchpads.{pad}_kib")  # type: ignore[arg-type]


def _pe_pj(run: Run) -> Floats:
    """Clock of every PE in every array cycle, and the switching of every MAC at its widths."""
    pe = run.accelerator.pe
    full = [pe.mac_fj(p.a_bits, p.w_bits) if p else 0.0 for p in run.precisions]
    low = [pe.mac_fj(p.low_bits, p.low_bits) if p and p.low_bits else 0.0 for p in run.precisions]
    clock = run.event("pe_cycles") * pe.silicon().clock_fj
    switching = run.event("macs_full") * np.array(full) + run.event("macs_low") * np.array(low)
    energy: Floats = (clock + switching) / FJ_PER_PJ
    return energy


def _scratchpad_pj(run: Run, technology: Technology) -> Floats:
    """Bits over each port times the energy per bit of a full word."""
    energy = np.zeros(run.cycles.shape[:2])
    bits_per_word = run.accelerator.scratchpads.word_bytes * 8
    write = "write_pJ" if technology.sram_write == "table" else "read_pJ"
    for pad in PADS:
        energy += run.event(f"{pad}_read_bits") * (_pad(run.accelerator, "read_pJ", pad) / bits_per_word)
        energy += run.event(f"{pad}_write_bits") * (_pad(run.accelerator, write, pad) / bits_per_word)
    return energy


def _vector_pj(run: Run) -> Floats:
    """32-bit additions for pools, adds and the region predictor; 32-bit multiply and add per requantization."""
    add, multiply = operator("add", 32).energy_fj, operator("mul", 32).energy_fj
    adds = run.event("vector_ops") + run.event("predictor_adds") + run.event("requantizations")
    energy: Floats = (adds * add + run.event("requantizations") * multiply) / FJ_PER_PJ
    return energy


def _leakage_uw(accelerator: Accelerator) -> float:
    array = accelerator.array
    pes = array.rows * array.cols * accelerator.pe.silicon().leakage_uw
    vector = area_um2(accelerator)["vector"] * LOGIC_LEAKAGE_UW_PER_UM2
    return pes + vector + 1000 * sum(_pad(accelerator, "leakage_mW", pad) for pad in PADS)
