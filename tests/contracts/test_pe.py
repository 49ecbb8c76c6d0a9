"""What every processing element of the registry must do."""

from __future__ import annotations

import itertools

import pytest

from hwsim.errors import Infeasible
from hwsim.machine.pe import PE, Rate
from hwsim.machine.pe.base import WIDEST
from hwsim.registry import build, family, validate

NAMES = sorted(family("pe"))
WIDTHS = list(itertools.product(range(1, WIDEST + 1), repeat=2))


def test_every_pe_is_reached() -> None:
    assert {"fixed", "fused", "bit_serial", "drq"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    pe = build("pe", name)
    assert isinstance(pe, PE)
    for a_bits, w_bits in WIDTHS:
        rate = pe.rate(a_bits, w_bits)
        assert rate.lanes >= 1 and rate.steps >= 1
        assert rate.lanes * w_bits <= pe.word_bits
        assert pe.mac_fj(a_bits, w_bits) > 0
        if pe.regions:
            assert rate.lanes == 1  # region timing counts on it
    silicon = pe.silicon()
    assert min(silicon.area_um2, silicon.leakage_uw, silicon.clock_fj) > 0


@pytest.mark.parametrize("name", NAMES)
def test_wider_operands_are_never_faster_nor_cheaper_per_step(name: str) -> None:
    pe = build("pe", name)
    for a_bits, w_bits in itertools.product(range(1, WIDEST), repeat=2):
        here = pe.rate(a_bits, w_bits)
        for wider in (pe.rate(a_bits + 1, w_bits), pe.rate(a_bits, w_bits + 1)):
            assert wider.lanes <= here.lanes and wider.steps >= here.steps
        assert pe.mac_fj(a_bits + 1, w_bits) >= pe.mac_fj(a_bits, w_bits)


@pytest.mark.parametrize("name", NAMES)
def test_a_dump_reads_back(name: str) -> None:
    pe = build("pe", name)
    dump = pe.model_dump(mode="json")
    assert dump["name"] == name
    assert validate(type(pe), dump, "pe") == pe


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("a_bits", "w_bits"), [(0, 8), (9, 8), (8, 16)])
def test_what_it_cannot_multiply_is_infeasible(name: str, a_bits: int, w_bits: int) -> None:
    with pytest.raises(Infeasible, match=name):
        build("pe", name).rate(a_bits, w_bits)


def test_bitfusion_table() -> None:
    # hsharma35/bitfusion @04ec1c8, bitfusion/src/simulator/accelerator.py
    published = {
        (8, 8): 1,
        (8, 4): 2,
        (8, 2): 4,
        (4, 4): 4,
        (4, 2): 8,
        (2, 2): 16,
        (3, 3): 4,
        (5, 5): 1,
        (7, 2): 4,
        (1, 1): 16,
    }
    pe = build("pe", "fused")
    for (a_bits, w_bits), lanes in published.items():
        assert pe.rate(a_bits, w_bits) == pe.rate(w_bits, a_bits) == Rate(lanes, 1)


def test_serial_steps() -> None:
    assert [build("pe", "bit_serial").rate(a, 8).steps for a in (1, 3, 8)] == [1, 3, 8]
    assert build("pe", "bit_serial", a_step=2, w_step=2).rate(5, 8).steps == 3 * 4
    assert [build("pe", "drq").rate(a, w).steps for a, w in ((4, 4), (8, 4), (4, 8), (5, 5), (8, 8))] == [1, 2, 2, 4, 4]


def test_measured_energies() -> None:
    # mean of both digits layers less the clock, gate-level rows
    assert build("pe", "fixed").mac_fj(8, 8) == pytest.approx((1538.0 + 1715.47) / 2 - 346.75)
    assert build("pe", "fused").mac_fj(2, 2) == pytest.approx((208.14 + 234.23) / 2 - 52.01)
    assert build("pe", "drq").mac_fj(8, 8) == pytest.approx((4811.26 + 5858.1) / 2 - 2219.2)
    assert build("pe", "drq").mac_fj(8, 4) == pytest.approx(
        build("pe", "drq").mac_fj(4, 4) + build("pe", "drq").mac_fj(8, 8) / 4
    )
    halfway = (build("pe", "fused").mac_fj(8, 8) + 4 * build("pe", "fused").mac_fj(4, 4)) / 2
    assert 2 * build("pe", "fused").mac_fj(8, 4) == pytest.approx(halfway)
