"""STONNE: output-stationary products by a simulator that executes them."""

from __future__ import annotations

from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.network.product import Product
from tests.validation.golden import read
from tests.validation.machines import accelerator
from tests.validation.rows import Group, Row, Section

SOURCE = "STONNE (stonne-simulator/stonne 22634b8), output-stationary mesh; the last product also in its issue 32"
FILL = "the fill of the whole array, and 5 cycles less per fold"
WORTH = 'What a choice of convention is worth: ours is `timing = "scalesim"` here, which is exact for SCALE-Sim.'
COLUMNS = ("pixels", "reduction", "filters", "rows", "cols")


def groups() -> tuple[Group, ...]:
    """Each product in STONNE's profile, and what SCALE-Sim's convention would make of it."""
    return (
        Group("products on 4x4 to 32x32: cycles", SOURCE, tuple(_rows("stonne", ""))),
        Group("the same in SCALE-Sim's convention", SOURCE, tuple(_rows("scalesim", FILL)), note=WORTH),
    )


def _rows(timing: str, reason: str) -> list[Row]:
    found = []
    for row in read("stonne_os_mesh_32x32"):
        pixels, depth, filters, rows, cols = (int(row[name]) for name in COLUMNS)
        array = {"rows": rows, "cols": cols}
        machine = accelerator("tpu_like", array=array, dataflow="os", timing=timing)
        cycles = int(time_layer(machine, derive_mapping(machine, Product(pixels, depth, filters))).total[0])
        name = f"M {pixels}, K {depth}, N {filters} on {rows}x{cols}"
        found.append(Row(name, int(row["cycles"]), cycles, reason))
    return found


SECTION = Section(
    "STONNE",
    """
`timing = "stonne"`: a fold takes K + rows used + columns used + 3 cycles, one less where it is a single row or column
wide (the last fold of the last product). Two simulators that agree are no proof that a circuit does: for that see the
next section.
""",
    groups,
)
