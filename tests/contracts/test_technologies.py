"""What every technology preset of the registry must do."""

from __future__ import annotations

import numpy as np
import pytest
from small_network import small_network

from hwsim.errors import BadInput
from hwsim.machine import Technology, estimate, simulate
from hwsim.registry import build, family

NAMES = sorted(family("technology"))


def test_every_technology_is_reached() -> None:
    assert {"nangate45", "bitfusion45", "horowitz45"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    technology = build("technology", name)
    assert isinstance(technology, Technology) and technology.preset == name
    assert 0 < technology.logic_factor <= 1
    run = simulate(small_network(), build("accelerator", "tiny"), np.zeros((2, 1, 8, 8), np.float32))
    cost = estimate(run, technology)
    assert cost.technology == name
    assert np.isfinite(cost.energy_pj).all() and cost.energy_pj.min() >= 0
    assert build("technology", name, **technology.model_dump(mode="json")) == technology


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pe_scale": 0}, "technology.pe_scale: got 0; allowed: greater than 0"),
        ({"voltage_v": 3.3}, "technology.voltage_v: got 3.3; allowed: 0.5 to 1.3"),
        ({"sram_write": "red"}, "technology.sram_write: got red; allowed: 'table' or 'as_read'"),
        ({"pe_scal": 1}, "technology.pe_scal: got pe_scal; allowed: pe_scale"),
    ],
)
def test_bad_input_is_told_the_place(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        build("technology", "nangate45", **change)
    assert str(caught.value).startswith(message)


def test_calibrations() -> None:
    # (0.15, 1.1 V): BitFusion's 8x8 PE, 0.298 pJ per cycle, from 1971 fJ uniform; (0.29, 0.9 V): Horowitz's multiply
    assert build("technology", "bitfusion45").logic_factor * 1971 == pytest.approx(298, rel=0.01)
    assert build("technology", "horowitz45").logic_factor * 1032.5 == pytest.approx(200, rel=0.01)
