"""The tables: exact at their nodes, fits inside their stated errors."""

from __future__ import annotations

import pytest

from hwsim.errors import BadInput
from hwsim.machine.tables import fitted_cell, measured_cell, operator, plain_cell, rows, sram

PLAIN = [row for row in rows("pe_nangate45") if row["design"] == "ws_mac"]


def test_fits_stay_inside_their_stated_maxima() -> None:
    assert len(PLAIN) == 2 * 16
    for row in PLAIN:
        fit = fitted_cell(int(row["wbits"]), int(row["abits"]))
        total = fit.switching_fj + fit.silicon.clock_fj
        if row["dist"] == "digits_in":  # what the fit was made for
            assert round(abs(total / float(row["E_total_fJ_per_MAC"]) - 1), 2) <= 0.13
        assert abs(fit.silicon.area_um2 / float(row["area_um2"]) - 1) < 0.064
        assert fit.silicon.clock_fj == pytest.approx(float(row["E_clk_fJ"]), rel=1e-4)


def test_measured_rows_come_before_the_fit() -> None:
    cell = plain_cell(8, 8)
    assert cell.silicon.area_um2 == 737.88
    assert cell.switching_fj == pytest.approx((1538.0 + 1715.47) / 2 - 346.75)
    assert measured_cell("ws_mac", 5, 5) is None and plain_cell(5, 5) == fitted_cell(5, 5)


def test_horowitz_multiplication() -> None:
    assert operator("mul", 8).energy_fj * 0.29 * (0.9 / 1.1) ** 2 == pytest.approx(200, rel=0.01)


@pytest.mark.parametrize("word_bytes", [8, 32, 64])
def test_sram_is_exact_at_its_nodes_and_reads_rise(word_bytes: int) -> None:
    series = [row for row in rows("sram_cacti7_45nm") if int(row["word_bytes"]) == word_bytes]
    previous = 0.0
    for row in series:
        size = int(row["size_bytes"])
        for column in ("read_pJ", "write_pJ", "leakage_mW", "area_mm2"):
            assert sram(column, size, word_bytes) == float(row[column])  # type: ignore[arg-type]
        between = sram("read_pJ", size * 3 // 4, word_bytes) if previous else float(row["read_pJ"])
        assert previous < between <= float(row["read_pJ"])
        previous = float(row["read_pJ"])


@pytest.mark.parametrize("size", [512, 4 << 20])
def test_sram_outside_the_table_is_refused(size: int) -> None:
    with pytest.raises(BadInput, match=r"^pad: got .* KiB; allowed: 1 to 2048 KiB"):
        sram("read_pJ", size, 8, "pad")
