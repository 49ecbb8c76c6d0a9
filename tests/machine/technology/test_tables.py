"""Technology tables: exact at their nodes, fits within their stated errors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwsim.errors import BadInput, HwsimError
from hwsim.machine.technology.provenance import built_in_table, read_table
from hwsim.machine.technology.scaling import NODES, area_factor, energy_factor
from hwsim.machine.technology.sram import TABLE_NODES, CellType, SramColumn, in_table, series, sram
from hwsim.machine.technology.tables import (
    dram_pj_per_bit,
    dram_source,
    fitted_pe,
    measured_pe,
    operator,
    plain_pe,
)

PLAIN = [row for row in built_in_table("pe_nangate45") if row["design"] == "ws_mac"]


def test_fits_are_within_their_stated_maxima() -> None:
    assert len(PLAIN) == 2 * 25
    for row in PLAIN:
        fit = fitted_pe(int(row["wbits"]), int(row["abits"]))
        total = fit.switching_fj + fit.physical.clock_fj
        if row["dist"] == "digits_in":  # the rows that the fit was made for
            assert round(abs(total / float(row["E_total_fJ_per_MAC"]) - 1), 2) <= 0.13
        assert abs(fit.physical.area_um2 / float(row["area_um2"]) - 1) < 0.064
        assert fit.physical.clock_fj == pytest.approx(float(row["E_clk_fJ"]), rel=1e-4)


def test_measured_rows_come_before_the_fit() -> None:
    pe = plain_pe(8, 8)
    assert pe.physical.area_um2 == 737.88
    assert pe.switching_fj == pytest.approx((1538.0 + 1715.47) / 2 - 346.75)
    assert measured_pe("ws_mac", 5, 5) is None and plain_pe(5, 5) == fitted_pe(5, 5)


def test_horowitz_multiplication() -> None:
    assert operator("mul", 8).energy_fj * 0.29 * (0.9 / 1.1) ** 2 == pytest.approx(200, rel=0.01)


MEMORIES = [
    (node, cell, word_bytes) for node in TABLE_NODES for cell in get_args(CellType) for word_bytes in (8, 32, 64)
]
COLUMNS: tuple[SramColumn, ...] = get_args(SramColumn)


def memory(column: SramColumn, size: float, node: int, cell: CellType, word_bytes: int, **options: bool) -> float:
    return sram(column, size, word_bytes, node_nm=node, cell=cell, **options)


def test_sram_table_is_complete() -> None:
    assert len(built_in_table("sram_cacti7")) == 315
    assert all(len(series("read_pJ", word, node, cell)) == (11 if word == 64 else 12) for node, cell, word in MEMORIES)


@pytest.mark.parametrize(("node", "cell", "word_bytes"), MEMORIES)
def test_sram_is_exact_at_its_nodes(node: int, cell: CellType, word_bytes: int) -> None:
    for column in COLUMNS:
        for size, value in series(column, word_bytes, node, cell).items():
            assert memory(column, size, node, cell, word_bytes) == value
            assert memory(column, float(size), node, cell, word_bytes, extrapolate=True) == value


@given(st.sampled_from(MEMORIES), st.floats(1024, 1 << 21), st.floats(1.0001, 2))
def test_sram_read_energy_rises_with_size(kind: tuple[int, CellType, int], size: float, growth: float) -> None:
    larger = size * growth
    assume(in_table(size, kind[2]) and in_table(larger, kind[2]))
    assert memory("read_pJ", size, *kind) < memory("read_pJ", larger, *kind)


@given(st.sampled_from(MEMORIES), st.floats(1024, 1 << 21), st.floats(1, 4))
def test_sram_write_energy_never_falls_with_size(kind: tuple[int, CellType, int], size: float, growth: float) -> None:
    assume(in_table(size, kind[2]) and in_table(size * growth, kind[2]))
    assert memory("write_pJ", size, *kind) <= memory("write_pJ", size * growth, *kind) * (1 + 1e-12)


def test_write_energies_are_the_isotonic_regression_of_cacti() -> None:
    # 45 nm LSTP, 32-byte words: CACTI's 608 and 402 pJ at 512 KiB and 1 MiB fall, and are pooled with 2 MiB
    writes = series("write_pJ", 32)
    own = [float(row["write_pJ"]) for row in built_in_table("sram_cacti7") if row["word_bytes"] == "32"]
    assert writes[512 << 10] == writes[1 << 20] == pytest.approx(469.74, abs=0.01)
    assert writes[256 << 10] == pytest.approx(318, abs=1) and writes[256 << 10] in own
    changed = [
        value / float(row["write_pJ"])
        for row in built_in_table("sram_cacti7")
        if (value := series("write_pJ", int(row["word_bytes"]), int(row["tech_nm"]), row["cell_type"])[
            int(row["size_bytes"])
        ]) != float(row["write_pJ"])
    ]  # fmt: skip
    assert len(changed) == 38
    assert max(max(ratio, 1 / ratio) for ratio in changed) == pytest.approx(1.77, abs=0.005)


@given(st.sampled_from(MEMORIES), st.floats(2048, 1 << 20), st.sampled_from(COLUMNS))
def test_sram_lies_between_the_neighboring_sizes(
    kind: tuple[int, CellType, int], size: float, column: SramColumn
) -> None:
    low = 1 << int(math.log2(size))
    ends = sorted((memory(column, low, *kind), memory(column, 2 * low, *kind)))
    assert ends[0] * (1 - 1e-12) <= memory(column, size, *kind) <= ends[1] * (1 + 1e-12)
    halfway = memory(column, low * math.sqrt(2), *kind)
    assert halfway == pytest.approx(math.sqrt(ends[0] * ends[1]))  # linear in logarithms


@pytest.mark.parametrize(("size", "word_bytes", "smallest"), [(512, 8, 1), (4 << 20, 8, 1), (1024, 64, 2)])
def test_sram_outside_the_table_is_refused_without_extrapolate(size: int, word_bytes: int, smallest: int) -> None:
    with pytest.raises(BadInput, match=rf"^pad: got .* KiB; allowed: {smallest} to 2048 KiB\. technology\.extrapolate"):
        sram("read_pJ", size, word_bytes, "pad")
    assert sram("read_pJ", size, word_bytes, "pad", extrapolate=True) > 0


@pytest.mark.parametrize(("node", "cell", "word_bytes"), MEMORIES)
@pytest.mark.parametrize("column", COLUMNS)
def test_sram_rises_beyond_the_table(node: int, cell: CellType, word_bytes: int, column: SramColumn) -> None:
    table = series(column, word_bytes, node, cell)
    smaller, larger = (
        memory(column, size, node, cell, word_bytes, extrapolate=True) for size in (min(table) / 2, 2 * max(table))
    )
    assert smaller < table[min(table)] and table[max(table)] < larger


def test_sram_is_continuous_at_the_end_of_the_table() -> None:
    end = sram("read_pJ", 2 << 20, 8)
    assert sram("read_pJ", (2 << 20) + 1, 8, extrapolate=True) == pytest.approx(end, rel=1e-6)


def test_sram_at_other_nodes_and_cells() -> None:
    # rows of CACTI 7, rounded: 8-byte reads in pJ, leakage in mW
    assert sram("read_pJ", 32 << 10, 8) == pytest.approx(7.23, abs=0.01)
    assert sram("read_pJ", 32 << 10, 8, node_nm=22) == pytest.approx(1.91, abs=0.01)
    assert sram("read_pJ", 32 << 10, 8, cell="hp", node_nm=32) == pytest.approx(3.28, abs=0.01)
    assert sram("leakage_mW", 8 << 10, 8, cell="hp") == pytest.approx(8.8, abs=0.05)


def test_dram_kinds() -> None:
    # the table, pJ per bit
    kinds = {"lpddr4": 8, "hbm2": 3.9, "gddr5": 14, "ddr3": 70, "lpddr": 40, "hmc": 4.2, "ddr4": 20}
    assert dram_pj_per_bit() == kinds
    assert [kind for kind in kinds if dram_source(kind).startswith("assumed")] == ["ddr4"]


def test_scaling_factors() -> None:
    # the fits of Stillmaker and Baas: 45 to 32 nm 0.64 at equal 0.9 V, 45 to 7 nm 0.10 at 0.9 V
    assert energy_factor(32, 0.9) == pytest.approx(0.641, abs=5e-4)
    assert energy_factor(7, 0.9) == pytest.approx(0.1024, abs=5e-5)
    assert energy_factor(65, 0.9) == pytest.approx(1.2535, abs=5e-5)
    assert all(energy_factor(45, volts) == 1 for volts in (0.6, 0.9, 1.1)) and area_factor(45) == 1
    shrinking = sorted(NODES, reverse=True)
    for factors in ([energy_factor(n, 0.9) for n in shrinking], [area_factor(n) for n in shrinking]):
        assert factors == sorted(factors, reverse=True) and min(factors) > 0
    share = math.log(32 / 22) / math.log(32 / 20)  # 22 nm is not in the table: linear in logarithms
    assert area_factor(22) == pytest.approx(0.46 ** (1 - share) * 0.21**share)
    assert energy_factor(22, 0.9) == pytest.approx(0.641 ** (1 - share) * 0.2378**share, rel=1e-3)


@pytest.mark.parametrize(
    "name", ["activity_nangate45", "dram", "operators_nangate45", "scaling_stillmaker2017", "sram_cacti7", "throughput"]
)
def test_every_row_has_a_source(name: str) -> None:
    assert all(row["source"].strip() for row in built_in_table(name))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind,pJ_per_bit\nddr9,3\n", "mine.csv, line 1: got kind,pJ_per_bit; allowed: a column 'source'. Say where"),
        ("", "mine.csv, line 1: got no columns; allowed: a column 'source'. Say where"),
        ("kind,source\nddr9,here\nddr8,\n", "mine.csv, line 3: source is missing; allowed: a text. Say where"),
        ("kind,source\n\nddr8,   \n", "mine.csv, line 3: source is missing; allowed: a text. Say where"),
        ("kind,source\nddr9,here,there\n", "mine.csv, line 2: got 3 cells; allowed: 2, as in the header"),
        ("kind,source\nddr9\n", "mine.csv, line 2: got 1 cells; allowed: 2, as in the header"),
    ],
)
def test_a_table_without_provenance_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_table(file)
    assert str(caught.value).startswith(message)


def test_a_table_with_provenance_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text('kind,pJ_per_bit,source\nddr9,3,"measured, once"\n')
    assert read_table(file) == ({"kind": "ddr9", "pJ_per_bit": "3", "source": "measured, once"},)
    with pytest.raises(BadInput, match=r"mine\.csv, line 1: .* allowed: a column 'item'"):
        read_table(file, ("item",))
    with pytest.raises(HwsimError, match=r"none\.csv: cannot be read"):
        read_table(tmp_path / "none.csv")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(HwsimError, match=r"mine\.csv: not a text file"):
        read_table(file)
