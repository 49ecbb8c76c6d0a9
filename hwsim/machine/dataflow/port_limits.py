"""How fast the scratchpads feed the array: banks times word width against what a step takes."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.machine.dataflow.row_stationary import Pass
from hwsim.machine.description.accelerator import SCRATCHPADS, Accelerator
from hwsim.machine.pe.base import Rate
from hwsim.network.product import Product


@dataclass(frozen=True)
class Ports:
    """Cycles as the ports of the scratchpads allow them.

    `steps` is what one wavefront takes (the PE's own steps or more) and `slow` the scratchpad that
    makes it more; `load` what one row of the stationary operand takes; `pass_load` the cycles in which
    a row-stationary pass gets its weights. `drain` is what one row of outputs takes that shifts out of an
    output-stationary array, `drain_cut` the same where the reduction is cut, so that partial sums are
    read, added to and written.
    """

    steps: int
    load: int = 1
    slow: str = ""
    pass_load: int = 0
    drain: int = 1
    drain_cut: int = 1


def ports_of(accelerator: Accelerator, product: Product, rate: Rate, passes: Pass | None, batch: int = 1) -> Ports:
    """What the ports allow for `batch` samples of `product`; the widest fold decides for all of its folds."""
    if accelerator.timing != "rtl":
        return Ports(rate.interval)
    if passes is not None:
        return Ports(passes.steps, slow=passes.slow, pass_load=passes.weight_load)
    rows, cols = accelerator.array.rows, accelerator.array.cols
    depth = min(product.reduction, rows * rate.products)
    pixels = product.pixels * batch
    across = min(pixels if accelerator.dataflow == "is" else product.filters, cols)
    sums = (
        accelerator.psum_bits * 2 if product.reduction > rows * rate.products else product.out_bits
    )  # read, add, write
    weights, inputs = product.stored_w_bits, product.a_bits
    match accelerator.dataflow:
        case "ws":
            wanted, load = (
                {"ifmap": depth * inputs, "ofmap": across * sums},
                {"weight": across * rate.products * weights},
            )
        case "is":
            wanted, load = (
                {"weight": depth * weights, "ofmap": across * sums},
                {"ifmap": across * rate.products * inputs},
            )
        case _:
            down, lanes = min(pixels, rows), min(product.reduction, rate.products)
            wanted, load = {"ifmap": down * lanes * inputs, "weight": across * lanes * weights}, {}
    need = {pad: _cycles(accelerator, pad, bits) for pad, bits in wanted.items()}
    steps = max(rate.interval, *need.values())
    slow = next((pad for pad in SCRATCHPADS if need.get(pad, 0) == steps > rate.interval), "")
    if accelerator.dataflow == "os":
        drain, drain_cut = (across * bits for bits in (product.out_bits, 2 * accelerator.psum_bits))
        return Ports(
            steps,
            1,
            slow,
            drain=_cycles(accelerator, "ofmap", drain),
            drain_cut=_cycles(accelerator, "ofmap", drain_cut),
        )
    return Ports(steps, max([1, *(_cycles(accelerator, pad, bits) for pad, bits in load.items())]), slow)


def _cycles(accelerator: Accelerator, pad: str, bits: int) -> int:
    return -(-bits // accelerator.scratchpads[pad].bits_per_cycle)
