"""Contract of every technology preset of the registry, and the errors of bad technologies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.design import Design
from hwsim.errors import BadInput
from hwsim.machine import Technology
from hwsim.machine.cost.estimate import estimate
from hwsim.machine.events import EVENTS
from hwsim.machine.run import Precision
from hwsim.machine.technology.technology import PRICE_ITEMS
from hwsim.registry import build, family
from tests.support.made_run import made_run

NAMES = sorted(family("technology"))


def test_every_technology_is_reached() -> None:
    assert set(NAMES) >= {"nangate45", "bitfusion45", "horowitz45", "scaled65", "scaled32", "scaled22"}


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    technology = build("technology", name)
    assert isinstance(technology, Technology) and technology.preset == technology.label == name
    assert 0 < technology.logic_factor <= 2
    assert bool(technology.notes()) == (technology.node_nm != 45)
    run = made_run(build("accelerator", "tiny"), [dict.fromkeys(EVENTS, 10)], [Precision(8, 8)], cycles=[10], samples=2)
    cost = estimate(run, technology)
    assert cost.technology == technology
    assert np.isfinite(cost.energy_pj).all() and cost.energy_pj.min() > 0 and cost.total_area_um2 > 0
    assert build("technology", name, **technology.model_dump(mode="json")) == technology
    record = family("technology")[name]
    assert record.citation and record.headline.endswith(".")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pe_scale": 0}, "technology.pe_scale: got 0; allowed: greater than 0"),
        ({"voltage_v": 3.3}, "technology.voltage_v: got 3.3; allowed: 0.5 to 1.3"),
        ({"node_nm": 28}, "technology.node_nm: got 28; allowed: 130, 90, 65, 45, 32, 22, 20, 16, 14, 10 or 7"),
        ({"clock_tree": 0}, "technology.clock_tree: got 0; allowed: greater than 0"),
        ({"sram_write": "red"}, "technology.sram_write: got red; allowed: 'table' or 'as_read'"),
        ({"sram_cell": "lpst"}, "technology.sram_cell: got lpst; allowed: 'lstp', 'lop' or 'hp'"),
        ({"sram_scale": -1}, "technology.sram_scale: got -1; allowed: greater than 0"),
        ({"operands": "random"}, "technology.operands: got random; allowed: 'network' or 'uniform'"),
        ({"pe_scal": 1}, "technology.pe_scal: unknown setting; allowed: celsius, clock_tree"),
        ({"prices": [{"item": "dram", "pj_per_bit": 1}]}, "technology.prices.0.source is missing; allowed: a value"),
        ({"prices": [{"item": "dram", "pj_per_bit": 1, "source": " "}]}, "technology.prices: source is missing"),
        ({"prices": [{"item": "drm", "pj_per_bit": 1, "source": "x"}]}, "technology.prices: item: got drm; allowed: "),
        ({"prices": 2 * [{"item": "dram", "pj_per_bit": 1, "source": "x"}]}, "technology.prices: got dram twice; all"),
    ],
)
def test_bad_input_names_the_place(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        build("technology", "nangate45", **change)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item,pJ_per_bit\ndram,3\n", "own.csv, line 1: got item,pJ_per_bit; allowed: a column 'source'. Say where"),
        ("item,pJ_per_bit,source\ndram,3,\n", "own.csv, line 2: source is missing; allowed: a text. Say where"),
        ("item,pj,source\ndram,3,x\n", "own.csv, line 1: got item,pj,source; allowed: a column 'pJ_per_bit'"),
        ("item,pJ_per_bit,source\nifmap,3,x\n", "own.csv, line 2: item: got ifmap; allowed: dram, ifmap_read, ifmap"),
        ("item,pJ_per_bit,source\ndram,3,x\ndram,4,x\n", "own.csv, line 3: item: got dram; allowed: each item once"),
        ("item,pJ_per_bit,source\ndram,nan,x\n", "own.csv, line 2: pJ_per_bit: got nan; allowed: a positive number"),
        ("item,pJ_per_bit,source\ndram,-1,x\n", "own.csv, line 2: pJ_per_bit: got -1; allowed: a positive number"),
        ("item,pJ_per_bit,source\ndram,8 pJ,x\n", "own.csv, line 2: pJ_per_bit: got 8 pJ; allowed: a positive number"),
    ],
)
def test_own_prices_without_source_or_with_bad_numbers_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "own.csv"
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        build("technology", "nangate45", prices=str(file))
    assert str(caught.value).startswith(message)


def test_the_key_of_a_design_depends_on_own_prices_and_not_on_their_path(tmp_path: Path) -> None:
    def key(name: str, price: int) -> str:
        (tmp_path / name).write_text(f"item,pJ_per_bit,source\ndram,{price},measured\n")
        technology = {"name": "nangate45", "prices": str(tmp_path / name)}
        design = Design.resolve({"technology": technology})
        assert Design.resolve(design.settings).key == design.key
        return design.key

    assert key("a.csv", 5) == key("b.csv", 5) != key("a.csv", 6)


def test_every_price_of_a_user_is_used(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    run = made_run(build("accelerator", "tiny"), [dict.fromkeys(EVENTS, 10)], [Precision(8, 8)])
    base = estimate(run, build("technology", "nangate45")).total_energy_pj[0]
    for item in PRICE_ITEMS:
        file.write_text(f"item,pJ_per_bit,source\n{item},1000,guess\n")
        technology = build("technology", "nangate45", prices=str(file))
        assert technology.price(item) == 1000 and technology.label == "nangate45, prices 1"
        assert estimate(run, technology).total_energy_pj[0] > base + 5000


SCALED65 = """\
technology   scaled65, prices 1
logic        65 nm, 1.1 V, 1.39 x gate-level energy at 45 nm, 1.1 V
logic area   1.5 x area at 45 nm
clock        1 x energy of the clock pins
operands     network (static mode)
scratchpads  CACTI 7, 45 nm, lstp cells, 1.39 x table, write: table
leakage      logic and memories at 25 C
DRAM         by the kind of the accelerator's DRAM
own price    dram 5 pJ per bit (our board)
note         extrapolated: logic from 45 to 65 nm; its leakage is that of 45 nm
note         extrapolated: scratchpads from 45 to 65 nm, as logic scales"""


def test_print_is_one_screen() -> None:
    prices = [{"item": "dram", "pj_per_bit": 5, "source": "our board"}]
    assert str(build("technology", "scaled65", prices=prices)) == SCALED65


def test_calibrations() -> None:
    # (0.15, 1.1 V): BitFusion's 8x8 PE, 0.298 pJ per cycle, from 1971 fJ uniform; (0.29, 0.9 V): Horowitz's multiply
    assert build("technology", "bitfusion45").logic_factor * 1971 == pytest.approx(298, rel=0.01)
    assert build("technology", "horowitz45").logic_factor * 1032.5 == pytest.approx(200, rel=0.01)
