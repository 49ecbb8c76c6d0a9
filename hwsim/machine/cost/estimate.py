"""Price a run: counts times a technology table gives energy, latency and area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.cost import memory_energy
from hwsim.machine.cost.area import LOCAL_WORD_BITS, area_um2, leakage_uw
from hwsim.machine.cost.pe_energy import Mode, pe_energy
from hwsim.machine.run import Run
from hwsim.machine.technology.tables import operator
from hwsim.machine.technology.technology import Technology

Floats = NDArray[np.float64]

COMPONENTS = ("pe", "register_file", "scratchpad", "dram", "vector", "leakage")
"""Where energy goes: the array, memories inside its PEs (row stationary), the three scratchpads, DRAM,
pools with requantizers, and standing still."""

DETAILS: Mapping[str, tuple[str, ...]] = {
    "pe": ("pe_clock", "pe_switching", "pe_decode"),
    "scratchpad": tuple(f"{pad}_{way}" for pad in SCRATCHPADS for way in ("read", "write")),
    "dram": ("dram_read", "dram_write"),
    "vector": ("pools", "requantization", "region_prediction"),
    "leakage": ("pe_leakage", "register_file_leakage", "scratchpad_leakage", "vector_leakage"),
}
"""The parts of the components that have any."""

FJ_PER_PJ = 1000.0
PJ_PER_UW_S = 1e6


@dataclass(frozen=True, eq=False)
class Cost:
    """What a run costs: energy_pj float64 [rows, layer, component], latency_s float64 [rows], area_um2 by component.

    `rows` is the number of samples where cycles, counts or toggles depend on the data, else 1, and
    that row serves all samples. `detail_pj` float64 [rows, layer] are the parts of `DETAILS`.
    `mode` is `activity` when PEs are priced by what was seen to toggle, else `static`;
    `sampling_error_pj` float64 [layer] is then one standard error of the mean over samples, because
    toggles of partial sums are sampled. `notes` says what is assumed or extrapolated.
    """

    energy_pj: Floats
    detail_pj: Mapping[str, Floats]
    sampling_error_pj: Floats
    latency_s: Floats
    area_um2: Mapping[str, float]
    layers: tuple[str, ...]
    samples: int
    technology: Technology
    mode: Mode
    notes: tuple[str, ...]

    @property
    def total_energy_pj(self) -> Floats:
        """Energy of each sample, float64 [sample]."""
        total = np.zeros(len(self.energy_pj))
        for layer in range(self.energy_pj.shape[1]):  # one by one: numpy's own order depends on the shape
            for component in range(len(COMPONENTS)):
                total += self.energy_pj[:, layer, component]
        return np.broadcast_to(total, self.samples)

    def component_pj(self, name: str) -> Floats:
        """Energy of one component, float64 [rows, layer]."""
        part: Floats = self.energy_pj[:, :, COMPONENTS.index(name)]
        return part

    @property
    def total_area_um2(self) -> float:
        """Area of all components."""
        return sum(self.area_um2.values())

    def relative_to(self, baseline: Cost) -> float:
        """Mean energy per sample over that of `baseline`, for instance of the same network at 8x8 bits.

        Relative energy is good to about 15 % between widths, the absolute level only to a factor of
        about 3. Raises HwsimError when the two were priced with different technologies, or one by its
        toggles and the other not.
        """
        ours, theirs = ((cost.technology.label, cost.mode) for cost in (self, baseline))
        if (self.technology, self.mode) != (baseline.technology, baseline.mode):
            raise HwsimError(f"cost: priced by {' and '.join(ours)}, but the baseline by {' and '.join(theirs)}")
        return float(self.total_energy_pj.mean() / baseline.total_energy_pj.mean())


def estimate(run: Run, technology: Technology) -> Cost:
    """Energy, latency and area of `run`; raises BadInput for a scratchpad outside the table (1 KiB to 2 MiB)."""
    accelerator, pe = run.accelerator, pe_energy(run, technology)
    detail = {
        "pe_clock": pe.clock * (technology.logic_factor / FJ_PER_PJ),
        "pe_switching": pe.switching * (technology.logic_factor / FJ_PER_PJ),
        "pe_decode": _decode_pj(run) * technology.logic_factor,
        "register_file": _priced(run, "rf_accesses", LOCAL_WORD_BITS * memory_energy.local_pj_per_bit(technology)),
        **_memories_pj(run, technology),
        **_vector_pj(run, technology),
        **_leakage_pj(run, technology),
    }
    parts = [_sum([detail[name] for name in DETAILS.get(component, (component,))]) for component in COMPONENTS]
    return Cost(
        energy_pj=np.stack(np.broadcast_arrays(*parts), axis=-1),
        detail_pj=detail,
        sampling_error_pj=pe.sampling_error * (technology.logic_factor / FJ_PER_PJ),
        latency_s=run.cycles.sum(axis=2).sum(axis=1) / accelerator.clock_hz,
        area_um2=area_um2(accelerator, technology),
        layers=run.layers,
        samples=run.samples,
        technology=technology,
        mode=pe.mode,
        notes=(*technology.notes(), *memory_energy.notes(accelerator, technology), *pe.notes),
    )


def _decode_pj(run: Run) -> Floats:
    """Codebook weights that were looked up times the price of one of that width, float64 [rows, layer]."""
    pe = run.accelerator.pe
    prices = [pe.decode_fj(p.w_bits) / FJ_PER_PJ if p else 0.0 for p in run.precisions]
    energy: Floats = run.event("decodes") * np.array(prices)
    return energy


def _memories_pj(run: Run, technology: Technology) -> dict[str, Floats]:
    """Bits over each port times their price."""
    accelerator = run.accelerator
    detail: dict[str, Floats] = {}
    for name in DETAILS["scratchpad"]:
        pad, way = name.split("_")
        detail[name] = _priced(run, f"{name}_bits", memory_energy.pad_pj_per_bit(accelerator, technology, pad, way))
    for name in DETAILS["dram"]:
        detail[name] = _priced(run, f"{name}_bits", memory_energy.dram_pj_per_bit(accelerator, technology))
    return detail


def _vector_pj(run: Run, technology: Technology) -> dict[str, Floats]:
    """32-bit additions for pools, adds and the region predictor; 32-bit multiply and add per requantization."""
    add, multiply = (operator(name, 32).energy_fj * technology.logic_factor / FJ_PER_PJ for name in ("add", "mul"))
    return {
        "pools": _priced(run, "vector_ops", add),
        "requantization": _priced(run, "requantizations", add + multiply),
        "region_prediction": _priced(run, "predictor_adds", add),
    }


def _leakage_pj(run: Run, technology: Technology) -> dict[str, Floats]:
    """Leakage power times the time of each layer."""
    seconds = run.cycles.sum(axis=2) / run.accelerator.clock_hz
    power = leakage_uw(run.accelerator, technology)
    return {f"{name}_leakage": seconds * (microwatts * PJ_PER_UW_S) for name, microwatts in power.items()}


def _priced(run: Run, event: str, price: float) -> Floats:
    """Counts of one event times its price, float64 [rows, layer]."""
    energy: Floats = np.multiply(run.event(event), price, dtype=np.float64)
    return energy


def _sum(parts: Sequence[Floats]) -> Floats:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
