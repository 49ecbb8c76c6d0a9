"""From 45 nm to other nodes: factors for logic energy and area, by published fits.

A. Stillmaker and B. Baas, Scaling equations for the accurate prediction of CMOS device performance
from 180 nm to 7 nm, Integration 58, 2017. An erratum of the authors uses a coefficient row that this
table does not have, and the step from planar to fin transistors (32 to 20 nm) is the least
certain one: everything that these factors touch is called extrapolated.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

from hwsim.cache import cached
from hwsim.machine.technology.provenance import built_in

Node = Literal[130, 90, 65, 45, 32, 22, 20, 16, 14, 10, 7]
NODES: tuple[int, ...] = get_args(Node)
MEASURED_NODE = 45


@cached(1)
def _coefficients() -> dict[int, dict[str, float]]:
    """By node; 22 nm is not among them."""
    columns = ("a2", "a1", "a0", "area_factor_from_45nm")
    return {int(row["node_nm"]): {c: float(row[c]) for c in columns} for row in built_in("scaling_stillmaker2017")}


def energy_factor(node_nm: int, voltage_v: float) -> float:
    """Energy of the same logic at `node_nm` over that at 45 nm, both at `voltage_v`.

    22 nm lies between 32 and 20 nm, straight in logarithms: our assumption.

    >>> round(energy_factor(32, 0.9), 3), round(energy_factor(7, 0.9), 2), energy_factor(45, 1.1)
    (0.641, 0.1, 1.0)
    """
    return _at(node_nm, {node: _polynomial(node, voltage_v) for node in _coefficients()}) / _polynomial(
        MEASURED_NODE, voltage_v
    )


def area_factor(node_nm: int) -> float:
    """Area of the same logic at `node_nm` over that at 45 nm.

    >>> area_factor(32), area_factor(45), round(area_factor(22), 2)
    (0.46, 1.0, 0.25)
    """
    return _at(node_nm, {node: row["area_factor_from_45nm"] for node, row in _coefficients().items()})


def _polynomial(node_nm: int, voltage_v: float) -> float:
    row = _coefficients()[node_nm]
    return row["a2"] * voltage_v**2 + row["a1"] * voltage_v + row["a0"]


def _at(node_nm: int, by_node: dict[int, float]) -> float:
    """The value of a node, or between its neighbours."""
    if node_nm in by_node:
        return by_node[node_nm]
    above, below = min(n for n in by_node if n > node_nm), max(n for n in by_node if n < node_nm)
    share = math.log(above / node_nm) / math.log(above / below)
    return math.exp((1 - share) * math.log(by_node[above]) + share * math.log(by_node[below]))
