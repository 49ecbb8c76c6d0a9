"""Scaling from 45 nm to other nodes: factors for logic energy and area, by published fits.

A. Stillmaker and B. Baas, Scaling equations for the accurate prediction of CMOS device performance
from 180 nm to 7 nm, Integration 58, 2017. An erratum of the authors uses a coefficient row that this
table does not have, and the step from planar to fin transistors (32 to 20 nm) is the least
certain one. All results that use these factors are therefore called extrapolated.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

from hwsim.cache import cached
from hwsim.machine.technology.provenance import built_in_table

Node = Literal[130, 90, 65, 45, 32, 22, 20, 16, 14, 10, 7]
NODES: tuple[int, ...] = get_args(Node)
MEASURED_NODE = 45


@cached(1)
def _coefficients() -> dict[int, dict[str, float]]:
    """Return the columns of the table by node; the table has no row for 22 nm."""
    columns = ("a2", "a1", "a0", "area_factor_from_45nm")
    table = built_in_table("scaling_stillmaker2017")
    return {int(row["node_nm"]): {column: float(row[column]) for column in columns} for row in table}


def energy_factor(node_nm: int, voltage_v: float) -> float:
    """Return the energy of logic at `node_nm` relative to the same logic at 45 nm, both at `voltage_v`.

    Design choice: 22 nm is interpolated between 32 and 20 nm, linearly in logarithms.

    >>> round(energy_factor(32, 0.9), 3), round(energy_factor(7, 0.9), 2), energy_factor(45, 1.1)
    (0.641, 0.1, 1.0)
    """
    at_node = _interpolated(node_nm, {node: _energy(node, voltage_v) for node in _coefficients()})
    return at_node / _energy(MEASURED_NODE, voltage_v)


def area_factor(node_nm: int) -> float:
    """Return the area of logic at `node_nm` relative to the same logic at 45 nm.

    >>> area_factor(32), area_factor(45), round(area_factor(22), 2)
    (0.46, 1.0, 0.25)
    """
    return _interpolated(node_nm, {node: row["area_factor_from_45nm"] for node, row in _coefficients().items()})


def _energy(node_nm: int, voltage_v: float) -> float:
    """Return the energy of logic in the fit's unit: a2 V^2 + a1 V + a0."""
    row = _coefficients()[node_nm]
    return row["a2"] * voltage_v**2 + row["a1"] * voltage_v + row["a0"]


def _interpolated(node_nm: int, by_node: dict[int, float]) -> float:
    """Return the value of a node, or interpolate between its neighbors, linearly in logarithms."""
    if node_nm in by_node:
        return by_node[node_nm]
    above, below = min(n for n in by_node if n > node_nm), max(n for n in by_node if n < node_nm)
    share = math.log(above / node_nm) / math.log(above / below)
    return math.exp((1 - share) * math.log(by_node[above]) + share * math.log(by_node[below]))
