"""What one fold, one filling of the array, takes besides the streaming of operands: closed forms.

With an R x C array in the profile `rtl` (whole-array fill):

    ws, is   load R, then streaming, then R + C - 1 (skew in, skew out, output register)
    os       streaming, then R + C - 2 (skew) + R (the outputs shift out)

`rtl` equals the cycle walks of `hwsim.reference` and the circuit in `accel_models/rtl` (N x N array, M
vectors: M + 3N - 1). With a second weight register per PE the next fold's operand comes while this
one streams; it can begin when the last PE has taken over its present one, R + C - 1 cycles after the
first, and takes R: from fold to fold no less than 2R + C - 1 cycles pass, and load and fill appear once.

`scalesim` is SCALE-Sim v3 (scalesim-project/SCALE-Sim 1d62b68): R + C - 2 of fill in all dataflows and
R of load in ws and is. A serial PE adds no skew: each row starts one cycle after the row before it,
whatever its steps. A row-stationary pass moves its partial sums up through the PEs of a column.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.machine.description.accelerator import Accelerator
from hwsim.network.product import Product


@dataclass(frozen=True)
class Fold:
    """Cycles of one fold by cause; `period` is 0 where the load of the next fold is not hidden."""

    fill_drain: int
    load: int
    period: int = 0


def fold_of(accelerator: Accelerator, product: Product) -> Fold:
    """What each fold of `product` takes.

    >>> from hwsim.registry import build
    >>> fold_of(build("accelerator", "tiny"), Product(pixels=37, reduction=4, filters=4))
    Fold(fill_drain=7, load=4, period=0)
    """
    rows, cols = accelerator.array.rows, accelerator.array.cols
    if accelerator.dataflow == "rs":
        kernel = product.window.geometry.kernel[0] if product.window else 1
        return Fold(max(rows // kernel, 1) * min(kernel, rows), 0)
    stationary = accelerator.dataflow in ("ws", "is")
    if accelerator.timing == "scalesim":
        return Fold(rows + cols - 2, rows if stationary else 0)
    if not stationary:
        return Fold(rows + cols - 2 + rows, 0)
    hidden = accelerator.array.weight_buffers == 2
    return Fold(rows + cols - 1, rows, 2 * rows + cols - 1 if hidden else 0)
