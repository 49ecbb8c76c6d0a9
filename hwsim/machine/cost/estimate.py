"""Cost of a run: event counts times a technology give energy, latency and area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.cost import memory_energy
from hwsim.machine.cost.area import REGISTER_FILE_WORD_BITS, area_um2, leakage_uw
from hwsim.machine.cost.pe_energy import Mode, pe_energy
from hwsim.machine.run import Run
from hwsim.machine.technology.tables import operator
from hwsim.machine.technology.technology import Technology

Floats = NDArray[np.float64]

COMPONENTS = ("pe", "register_file", "scratchpad", "dram", "vector", "leakage")
"""Components of energy: the array, memories inside its PEs (row stationary), the three scratchpads, DRAM,
vector unit with requantizers, and leakage of all."""

DETAILS: Mapping[str, tuple[str, ...]] = {
    "pe": ("pe_clock", "pe_switching", "pe_decode"),
    "scratchpad": tuple(f"{name}_{port}" for name in SCRATCHPADS for port in ("read", "write")),
    "dram": ("dram_read", "dram_write"),
    "vector": ("pools", "requantization", "region_prediction"),
    "leakage": ("pe_leakage", "register_file_leakage", "scratchpad_leakage", "vector_leakage"),
}
"""Component -> its parts; a component that is not listed has no parts."""

FJ_PER_PJ = 1000.0
PJ_PER_UW_S = 1e6


@dataclass(frozen=True, eq=False)
class Cost:
    """Energy, latency and area of a run; `print` shows one screen.

    `rows` is the number of samples where cycles, counts or toggles depend on the data, else 1, and
    the one row applies to all samples.

    Attributes
    ----------
    energy_pj : float64 [rows, layer, component], components in the order of COMPONENTS
    detail_pj : part of DETAILS -> float64 [rows, layer]
    sampling_error_pj : float64 [layer]; one standard error of the mean over samples, because toggles of partial
        sums are sampled; 0 in static layers
    latency_s : float64 [rows], seconds
    area_um2 : component -> area
    layers : names
    samples : number of inputs
    technology : the prices
    mode : `activity` when PEs are priced by counted toggles, else `static`
    notes : one sentence for each assumption or extrapolation
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
        """Return the energy of one component, float64 [rows, layer]."""
        part: Floats = self.energy_pj[:, :, COMPONENTS.index(name)]
        return part

    @property
    def total_area_um2(self) -> float:
        """Area of all components."""
        return sum(self.area_um2.values())

    def relative_to(self, baseline: Cost) -> float:
        """Return the mean energy per sample over that of `baseline`, for instance of the same network at 8x8 bits.

        Relative energy is accurate to about 15 % between widths, the absolute level only to a factor of
        about 3. Raises HwsimError when the two differ in technology or mode.
        """
        ours, theirs = ((cost.technology.label, cost.mode) for cost in (self, baseline))
        if (self.technology, self.mode) != (baseline.technology, baseline.mode):
            raise HwsimError(f"cost: priced by {' and '.join(ours)}, but the baseline by {' and '.join(theirs)}")
        return float(self.total_energy_pj.mean() / baseline.total_energy_pj.mean())

    def __str__(self) -> str:
        """Return one screen: mean energy per sample by component, latency, area, accuracy and notes."""
        by_component = self.energy_pj.sum(axis=1).mean(axis=0) if len(self.energy_pj) else np.zeros(len(COMPONENTS))
        total = float(by_component.sum())
        lines = [
            f"technology     {self.technology.label}, {self.mode}",
            f"energy         {_with_unit(total)} per sample, mean of {self.samples}",
        ]
        for name, energy in zip(COMPONENTS, by_component.tolist(), strict=True):
            share = energy / total if total else 0.0
            lines.append(f"  {name:<13}{_with_unit(energy):>12}{share:>8.1%}")
        latency = float(self.latency_s.mean()) if len(self.latency_s) else 0.0
        lines.append(f"latency        {latency * 1e6:.4g} us per sample")
        lines.append(f"area           {self.total_area_um2 / 1e6:.4g} mm2")
        lines.append("accuracy       energy to a factor of about 3, energy ratios of bit widths to about 15 %")
        lines.extend(f"note           {note}" for note in self.notes)
        return "\n".join(lines)


def _with_unit(energy_pj: float) -> str:
    """Return an energy with four digits and the largest unit that does not make it smaller than 1.

    >>> _with_unit(363008.0)
    '363 nJ'
    """
    for unit, size in (("mJ", 1e9), ("uJ", 1e6), ("nJ", 1e3)):
        if energy_pj >= size:
            return f"{energy_pj / size:.4g} {unit}"
    return f"{energy_pj:.4g} pJ"


def estimate(run: Run, technology: Technology) -> Cost:
    """Return the cost of `run`; raises BadInput for a scratchpad outside the memory table (1 KiB to 2 MiB)."""
    accelerator, pe = run.accelerator, pe_energy(run, technology)
    register_file_word_pj = REGISTER_FILE_WORD_BITS * memory_energy.register_file_pj_per_bit(technology)
    detail = {
        "pe_clock": pe.clock * (technology.logic_factor / FJ_PER_PJ),
        "pe_switching": pe.switching * (technology.logic_factor / FJ_PER_PJ),
        "pe_decode": _decode_pj(run) * technology.logic_factor,
        "register_file": _event_pj(run, "rf_accesses", register_file_word_pj),
        **_memory_pj(run, technology),
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
        notes=(*technology.notes(), *memory_energy.memory_notes(accelerator, technology), *pe.notes),
    )


def _decode_pj(run: Run) -> Floats:
    """Return the energy of decoding codebook weights by their width, float64 [rows, layer]."""
    pe = run.accelerator.pe
    prices = [pe.decode_fj(p.w_bits) / FJ_PER_PJ if p else 0.0 for p in run.precisions]
    energy: Floats = run.event("decodes") * np.array(prices)
    return energy


def _memory_pj(run: Run, technology: Technology) -> dict[str, Floats]:
    """Return the energy of the bits over each port of the scratchpads and DRAM, float64 [rows, layer] each."""
    accelerator = run.accelerator
    detail: dict[str, Floats] = {}
    for part in DETAILS["scratchpad"]:
        scratchpad, port = part.split("_")
        price = memory_energy.scratchpad_pj_per_bit(accelerator, technology, scratchpad, port)
        detail[part] = _event_pj(run, f"{part}_bits", price)
    for part in DETAILS["dram"]:
        detail[part] = _event_pj(run, f"{part}_bits", memory_energy.dram_pj_per_bit(accelerator, technology))
    return detail


def _vector_pj(run: Run, technology: Technology) -> dict[str, Floats]:
    """Return the energy of the vector unit, float64 [rows, layer] each.

    Pools, additions and the region predictor take one 32-bit addition per operand, a requantization one 32-bit
    multiplication and addition.
    """
    add, multiply = (operator(name, 32).energy_fj * technology.logic_factor / FJ_PER_PJ for name in ("add", "mul"))
    return {
        "pools": _event_pj(run, "vector_ops", add),
        "requantization": _event_pj(run, "requantizations", add + multiply),
        "region_prediction": _event_pj(run, "predictor_adds", add),
    }


def _leakage_pj(run: Run, technology: Technology) -> dict[str, Floats]:
    """Return leakage power times the time of each layer, float64 [rows, layer] each."""
    seconds = run.cycles.sum(axis=2) / run.accelerator.clock_hz
    power = leakage_uw(run.accelerator, technology)
    return {f"{name}_leakage": seconds * (microwatts * PJ_PER_UW_S) for name, microwatts in power.items()}


def _event_pj(run: Run, event: str, price_pj: float) -> Floats:
    """Return the counts of one event times its price, float64 [rows, layer]."""
    energy: Floats = np.multiply(run.event(event), price_pj, dtype=np.float64)
    return energy


def _sum(parts: Sequence[Floats]) -> Floats:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
