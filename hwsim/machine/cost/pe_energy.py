"""Energy of the PEs: clock and switching, by static tables or by counted toggles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.machine.activity.toggles import coefficients
from hwsim.machine.run import Run
from hwsim.machine.technology.tables import fitted_pe, plain_pe, plain_psum_bits
from hwsim.machine.technology.technology import Operands, Technology

Floats = NDArray[np.float64]
Mode = Literal["static", "activity"]


@dataclass(frozen=True, eq=False)
class PEEnergy:
    """Energy of all PEs at 45 nm and 1.1 V.

    Attributes
    ----------
    clock : float64 [rows, layer], fJ; clock pins of every PE in every array cycle
    switching : float64 [rows, layer], fJ; products
    sampling_error : float64 [layer], fJ; one standard error of the mean of `switching` over samples, because
        toggles of partial sums are sampled; 0 in static layers
    mode : `activity` when at least one layer is priced by its toggles
    notes : one sentence for each assumption
    """

    clock: Floats
    switching: Floats
    sampling_error: Floats
    mode: Mode
    notes: tuple[str, ...]


def pe_energy(run: Run, technology: Technology) -> PEEnergy:
    """Return the energy of the array: by `run.activity` in layers with counted toggles, else static.

    A PE that the activity table describes (`baseline_widths`) switches
    k_pp HD(a) popcount(w) + k_ps (HD(psum in) + HD(psum out)). Any other PE switches its static energy
    times a data factor: the energy of the same toggles in a plain PE of these widths, over that PE's static
    energy. Design choice: this factor.
    """
    per_cycle = run.accelerator.pe.physical_cost().clock_fj * technology.clock_tree
    clock = np.multiply(run.event("pe_cycles"), per_cycle, dtype=np.float64)
    static = np.stack([_static_fj(run, layer, technology.operands) for layer in range(len(run.layers))], axis=1)
    error = np.zeros(len(run.layers))
    counted = _layers_with_toggles(run)
    if run.activity is None or not counted:
        return PEEnergy(clock, static, error, "static", ())
    operand, psum = run.activity.operand, run.activity.psum
    switching = np.broadcast_to(static, np.broadcast_shapes(static.shape, operand.shape)).copy()
    for layer in counted:
        per_operand, per_psum = _fj_per_toggle(run, layer)
        from_psum = per_psum * psum[:, layer]
        switching[:, layer] = per_operand * operand[:, layer] + from_psum
        error[layer] = from_psum.sum() / max(1, len(from_psum)) * run.activity.psum_error[layer]
    return PEEnergy(clock, switching, error, "activity", _notes(run, counted))


@dataclass(frozen=True, eq=False)
class _WidthProducts:
    """The products of a layer at one pair of operand widths.

    Attributes
    ----------
    macs : int64 [rows]; number of products
    own_fj : switching energy of one product in this PE
    baseline : weight, activation and partial-sum bits of the plain PE that represents this one
    is_plain : whether this PE equals that plain PE
    """

    macs: NDArray[np.int64]
    own_fj: float
    baseline: tuple[int, int, int]
    is_plain: bool

    @property
    def baseline_fj(self) -> float:
        """Switching energy of one product in the plain PE with the operands of a real network."""
        return plain_pe(*self.baseline[:2]).switching_fj


def _products(run: Run, layer: int) -> list[_WidthProducts]:
    """Return the products of a layer at its own width, and with region precision the products at the low width."""
    precision, pe = run.precisions[layer], run.accelerator.pe
    if precision is None:
        return []
    pairs = [("macs_full", precision.a_bits, precision.w_bits)]
    if precision.low_bits:
        pairs.append(("macs_low", precision.low_bits, precision.low_bits))
    found = []
    for event, a_bits, w_bits in pairs:
        own = pe.baseline_widths(a_bits, w_bits)
        baseline = own or (w_bits, a_bits, plain_psum_bits(w_bits, a_bits))
        macs = run.event(event)[:, layer]
        found.append(_WidthProducts(macs, pe.mac_energy_fj(a_bits, w_bits), baseline, own is not None))
    return found


def _static_fj(run: Run, layer: int, operands: Operands) -> Floats:
    """Return the static switching energy of a layer's products: float64 [rows]."""
    energy = np.zeros(len(run.counts))
    for products in _products(run, layer):
        factor = 1.0
        if operands == "uniform":
            factor = uniform_switching_fj(*products.baseline[:2]) / products.baseline_fj
        energy += products.macs * (products.own_fj * factor)
    return energy


def _layers_with_toggles(run: Run) -> list[int]:
    """Return the layers with multiplications of which all toggles were counted."""
    if run.activity is None:
        return []
    counted = np.all((run.activity.operand >= 0) & (run.activity.psum >= 0), axis=0)
    return [layer for layer, precision in enumerate(run.precisions) if precision and counted[layer]]


def _fj_per_toggle(run: Run, layer: int) -> tuple[Floats, Floats]:
    """Return the energy of a changed operand bit (at a one of a weight) and of a changed partial-sum bit.

    Both are float64 [rows]. With two widths in a layer they are means over its products, since toggles are
    counted over all products.
    """
    products = _products(run, layer)
    models = [coefficients(*one.baseline) for one in products]
    per_operand = _mean(products, [model.k_pp_fj for model in models])
    per_psum = _mean(products, [model.k_ps_fj for model in models])
    if all(one.is_plain for one in products):
        return per_operand, per_psum
    baseline = _mean(products, [one.baseline_fj for one in products])
    factor = _mean(products, [one.own_fj for one in products]) / np.where(baseline > 0, baseline, 1.0)
    return factor * per_operand, factor * per_psum


def _mean(products: list[_WidthProducts], values: list[float]) -> Floats:
    """Return the mean of one value per width over all products of a layer: float64 [rows], 0 without products."""
    macs = np.stack([one.macs for one in products])
    mean: Floats = (macs * np.array(values)[:, None]).sum(axis=0) / np.maximum(macs.sum(axis=0), 1)
    return mean


def uniform_switching_fj(w_bits: int, a_bits: int) -> float:
    """Return the switching energy of one product of a plain PE with uniform random operands, clock excluded, in fJ.

    A fit over 25 measured PEs, clock included: 207 + 21.3 w a + 23.7 (w + a) fJ (at most 15 % off).

    >>> round(uniform_switching_fj(8, 8) / plain_pe(8, 8).switching_fj, 2)
    1.25
    """
    total = 207 + 21.3 * w_bits * a_bits + 23.7 * (w_bits + a_bits)
    return total - fitted_pe(w_bits, a_bits).physical.clock_fj


def _notes(run: Run, counted: list[int]) -> tuple[str, ...]:
    """Return the assumptions about the PEs of a run with counted toggles; `counted` are the layers that have them."""
    by_layer = {layer: _products(run, layer) for layer in counted}
    scaled = [layer for layer, products in by_layer.items() if not all(one.is_plain for one in products)]
    neighbor = [
        layer
        for layer, products in by_layer.items()
        if not all(coefficients(*one.baseline).measured for one in products)
    ]
    static = [layer for layer, precision in enumerate(run.precisions) if precision and layer not in counted]
    texts = {
        f"assumed: data change the energy of PE {run.accelerator.pe.name} by the factor of a plain PE, in": scaled,
        "assumed: energy per toggle of the nearest measured PE, in": neighbor,
        "static: toggles were not counted in": static,
    }
    return tuple(f"{text} {', '.join(run.layers[i] for i in layers)}" for text, layers in texts.items() if layers)
