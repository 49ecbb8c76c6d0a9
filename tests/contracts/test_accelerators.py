"""What every accelerator of the registry must do, and what a bad description is told."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_network import small_network

from hwsim.errors import BadInput, HwsimError
from hwsim.machine import Accelerator, estimate, load_accelerator, simulate
from hwsim.machine.accelerator import sources
from hwsim.registry import build, family, find, merge, validate

NAMES = sorted(family("accelerator"))
FOLDER = files("accel_models") / "accelerators"


def test_every_accelerator_is_reached() -> None:
    assert {"tiny", "tpu_like", "tpu_like_os", "bitfusion_like", "stripes_like", "drq_like"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_a_network_and_can_be_priced(name: str) -> None:
    run = simulate(small_network(), build("accelerator", name), np.zeros((2, 1, 8, 8), np.float32))
    cost = estimate(run, build("technology", "nangate45"))
    assert run.latency_cycles.min() > 0 and cost.total_energy_pj.min() > 0 and cost.total_area_um2 > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_dump_reads_back(name: str) -> None:
    accelerator = build("accelerator", name)
    dump = accelerator.model_dump(mode="json")
    assert dump["pe"]["name"]
    assert validate(Accelerator, merge(find("accelerator", name).defaults, dump), "accelerator") == accelerator


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source(name: str) -> None:
    assert "array.rows" in sources(name) and all(text.strip() for text in sources(name).values())


def test_bitfusion_sizes() -> None:
    # hsharma35/bitfusion @04ec1c8: 16x32 units, 500 MHz, W/A/O 64/32/16 KB, 192-bit port
    a = build("accelerator", "bitfusion_like")
    assert (a.array.rows, a.array.cols, a.clock_mhz, a.dram.bandwidth_bytes_per_cycle * 8) == (16, 32, 500, 192)
    assert (a.scratchpads.weight_kib, a.scratchpads.ifmap_kib, a.scratchpads.ofmap_kib) == (64, 32, 16)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"clock_mhz": 0}, "accelerator.clock_mhz: got 0; allowed: greater than 0"),
    ({"array": {"rows": 0}}, "accelerator.array.rows: got 0; allowed: 1 to 4096"),
    ({"array": {"row": 4}}, "accelerator.array.row: got row; allowed: cols, rows. Did you mean 'rows'?"),
    (
        {"dram": {"bandwidth_bytes_per_cycle": 0}},
        "accelerator.dram.bandwidth_bytes_per_cycle: got 0; allowed: greater than or equal to 1",
    ),
    ({"dram": {"kind": "lpdr4"}}, "accelerator.dram.kind: got lpdr4; allowed: ddr3, ddr4, gddr5"),
    ({"dataflow": "is"}, "accelerator.dataflow: got is; allowed: 'ws' or 'os'"),
    (
        {"scratchpads": {"weight_kib": 1}},
        "accelerator.scratchpads.weight_kib: got 1; allowed: 2 or more; half holds the weights of one fold",
    ),
    (
        {"pe": {"name": "fusd"}},
        "accelerator.pe.name: got fusd; allowed: bit_serial, drq, fixed, fused. Did you mean 'fused'?",
    ),
    ({"pe": {"max_bits": 99}}, "accelerator.pe.max_bits: got 99; allowed: 2 to 8"),
    ({"pe": 3}, "accelerator.pe: got 3; allowed: a name, or a table"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_input_is_told_the_place(change: dict[str, Any], message: str) -> None:
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
        ('"array.rows" = "assumed: small enough for a drawing"', "", 'mine.toml: sources."array.rows": got nothing'),
        ('"array.rows" =', '"array.rws" = "x"\n"array.rows" =', "mine.toml: sources: got array.rws"),
        ("rows = 4", "rows = ", "mine.toml: not valid TOML"),
        ("citation =", "citatio =", "mine.toml: citation: got nothing"),
        ("[vector]\nlanes = 4", "", "mine.toml: sources: got vector.lanes"),
    ],
)
def test_a_bad_file_is_told_the_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(HwsimError) as caught:
        load_accelerator(write(tmp_path, old, new))
    assert str(caught.value).startswith(message)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(HwsimError, match=r"none\.toml: cannot be read"):
        load_accelerator(tmp_path / "none.toml")
