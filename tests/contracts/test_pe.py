"""Contract of every processing element of the registry."""

from __future__ import annotations

import doctest
import importlib
import itertools
import math
import re
import tomllib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import BadInput, Infeasible
from hwsim.formats import TERNARY, Format, Kind
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.mapping.pe_suggestions import require_formats, require_widths
from hwsim.machine.pe.base import MAX_OPERAND_BITS, PE, ActivationTiming, OutlierTiming, Rate
from hwsim.machine.pe.bit_serial import significant_bits
from hwsim.machine.technology.provenance import built_in_table
from hwsim.machine.technology.tables import plain_pe, rate_points
from hwsim.machine.timing.mapped_layers import map_layers
from hwsim.network.product import Product
from hwsim.registry import build, family, validate
from tests.support.small_network import small_network

NAMES = sorted(family("pe"))
WIDTHS = list(itertools.product(range(1, MAX_OPERAND_BITS + 1), repeat=2))
BINARY = Format(1, kind=Kind.BINARY)
BOOK = Format(2, kind=Kind.CODEBOOK, table=(-90, -7, 7, 90))
WIDE_BOOK = Format(3, kind=Kind.CODEBOOK, table=(-30000, -7, -1, 0, 1, 7, 90, 30000))
LONG_BOOK = Format(6, kind=Kind.CODEBOOK, table=tuple(range(-32, 32)))
FORMATS = (Format(8), Format(4, signed=True), Format(16, signed=True), TERNARY, BINARY, Format(3, kind=Kind.MIDRISE))


def members() -> list[PE]:
    """Return every PE with its defaults, and PEs with the parameters that change their behavior."""
    others = [
        build("pe", "fixed", max_bits=16, skip_zeros=True),
        build("pe", "bit_serial", max_bits=16, a_step=1, w_step=1, dynamic_group=8),
        build("pe", "bit_serial", max_bits=16, a_step=3, w_step=16, dynamic_group=1),
        build("pe", "lookup", max_bits=16, code_bits=8),
        build("pe", "outlier", lanes=3, pes_per_wide_mac=1),
    ]
    return [build("pe", name) for name in NAMES] + others


MEMBERS = members()
EACH = pytest.mark.parametrize("pe", MEMBERS, ids=str)


def supported_widths(pe: PE) -> list[tuple[int, int]]:
    return [(a, w) for a, w in WIDTHS if pe.supports_widths(a, w)]


def suggested(message: str) -> PE:
    """Return the PE that an error suggests, built from its text."""
    found = re.search(r"pe = \{.*?\}", message)
    assert found, message
    table = tomllib.loads(found.group())["pe"]
    return build("pe", table.pop("name"), **table)


def test_every_pe_is_reached() -> None:
    assert {"fixed", "fused", "bit_serial", "unpu", "drq", "outlier", "xnor", "lookup"} <= set(NAMES)


@EACH
def test_contract(pe: PE) -> None:
    assert isinstance(pe, PE)
    assert (1, 1) in supported_widths(pe)
    assert supported_widths(pe) == [(a, w) for a, w in WIDTHS if max(a, w) <= pe.max_operand_bits]
    for a_bits, w_bits in supported_widths(pe):
        rate = pe.rate(a_bits, w_bits)
        assert rate.products >= 1 and rate.interval >= 1
        assert rate.products * w_bits <= pe.weight_register_bits
        assert pe.mac_energy_fj(a_bits, w_bits) > 0
        assert pe.decode_fj(w_bits) >= 0
        assert pe.area_delay(a_bits, w_bits) > 0
        if pe.regions:
            assert rate.products == 1  # region timing assumes it
    cost = pe.physical_cost()
    assert min(cost.area_um2, cost.leakage_uw, cost.clock_fj) > 0


@EACH
def test_wider_operands_are_never_faster_nor_cheaper_per_step(pe: PE) -> None:
    for a_bits, w_bits in supported_widths(pe):
        here = pe.rate(a_bits, w_bits)
        for wider in ((a_bits + 1, w_bits), (a_bits, w_bits + 1)):
            if pe.supports_widths(*wider):
                rate = pe.rate(*wider)
                assert rate.products <= here.products and rate.interval >= here.interval
                assert pe.mac_energy_fj(*wider) >= pe.mac_energy_fj(a_bits, w_bits)


@EACH
def test_a_dump_reads_back(pe: PE) -> None:
    dump = pe.model_dump(mode="json")
    assert next(iter(dump)) == "name"
    assert validate(type(pe), dump, "pe") == pe == build("pe", dump.pop("name"), **dump)


@EACH
def test_unsupported_widths_are_refused_with_a_pe_that_supports_them(pe: PE) -> None:
    for a_bits, w_bits in WIDTHS:
        if pe.supports_widths(a_bits, w_bits):
            require_widths(pe, a_bits, w_bits)
            continue
        with pytest.raises(Infeasible, match=pe.name) as caught:
            require_widths(pe, a_bits, w_bits)
        other = suggested(str(caught.value))
        assert other != pe
        assert other.rate(a_bits, w_bits).products >= 1
        fact = str(caught.value).split("; ")[0]  # the PE states the fact alone
        for method in (pe.rate, pe.mac_energy_fj):
            with pytest.raises(Infeasible, match=f"^{fact}$"):
                method(a_bits, w_bits)


@EACH
@pytest.mark.parametrize(("a_bits", "w_bits"), [(0, 8), (8, 0), (MAX_OPERAND_BITS + 1, 8), (8, MAX_OPERAND_BITS + 1)])
def test_widths_that_no_pe_supports_are_refused(pe: PE, a_bits: int, w_bits: int) -> None:
    with pytest.raises(Infeasible, match=f"{pe.name}.*no PE can: they multiply 1 to 16 bits"):
        require_widths(pe, a_bits, w_bits)
    with pytest.raises(Infeasible, match=pe.name):
        pe.rate(a_bits, w_bits)


@EACH
def test_a_format_is_supported_or_a_pe_that_supports_it_is_suggested(pe: PE) -> None:
    for a_format, w_format in itertools.product(FORMATS, (*FORMATS, BOOK, WIDE_BOOK, LONG_BOOK)):
        if pe.supports(a_format, w_format):
            require_formats(pe, a_format, w_format)
            pe.rate(a_format.bits, w_format.bits)
        else:
            with pytest.raises(Infeasible, match=pe.name) as caught:
                require_formats(pe, a_format, w_format)
            other = suggested(str(caught.value))
            assert other != pe
            require_formats(other, a_format, w_format)


@EACH
@given(data=st.data())
def test_cycles_by_value_are_within_the_rate(pe: PE, data: st.DataObject) -> None:
    a_bits, w_bits = data.draw(st.sampled_from(supported_widths(pe)))
    limit = 1 << a_bits
    values = np.array(data.draw(st.lists(st.integers(-limit, limit - 1), min_size=1, max_size=20)), dtype=np.int64)
    full = pe.rate(a_bits, w_bits).interval
    timing = pe.value_timing
    if isinstance(timing, ActivationTiming):
        cycles = timing.activation_cycles(a_bits, w_bits, values)
        assert cycles.shape == values.shape and cycles.dtype == np.uint16
        assert cycles.max() <= full
        assert timing.rows_per_group >= 1
    if not isinstance(timing, OutlierTiming):
        return
    limit = 1 << (w_bits - 1)
    filters, reduction = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 4)))
    weights = np.random.default_rng(filters).integers(-limit, limit, (filters, reduction))
    per_group = timing.weight_cycles(w_bits, weights)
    assert per_group.dtype == np.uint8 and per_group.shape[1] == reduction
    assert per_group.min() >= 1 and per_group.max() <= full
    outliers = timing.outlier_codes(values)
    assert outliers.shape == values.shape and outliers.dtype == np.bool_
    counts = np.array([0, 1, 1000])
    unit_cycles = timing.outlier_cycles(counts, 64)
    assert unit_cycles.dtype == np.int64 and (unit_cycles >= 0).all() and (np.diff(unit_cycles) >= 0).all()


def test_optional_abilities() -> None:
    for name in NAMES:
        pe = build("pe", name)
        a_bits = min(pe.max_operand_bits, 4)
        assert isinstance(pe.value_timing, OutlierTiming) == (name == "outlier")
        assert not isinstance(pe.value_timing, ActivationTiming)  # by default no activation has cycles of its own
        assert (pe.decode_fj(4) > 0) == (name == "lookup")
        assert (pe.baseline_widths(a_bits, a_bits) is not None) == (name == "fixed")


@pytest.mark.parametrize("name", NAMES)
def test_record(name: str) -> None:
    record = family("pe")[name]
    assert len(record.citation) > 20
    module = importlib.import_module(record.factory.__module__)
    example = doctest.DocTestFinder(recurse=False).find(record.factory, name, module=module)
    assert example and example[0].examples
    assert all(field.description for key, field in record.factory.model_fields.items() if key != "name")


@EACH
def test_without_value_timing_each_activation_takes_the_cycles_of_the_rate(pe: PE) -> None:
    if isinstance(pe, ActivationTiming) and pe.value_timing is None:
        cycles = pe.activation_cycles(8, 8, np.arange(-128, 128))
        assert (cycles == pe.rate(8, 8).interval).all()


def test_the_smallest_change_of_the_same_pe_is_suggested_first() -> None:
    def advice(name: str, a_bits: int, w_bits: int, **parameters: object) -> PE:
        with pytest.raises(Infeasible) as caught:
            require_widths(build("pe", name, **parameters), a_bits, w_bits)
        return suggested(str(caught.value))

    assert advice("fixed", 3, 9, skip_zeros=True) == build("pe", "fixed", max_bits=9, skip_zeros=True)
    assert advice("bit_serial", 16, 2, a_step=2) == build("pe", "bit_serial", max_bits=16, a_step=2)
    with pytest.raises(Infeasible, match=r'pe = \{name = "fixed", max_bits = 8\} can$'):  # though 8 is the default
        require_widths(build("pe", "fixed", max_bits=4), 8, 2)
    assert advice("lookup", 12, 4) == build("pe", "lookup", max_bits=16)
    # no other parameter helps: the PE with the smallest area-delay product
    assert advice("drq", 16, 16) == build("pe", "fixed", max_bits=16)
    assert advice("xnor", 8, 8) == build("pe", "fixed")
    cheapest = min(
        (build("pe", n) for n in NAMES if build("pe", n).max_operand_bits == 16), key=lambda pe: pe.area_delay(16, 1)
    )
    assert advice("drq", 16, 1) == cheapest == build("pe", "unpu")


def test_mappings_suggest_a_pe_for_unsupported_operands() -> None:
    narrow = build("accelerator", "tiny", pe={"name": "fixed", "max_bits": 4})
    for call in (lambda: derive_mapping(narrow, Product(4, 4, 4)), lambda: map_layers(small_network(), narrow)):
        with pytest.raises(Infeasible) as caught:
            call()
        assert suggested(str(caught.value)) == build("pe", "fixed")


def test_operand_kinds() -> None:
    fixed, lookup, xnor = (build("pe", name) for name in ("fixed", "lookup", "xnor"))
    byte = Format(8)
    assert (
        fixed.supports(BINARY, BINARY)
        and fixed.supports(byte, Format(3, kind=Kind.MIDRISE))
        and fixed.supports(byte, TERNARY)
    )
    assert xnor.supports(BINARY, BINARY)
    assert not xnor.supports(Format(1), BINARY) and not xnor.supports(BINARY, Format(1, signed=True))
    assert lookup.supports(byte, BOOK) and lookup.supports(byte, Format(8, signed=True))
    assert not lookup.supports(byte, WIDE_BOOK) and not lookup.supports(byte, LONG_BOOK)
    assert build("pe", "lookup", max_bits=16, code_bits=6).supports(byte, WIDE_BOOK)
    assert lookup.supports(byte, Format(1, kind=Kind.CODEBOOK, table=(-128, 127)))
    for too_wide in ((-129, 0), (0, 128)):
        assert not lookup.supports(byte, Format(1, kind=Kind.CODEBOOK, table=too_wide))
    with pytest.raises(Infeasible, match=r'"lookup", code_bits = 6\} can, or store the decoded weights as plain codes'):
        require_formats(fixed, byte, LONG_BOOK)
    huge = Format(9, kind=Kind.CODEBOOK, table=(0,) * 512)
    with pytest.raises(Infeasible, match="codebook of 9 bits; store the decoded weights"):
        require_formats(fixed, byte, huge)
    with pytest.raises(Infeasible, match="activations of codebook of 2 bits by weights of uint8; no PE does"):
        require_formats(lookup, BOOK, byte)


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


def test_fused_beyond_eight_bits() -> None:
    # assumed: as many passes of sixteen bricks as the product needs
    pe = build("pe", "fused")
    assert pe.rate(16, 16) == pe.rate(9, 9) == Rate(1, 4)
    assert pe.rate(16, 8) == pe.rate(5, 12) == Rate(1, 2)
    assert pe.rate(16, 4) == Rate(1, 1) and pe.rate(2, 16) == Rate(2, 1)
    assert pe.mac_energy_fj(16, 16) == 4 * pe.mac_energy_fj(8, 8)


def test_serial_cycles() -> None:
    assert [build("pe", "bit_serial").rate(a, 8).interval for a in (1, 3, 8)] == [1, 3, 8]
    assert build("pe", "bit_serial", a_step=2, w_step=2).rate(5, 8).interval == 3 * 4
    assert build("pe", "bit_serial", max_bits=16, w_step=1).rate(16, 16).interval == 256
    assert [build("pe", "drq").rate(a, w).interval for a, w in ((4, 4), (8, 4), (4, 8), (5, 5), (8, 8))] == [
        1,
        2,
        2,
        4,
        4,
    ]


@given(value=st.integers(-(1 << 17), (1 << 17) - 1))
def test_significant_bits_are_the_shortest_that_represent_the_value(value: int) -> None:
    (bits,) = significant_bits(np.array([value])).tolist()
    holds = (lambda b: -(1 << (b - 1)) <= value) if value < 0 else (lambda b: value < 1 << b)
    assert bits == next(b for b in range(1 if value < 0 else 0, 40) if holds(b))


def test_zeros_take_no_cycle() -> None:
    cycles = build("pe", "fixed", skip_zeros=True).activation_cycles(8, 8, np.array([[0, 1], [-1, 0]]))
    assert cycles.tolist() == [[0, 1], [1, 0]]


def test_dynamic_cycles() -> None:
    pe = build("pe", "bit_serial", max_bits=16, a_step=2, w_step=1, dynamic_group=16)
    values = np.array([[0, 1, 3], [4, -1, -8]])
    assert pe.rows_per_group == 16
    cycles = pe.activation_cycles(4, 3, values)
    assert cycles.tolist() == [[3, 3, 3], [6, 3, 6]]
    loom = build("pe", "bit_serial", max_bits=16, w_step=1, dynamic_group=1)
    longest = loom.activation_cycles(16, 16, np.array([-(1 << 15), (1 << 16) - 1]))
    assert longest.tolist() == [256, 256]


def test_unpu_has_the_published_ratio() -> None:
    pe = build("pe", "unpu")
    per_cycle = {w: Fraction(pe.rate(16, w).products, pe.rate(16, w).interval) for w in range(1, 17)}
    assert float(per_cycle[1] / per_cycle[16]) == pytest.approx(7372 / 345.6, rel=1e-3)
    assert per_cycle[1] / per_cycle[16] != 16
    sources = {(int(row["a_bits"]), int(row["w_bits"])): row["source"] for row in built_in_table("throughput")}
    assert {point for point, source in sources.items() if source.startswith("published")} == {(16, 16), (16, 1)}
    assert all(source.startswith(("published", "assumed")) for source in sources.values())


def test_between_the_points_of_a_table_the_nearest_wider_point_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {(16, 16): (3, 16), (16, 4): (3, 4), (8, 4): (6, 4), (16, 1): (4, 1)}
    monkeypatch.setattr("hwsim.machine.pe.unpu.rate_points", lambda pe: table)
    pe = build("pe", "unpu")
    assert pe.rate(16, 5) == pe.rate(3, 15) == Rate(3, 16)
    assert pe.rate(8, 2) == Rate(6, 4) and pe.rate(9, 2) == Rate(3, 4)
    assert rate_points("no such PE") == {}


def test_unpu_saves_what_was_published() -> None:
    # energy of a busy PE per MAC, clock included, against a fixed-point MAC: JSSC 54(1), abstract
    pe = build("pe", "unpu")
    for w_bits, saving in {16: 0.231, 8: 0.272, 4: 0.41, 1: 0.536}.items():
        rate, plain = pe.rate(16, w_bits), plain_pe(w_bits, 16)
        busy = pe.mac_energy_fj(16, w_bits) + pe.physical_cost().clock_fj * rate.interval / rate.products
        assert busy / (plain.switching_fj + plain.physical.clock_fj) == pytest.approx(1 - saving)


def test_outlier_weights_cost_a_cycle_only_where_a_group_has_several() -> None:
    pe = build("pe", "outlier")
    rng = np.random.default_rng(1)
    weights = rng.integers(-20, 20, (40, 30))
    expected = [
        [2 if sum(not -8 <= w <= 7 for w in column) > 1 else 1 for column in weights[first : first + 16].T]
        for first in (0, 16, 32)
    ]
    assert pe.weight_cycles(8, weights).tolist() == expected
    assert pe.weight_cycles(16, np.array([[8], [-9]])).tolist() == [[4]]
    assert pe.weight_cycles(8, np.array([[7], [-8]])).tolist() == [[1]]
    # share of groups with two or more of 3 % outliers: 0.082 (1 - (1-r)^16 - 16 r (1-r)^15)
    sparse = np.where(rng.random((1600, 500)) < 0.03, 99, 1)
    assert (pe.weight_cycles(8, sparse) == 2).mean() == pytest.approx(0.082, abs=0.005)


def test_outlier_activations_take_cycles_of_the_outlier_unit() -> None:
    pe = build("pe", "outlier")
    unsigned, signed = pe.outlier_codes(Format(5).decode(np.arange(32))), pe.outlier_codes(np.arange(-16, 16))
    assert unsigned.tolist() == [value > 15 for value in range(32)]
    assert signed.tolist() == [not -8 <= value <= 7 for value in range(-16, 16)]
    assert not pe.outlier_codes(np.arange(-8, 8)).any() and not pe.outlier_codes(np.arange(16)).any()
    assert pe.outlier_cycles(np.array([0, 1, 64, 65]), pes=1024).tolist() == [0, 1, 1, 2]
    assert pe.outlier_cycles(np.array([5]), pes=4).tolist() == [5]  # an array has at least one such MAC


def test_measured_energies() -> None:
    # mean of both digits layers less the clock, gate-level rows
    assert build("pe", "fixed").mac_energy_fj(8, 8) == pytest.approx((1538.0 + 1715.47) / 2 - 346.75)
    assert build("pe", "fixed", max_bits=16).mac_energy_fj(16, 3) == pytest.approx((4267.86 + 5588.18) / 2 - 624.15)
    assert build("pe", "fixed", max_bits=16).physical_cost().area_um2 == 2277.23
    assert build("pe", "fused").mac_energy_fj(2, 2) == pytest.approx((208.14 + 234.23) / 2 - 52.01)
    assert build("pe", "drq").mac_energy_fj(8, 8) == pytest.approx((4811.26 + 5858.1) / 2 - 2219.2)
    assert build("pe", "drq").mac_energy_fj(8, 4) == pytest.approx(
        build("pe", "drq").mac_energy_fj(4, 4) + build("pe", "drq").mac_energy_fj(8, 8) / 4
    )
    halfway = (build("pe", "fused").mac_energy_fj(8, 8) + 4 * build("pe", "fused").mac_energy_fj(4, 4)) / 2
    assert 2 * build("pe", "fused").mac_energy_fj(8, 4) == pytest.approx(halfway)
    xnor = build("pe", "xnor")
    assert xnor.mac_energy_fj(1, 1) == pytest.approx((60.99 + 56.38) / 2 - 23.84)
    assert xnor.physical_cost().clock_fj / 16 == pytest.approx(23.84, rel=1e-4)


def test_numbers_up_to_eight_bits_are_unchanged() -> None:
    # as hwsim 0.1.0 had them before PEs of 16 bits, bit for bit
    assert build("pe", "fixed").physical_cost().area_um2 == 737.88
    serial = build("pe", "bit_serial")
    assert (serial.weight_register_bits, serial.physical_cost().area_um2, serial.physical_cost().clock_fj) == (
        8,
        316.6,
        286.06874999999997,
    )
    assert (build("pe", "fused").weight_register_bits, build("pe", "drq").weight_register_bits) == (32, 12)
    wide = build("pe", "bit_serial", max_bits=16).physical_cost()
    assert math.isclose(wide.area_um2 - serial.physical_cost().area_um2, 16 * 10.65)  # 16 more bits of partial sum


def test_baseline_widths_of_the_plain_pe() -> None:
    assert build("pe", "fixed", max_bits=4).baseline_widths(2, 3) == (4, 4, 16)
    assert build("pe", "fixed", max_bits=16).baseline_widths(8, 8) == (16, 16, 40)


@pytest.mark.parametrize(
    ("name", "parameters", "allowed"),
    [
        ("fixed", {"max_bits": 17}, "2 to 16"),
        ("bit_serial", {"dynamic_group": -1}, "0 to 4096"),
        ("lookup", {"max_bits": 12}, "8 or 16"),
        ("lookup", {"code_bits": 9}, "1 to 8"),
        ("outlier", {"lanes": 0}, "1 to 4096"),
    ],
)
def test_bad_parameters(name: str, parameters: dict[str, int], allowed: str) -> None:
    with pytest.raises(BadInput, match=f"pe.{next(iter(parameters))}: got .*; allowed: {allowed}"):
        build("pe", name, **parameters)


def test_outlier_tiles_are_ranked_at_the_usual_rate() -> None:
    """Runs take about one cycle per product, since more than one outlier weight in a group is rare."""
    assert build("pe", "outlier").usual_rate(8, 8).interval == 1 < build("pe", "outlier").rate(8, 8).interval
    usual = build("accelerator", "olaccel")
    plain = build("accelerator", "olaccel", pe={"name": "fixed", "max_bits": 16})
    product = Product(pixels=784, reduction=1152, filters=256)
    assert derive_mapping(usual, product).tiling == derive_mapping(plain, product).tiling
