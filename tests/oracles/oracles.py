"""All oracles, by name."""

from __future__ import annotations

from tests.oracles import ap_fixed, brevitas_pow2, ort, tflm
from tests.oracles.group import Oracle

ORACLES: dict[str, Oracle] = {module.ORACLE.name: module.ORACLE for module in (ap_fixed, tflm, ort, brevitas_pow2)}
"""The oracles in the order of the table; a tool is imported when its cases run."""
