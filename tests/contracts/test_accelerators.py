"""Contract of every accelerator of the registry, and the errors of bad descriptions."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import BadInput, HwsimError
from hwsim.interop.topology.builtin import load_workload
from hwsim.machine import Accelerator, load_accelerator, simulate
from hwsim.machine.cost.estimate import estimate
from hwsim.machine.description.toml_file import read_record, sources
from hwsim.machine.layer_report import layer_reports
from hwsim.registry import build, family, find, merge, validate
from tests.support.machines import REGISTER_FILE
from tests.support.small_network import small_network

NAMES = sorted(family("accelerator"))
FOLDER = files("accel_models") / "accelerators"


def test_every_accelerator_is_reached() -> None:
    like = {"tpu_like", "tpu_like_os", "bitfusion_like", "stripes_like", "drq_like"}
    chips = {
        "eyeriss",
        "eyeriss_nn_dataflow",
        "tpu_v1",
        "gemmini",
        "bitfusion",
        "stripes",
        "loom",
        "unpu",
        "olaccel",
        "drq",
        "edge64",
        "tiny",
    }
    assert like | chips == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_a_network_and_can_be_priced(name: str) -> None:
    run = simulate(small_network(), build("accelerator", name), np.zeros((2, 1, 8, 8), np.float32))
    cost = estimate(run, build("technology", "nangate45"))
    assert run.latency_cycles.min() > 0 and cost.total_energy_pj.min() > 0 and cost.total_area_um2 > 0


@pytest.mark.parametrize("name", NAMES)
def test_description_and_notes(name: str) -> None:
    accelerator = build("accelerator", name)
    for fact in (accelerator.pe.name, accelerator.dataflow.name, f"timing {accelerator.timing}"):
        assert fact in accelerator.describe()
    assert accelerator.notes() == []  # no number in the file is without effect


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_resnet18(name: str) -> None:
    layers = [(layer.name, layer.product) for layer in load_workload("resnet18").layers]
    reports = layer_reports(build("accelerator", name), layers)
    assert len(reports) == 21 and all(report.total_cycles > 0 for report in reports)


@pytest.mark.parametrize("name", NAMES)
def test_a_dump_reads_back(name: str) -> None:
    accelerator = build("accelerator", name)
    dump = accelerator.model_dump(mode="json")
    assert dump["pe"]["name"]
    assert validate(Accelerator, merge(find("accelerator", name).defaults, dump), "accelerator") == accelerator


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source(name: str) -> None:
    assert "array.rows" in sources(name) and all(text.strip() for text in sources(name).values())


@pytest.mark.parametrize("name", ["bitfusion", "bitfusion_like"])
def test_bitfusion_sizes(name: str) -> None:
    # hsharma35/bitfusion @04ec1c8: 16x32 units, 500 MHz, W/A/O 64/32/16 KB, 192-bit port
    a = build("accelerator", name)
    assert (a.array.rows, a.array.cols, a.clock, a.dram.bandwidth_bytes_per_cycle * 8) == (16, 32, "500 MHz", 192)
    assert [a.scratchpads[pad].kib for pad in ("weight", "ifmap", "ofmap")] == [64, 32, 16]


def test_eyeriss_sizes() -> None:
    # JSSC 52(1), 2017: 168 PEs, 200 MHz, 16 bits, 12 / 224 / 24 words in each, 1 / 4 / 4 words per cycle, 108 KB
    a = build("accelerator", "eyeriss")
    assert (a.pes, a.clock, a.pe.max_operand_bits, a.psum_bits, a.dataflow.name) == (168, "200 MHz", 16, 16, "rs")
    assert list(a.register_file.model_dump().values()) == [12, 224, 24, 1, 4, 4]
    assert sum(a.scratchpads[pad].kib for pad in ("weight", "ifmap", "ofmap")) == 108


def test_tpu_sizes() -> None:
    # ISCA 2017: 256x256, 700 MHz, 28 MiB on chip besides the weight FIFO, 34 GB/s
    a = build("accelerator", "tpu_v1")
    assert (a.array.rows, a.array.cols, a.array.weight_buffers) == (256, 256, 2)
    assert a.scratchpads.ifmap.kib + a.scratchpads.ofmap.kib == 28 * 1024
    assert 33e9 < a.dram.bandwidth_bytes_per_cycle * a.clock_hz <= 34e9


def test_parameters_without_effect_are_named() -> None:
    ideal = build("accelerator", "tiny", timing="scalesim")
    assert ideal.notes() == ["timing scalesim: scratchpads, DRAM and weight_buffers do not affect the cycles"]
    assert "stalls are not modeled" in ideal.describe()
    outputs_stay = build("accelerator", "tiny", dataflow="os", array={"weight_buffers": 2})
    assert outputs_stay.notes() == ["dataflow os: weight_buffers does not affect the cycles"]
    elastic = build("accelerator", "tiny", array={"row_fifo_depth": 2})
    assert elastic.notes() == ["PE fixed: row_fifo_depth does not affect the cycles, which do not depend on the data"]
    assert build("accelerator", "tiny", array={"weight_buffers": 2}).notes() == []
    assert build("accelerator", "drq_like", array={"row_fifo_depth": 2}).notes() == []


EYERISS = """\
array          12 x 14 PEs, weight_buffers 1
PE             fixed (max_bits 16, skip_zeros False)
dataflow       rs, timing rtl, optimize balanced
clock          200 MHz
ifmap          36 KiB, 9 banks of 8-byte words
weight         36 KiB, 9 banks of 8-byte words
ofmap          36 KiB, 9 banks of 8-byte words
partial sum    16 bits
DRAM           lpddr4, 2 bytes per cycle, latency 20 cycles
vector unit    14 lanes
register file  12 ifmap words, 224 weight words, 24 psum words per PE"""


def test_print_is_one_screen() -> None:
    assert str(build("accelerator", "eyeriss")) == EYERISS
    assert "row_fifo_depth 3" in str(build("accelerator", "drq", array={"row_fifo_depth": 3}))
    for name in NAMES:
        lines = str(build("accelerator", name)).splitlines()
        assert len(lines) <= 24 and max(map(len, lines)) <= 100


CLOCK = 'a positive number with a unit (Hz, kHz, MHz, GHz), such as "700 MHz"'

BAD: list[tuple[dict[str, Any], str]] = [
    ({"clock": "700"}, f"accelerator.clock: got 700; allowed: {CLOCK}"),
    ({"clock": 700}, f"accelerator.clock: got 700; allowed: {CLOCK}"),
    ({"clock": "700 Mhz"}, f"accelerator.clock: got 700 Mhz; allowed: {CLOCK}"),
    ({"clock": "0 MHz"}, f"accelerator.clock: got 0 MHz; allowed: {CLOCK}"),
    ({"array": {"rows": 0}}, "accelerator.array.rows: got 0; allowed: 1 to 4096"),
    (
        {"array": {"row": 4}},
        "accelerator.array.row: unknown setting; allowed: cols, row_fifo_depth, rows, weight_buffers. "
        "Did you mean 'rows'?",
    ),
    ({"array": {"weight_buffers": 3}}, "accelerator.array.weight_buffers: got 3; allowed: 1 or 2"),
    (
        {"dataflow": "is", "array": {"row_fifo_depth": 2}},
        "accelerator.array.row_fifo_depth: got 2; allowed: none, unless dataflow os or ws",
    ),
    (
        {"dram": {"bandwidth_bytes_per_cycle": 0}},
        "accelerator.dram.bandwidth_bytes_per_cycle: got 0; allowed: 1 to 1048576",
    ),
    ({"dram": {"latency_cycles": -1}}, "accelerator.dram.latency_cycles: got -1; allowed: 0 to 1048576"),
    ({"dram": {"kind": "lpdr4"}}, "accelerator.dram.kind: got lpdr4; allowed: ddr3, ddr4, gddr5"),
    ({"dataflow": "xs"}, "accelerator.dataflow: got xs; allowed: is, os, rs, ws. Did you mean 'ws'?"),
    ({"optimize": "speed"}, "accelerator.optimize: got speed; allowed: 'balanced', 'latency' or 'dram_traffic'"),
    ({"psum_bits": 20}, "accelerator.psum_bits: got 20; allowed: 16, 24, 32 or 48"),
    ({"timing": "stonne"}, "accelerator.timing: got stonne; allowed: rtl, scalesim with dataflow ws"),
    (
        {"timing": "stonne", "dataflow": "is"},
        "accelerator.timing: got stonne; allowed: rtl, scalesim with dataflow is",
    ),
    (
        {"timing": "scalesim", "dataflow": "rs", "register_file": REGISTER_FILE},
        "accelerator.timing: got scalesim; allowed: rtl with dataflow rs",
    ),
    (
        {"dataflow": "rs"},
        "accelerator.register_file is missing; allowed: memories inside the PEs, with dataflow rs and only there",
    ),
    (
        {"register_file": REGISTER_FILE},
        "accelerator.register_file: got a table, but dataflow ws; allowed: memories inside the PEs, with dataflow rs",
    ),
    (
        {"register_file": {"ifmap_words": 1}},
        "accelerator.register_file.weight_words, accelerator.register_file.psum_words, ",
    ),
    (
        {"scratchpads": {"weight": {"kib": 1}}},
        "accelerator.scratchpads.weight.kib: got 1; allowed: 2 or more; half holds the weights of one fold",
    ),
    (
        {"array": {"rows": 1024, "cols": 4}, "dataflow": "is", "scratchpads": {"ifmap": {"kib": 7}}},
        "accelerator.scratchpads.ifmap.kib: got 7; allowed: 8 or more; half holds the inputs of one fold",
    ),
    (
        {"array": {"rows": 4, "cols": 1024}, "scratchpads": {"ofmap": {"kib": 7}}},
        "accelerator.scratchpads.ofmap.kib: got 7; allowed: 8 or more; half holds one partial sum for every column",
    ),
    (
        {"scratchpads": {"ifmap": {"word_bytes": 16}}},
        "accelerator.scratchpads.ifmap.word_bytes: got 16; allowed: 8, 32 or 64",
    ),
    ({"scratchpads": {"ifmap": {"banks": 0}}}, "accelerator.scratchpads.ifmap.banks: got 0; allowed: 1 to 4096"),
    (
        {"scratchpads": {"ifmap_kib": 64}},
        "accelerator.scratchpads.ifmap_kib: unknown setting; allowed: ifmap, ofmap, weight. Did you mean 'ifmap'?",
    ),
    (
        {"pe": {"name": "fusd"}},
        "accelerator.pe.name: got fusd; allowed: bit_serial, drq, fixed, fused, lookup, outlier",
    ),
    ({"pe": {"max_bits": 99}}, "accelerator.pe.max_bits: got 99; allowed: 2 to 16"),
    ({"pe": 3}, "accelerator.pe: got 3; allowed: a name, or a table"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_input_names_the_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        build("accelerator", "tpu_like", **change)
    assert str(caught.value).startswith(message)


def write(folder: Path, old: str, new: str) -> Path:
    text = (FOLDER / "tiny.toml").read_text()
    assert old in text
    path = folder / "mine.toml"
    path.write_text(text.replace(old, new))
    return path


def test_a_file_loads(tmp_path: Path) -> None:
    assert load_accelerator(write(tmp_path, "rows = 4", "rows = 8")).array.rows == 8


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"array.rows" = "assumed: small enough for a drawing"', "", 'mine.toml: sources."array.rows" is missing'),
        ('"array.rows" =', '"array.rws" = "x"\n"array.rows" =', "mine.toml: sources: got array.rws"),
        ("rows = 4", "rows = ", "mine.toml: not valid TOML"),
        ("citation =", "citatio =", "mine.toml: citatio: unknown setting; allowed: array, "),
        ("citation =", "citation = 3 #", "mine.toml: citation: got 3; allowed: a text"),
        ("[vector]\nlanes = 4", "", "mine.toml: vector is missing"),
        ("[vector]\nlanes = 4", "[vecto]\nlanes = 4", "mine.toml: vecto: unknown setting"),
        ("rows = 4\ncols = 4", "", "mine.toml: accelerator.array.rows, accelerator.array.cols is missing"),
        (
            'clock = "100 MHz"',
            'clock = "100"',
            "mine.toml: accelerator.clock: got 100; allowed: a positive",
        ),
        ('"clock" = "assumed: a round number, 10 ns per cycle"', "", 'mine.toml: sources."clock" is missing'),
        ("latency_cycles = 4", "latency_cycles = -4", "mine.toml: accelerator.dram.latency_cycles: got -4"),
    ],
)
def test_a_bad_file_names_the_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(HwsimError) as caught:
        load_accelerator(write(tmp_path, old, new))
    assert str(caught.value).startswith(message)


def test_help_and_citation_may_be_omitted_and_the_path_may_be_a_text(tmp_path: Path) -> None:
    text = "dataflow" + (FOLDER / "tiny.toml").read_text().partition("\ndataflow")[2]
    (tmp_path / "mine.toml").write_text(text)
    assert load_accelerator(str(tmp_path / "mine.toml")) == build("accelerator", "tiny")
    assert read_record(tmp_path / "mine.toml").citation == "mine.toml, without a citation"


def test_all_missing_keys_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('clock = "1 MHz"')
    with pytest.raises(BadInput, match=r"mine\.toml: dataflow, array, pe, scratchpads, dram, vector is missing"):
        load_accelerator(tmp_path / "mine.toml")


def test_sources_are_a_table(tmp_path: Path) -> None:
    text = (FOLDER / "tiny.toml").read_text().partition("[sources]")[0]
    (tmp_path / "mine.toml").write_text(f'sources = "x"\n{text}')
    with pytest.raises(BadInput, match=r"mine\.toml: sources: got x; allowed: a table"):
        load_accelerator(tmp_path / "mine.toml")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(HwsimError, match=r"none\.toml: cannot be read"):
        load_accelerator(tmp_path / "none.toml")
