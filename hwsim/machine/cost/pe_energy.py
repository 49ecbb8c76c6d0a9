"""Energy of the PEs: their clock, and what their products switch, by static tables or by what was seen to toggle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.machine.activity.toggles import coefficients
from hwsim.machine.run import Run
from hwsim.machine.technology.tables import fitted_pe, plain_pe
from hwsim.machine.technology.technology import Operands, Technology

Floats = NDArray[np.float64]
Mode = Literal["static", "activity"]

PSUM_HEADROOM = 8
"""Bits of a measured plain PE's partial sum beyond those of one product."""


@dataclass(frozen=True, eq=False)
class PeEnergy:
    """Energy at 45 nm and 1.1 V in fJ: `clock` and `switching` float64 [rows, layer].

    `clock` are the clock pins of every PE in every array cycle. `sampling_error` float64 [layer] is
    one standard error of the mean of `switching` over samples, because toggles of partial sums are
    sampled; 0 where it is static. `mode` is `activity` when at least one layer is priced by its
    toggles; `notes` says what was assumed.
    """

    clock: Floats
    switching: Floats
    sampling_error: Floats
    mode: Mode
    notes: tuple[str, ...]


def pe_energy(run: Run, technology: Technology) -> PeEnergy:
    """What the array spends: by `run.activity` in the layers that were watched, else static.

    A PE that the activity table describes (`baseline_widths`) switches
    k_pp HD(a) popcount(w) + k_ps (HD(psum in) + HD(psum out)). Any other PE switches its static energy
    times a data factor: what the same toggles cost a plain PE of these widths, over that PE's static
    energy. That factor is an assumption.
    """
    per_cycle = run.accelerator.pe.physical_cost().clock_fj * technology.clock_tree
    clock = np.multiply(run.event("pe_cycles"), per_cycle, dtype=np.float64)
    static = np.stack([_static_fj(run, layer, technology.operands) for layer in range(len(run.layers))], axis=1)
    error = np.zeros(len(run.layers))
    watched = _watched(run)
    if run.activity is None or not watched:
        return PeEnergy(clock, static, error, "static", ())
    operand, psum = run.activity.operand, run.activity.psum
    switching = np.broadcast_to(static, np.broadcast_shapes(static.shape, operand.shape)).copy()
    for layer in watched:
        per_operand, per_psum = _toggle_fj(run, layer)
        from_psum = per_psum * psum[:, layer]
        switching[:, layer] = per_operand * operand[:, layer] + from_psum
        error[layer] = from_psum.sum() / max(1, len(from_psum)) * run.activity.psum_error[layer]
    return PeEnergy(clock, switching, error, "activity", _notes(run, watched))


@dataclass(frozen=True, eq=False)
class _Products:
    """Products of one pair of widths in a layer: how many, int64 [rows], and what one switches in this PE.

    `widths` are the weight, activation and partial-sum bits of the plain PE that stands for this one;
    `plain` says that this one is such a PE.
    """

    macs: NDArray[np.int64]
    own_fj: float
    widths: tuple[int, int, int]
    plain: bool

    @property
    def plain_fj(self) -> float:
        """What one switches in the plain PE with the operands of a real network."""
        return plain_pe(*self.widths[:2]).switching_fj


def _products(run: Run, layer: int) -> list[_Products]:
    """The products of a layer at its own width, and with region precision those at the low one."""
    precision, pe = run.precisions[layer], run.accelerator.pe
    if precision is None:
        return []
    pairs = [("macs_full", precision.a_bits, precision.w_bits)]
    if precision.low_bits:
        pairs.append(("macs_low", precision.low_bits, precision.low_bits))
    found = []
    for event, a_bits, w_bits in pairs:
        own = pe.baseline_widths(a_bits, w_bits)
        widths = own or (w_bits, a_bits, w_bits + a_bits + PSUM_HEADROOM)
        found.append(_Products(run.event(event)[:, layer], pe.mac_energy_fj(a_bits, w_bits), widths, own is not None))
    return found


def _static_fj(run: Run, layer: int, operands: Operands) -> Floats:
    """What the products of a layer switch by the tables: float64 [rows]."""
    energy = np.zeros(len(run.counts))
    for one in _products(run, layer):
        factor = uniform_switching_fj(*one.widths[:2]) / one.plain_fj if operands == "uniform" else 1.0
        energy += one.macs * (one.own_fj * factor)
    return energy


def _watched(run: Run) -> list[int]:
    """Layers with multiplications whose toggles are known."""
    if run.activity is None:
        return []
    seen = np.all((run.activity.operand >= 0) & (run.activity.psum >= 0), axis=0)
    return [layer for layer, precision in enumerate(run.precisions) if precision and seen[layer]]


def _toggle_fj(run: Run, layer: int) -> tuple[Floats, Floats]:
    """What a changing operand bit (at a one of a weight) and a changing partial-sum bit cost: float64 [rows] each.

    With two widths in a layer the mean over its products, since toggles are counted over all of them.
    """
    products = _products(run, layer)
    models = [coefficients(*one.widths) for one in products]
    per_operand = _mean(products, [model.k_pp_fj for model in models])
    per_psum = _mean(products, [model.k_ps_fj for model in models])
    if all(one.plain for one in products):
        return per_operand, per_psum
    plain = _mean(products, [one.plain_fj for one in products])
    factor = _mean(products, [one.own_fj for one in products]) / np.where(plain > 0, plain, 1.0)
    return factor * per_operand, factor * per_psum


def _mean(products: list[_Products], values: list[float]) -> Floats:
    """Mean of a value of each width over all products of a layer: float64 [rows], 0 where there are none."""
    macs = np.stack([one.macs for one in products])
    mean: Floats = (macs * np.array(values)[:, None]).sum(axis=0) / np.maximum(macs.sum(axis=0), 1)
    return mean


def uniform_switching_fj(w_bits: int, a_bits: int) -> float:
    """What one product of a plain PE switches with uniform random operands, clock excluded, in fJ.

    A fit over 25 measured PEs, clock included: 207 + 21.3 w a + 23.7 (w + a) fJ (at most 15 % off).

    >>> round(uniform_switching_fj(8, 8) / plain_pe(8, 8).switching_fj, 2)
    1.25
    """
    total = 207 + 21.3 * w_bits * a_bits + 23.7 * (w_bits + a_bits)
    return total - fitted_pe(w_bits, a_bits).physical.clock_fj


def _notes(run: Run, watched: list[int]) -> tuple[str, ...]:
    """What was assumed about the PEs of a run whose toggles are known."""
    stood_for = {layer: _products(run, layer) for layer in watched}
    scaled = [layer for layer, products in stood_for.items() if not all(one.plain for one in products)]
    fitted = [
        layer
        for layer, products in stood_for.items()
        if not all(coefficients(*one.widths).measured for one in products)
    ]
    unseen = [layer for layer, precision in enumerate(run.precisions) if precision and layer not in watched]
    texts = {
        f"assumed: data change the energy of PE {run.accelerator.pe.name} as that of a plain one, in": scaled,
        "assumed: toggles cost what they do in the nearest measured PE, in": fitted,
        "static: toggles were not watched in": unseen,
    }
    return tuple(f"{text} {', '.join(run.layers[i] for i in layers)}" for text, layers in texts.items() if layers)
