"""Commands that time a workload, on the registered accelerators."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hwsim import cli
from hwsim.machine import CAUSES


def call(capfd: Any, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return ended.value.code, out, err  # type: ignore[return-value]


CYCLES = (
    "layer,macs,compute_cycles,vector_cycles,fill_drain_cycles,weight_load_cycles,stall_cycles,total_cycles,"
    "utilization,dram_bytes,scratchpad_read_bytes,scratchpad_write_bytes,time_us,gmac_per_s,energy_uj"
)


def test_cycles_prints_a_row_per_layer_whose_parts_add_up(capfd, tmp_path):
    (tmp_path / "net.csv").write_text("Layer, M, N, K\na, 37, 4, 4\nb, 5, 9, 70\n")
    for timing in ("rtl", "scalesim"):
        code, out, _ = call(
            capfd, "cycles", tmp_path / "net.csv", "--array", "4x8", "--timing", timing, "--format", "csv"
        )
        head, *rows = out.splitlines()
        assert (code, head, len(rows)) == (0, CYCLES, 2)
        for row in rows:
            *parts, total = [int(number) for number in row.split(",")[2:8]]
            assert sum(parts) == total
    assert rows[0].split(",")[2:8] == ["37", "0", "10", "4", "0", "51"]  # 2R + C + M - 2


def test_breakdown_prints_a_column_per_cause(capfd, tmp_path):
    (tmp_path / "net.csv").write_text("Layer, M, N, K\na, 37, 4, 4\n")
    code, out, _ = call(capfd, "cycles", tmp_path / "net.csv", "--breakdown", "--format", "csv")
    head, row = (line.split(",") for line in out.splitlines())
    assert (code, head) == (0, ["layer", *CAUSES, "total_cycles"])
    assert sum(map(int, row[1:-1])) == int(row[-1])


def test_output_size_changes_the_layers_of_a_topology(capfd, tmp_path):
    (tmp_path / "net.csv").write_text(
        "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
        "conv, 8, 8, 3, 3, 1, 4, 2,\n"
    )
    macs = {}
    for size in ("ceil", "floor", "padded"):
        code, out, _ = call(capfd, "cycles", tmp_path / "net.csv", "--output-size", size, "--format", "csv")
        macs[size] = int(out.splitlines()[1].split(",")[1])
        assert code == 0
    assert macs["floor"] == 3 * 3 * 9 * 4
    assert macs["floor"] < macs["ceil"] <= macs["padded"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cycles", "resnet81"], "Did you mean 'resnet18'?"),
        (["cycles", "none.csv"], "none.csv: cannot be read: No such file"),
        (["cycles", "resnet20", "--array", "32"], "--array: got 32; allowed: ROWSxCOLS"),
        (["cycles", "resnet20", "--accelerator", "tpu"], "Did you mean 'tpu_v1'?"),
        (["cycles", "resnet20", "--dataflow", "is", "--timing", "stonne"], "allowed: rtl, scalesim with dataflow is"),
        (["cycles", "resnet20", "--mapping", "balance"], "Did you mean 'balanced'?"),
        (
            ["timeline", "lenet5", "-o", "t.json", "--mapping", "x"],
            "--mapping: got x; allowed: balanced, dram_traffic, latency",
        ),
        (["cycles", "resnet20", "--technology", "nangate"], "Did you mean 'nangate45'?"),
        (["cycles", "resnet20", "--w-bits", "17"], "--w-bits"),
        (["cycles", "resnet20", "--iso-area", "1.5"], "a positive number with a unit (um2, mm2)"),
        (["cycles", "resnet20", "--figure", "none/x.svg"], "none/x.svg: got a folder that does not exist"),
        (["timeline", "resnet20", "-o", "none/t.json"], "none/t.json: got a folder that does not exist"),
    ],
)
def test_bad_input_of_cycles_and_timeline_is_named(capfd, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capfd, *arguments)
    assert code == 2
    assert words in err.splitlines()[-1]


def rows_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_time_throughput_and_energy_need_no_values(capfd):
    code, out, err = call(capfd, "cycles", "lenet5", "--format", "jsonl")
    assert code == 0
    for row in rows_of(out):
        assert row["time_us"] == pytest.approx(row["total_cycles"] / 700, rel=1e-5)  # 700 MHz
        assert row["gmac_per_s"] == pytest.approx(row["macs"] / row["time_us"] / 1e3, rel=1e-5)
        assert row["energy_uj"] > 0
    code, text, err = call(capfd, "cycles", "lenet5", "--batch", "4")
    assert "samples per second" in text and "mJ per sample (static prices, " in text
    assert "mapping balanced" in err


def test_bits_technology_and_mapping_change_what_they_are_for(capfd, tmp_path):
    def sums(*options: str) -> dict[str, float]:
        code, out, _ = call(capfd, "cycles", "vit_b16", "--format", "jsonl", *options)
        assert code == 0
        rows = rows_of(out)
        return {name: sum(row[name] for row in rows) for name in ("total_cycles", "dram_bytes", "energy_uj")}

    plain, narrow = sums(), sums("--w-bits", "4")
    assert narrow["dram_bytes"] < plain["dram_bytes"] and narrow["energy_uj"] < plain["energy_uj"]
    older = sums("--technology", "scaled65")
    assert older["energy_uj"] != plain["energy_uj"] and older["total_cycles"] == plain["total_cycles"]
    fast, little = sums("--mapping", "latency"), sums("--mapping", "dram_traffic")
    assert fast["total_cycles"] < little["total_cycles"] and fast["dram_bytes"] > little["dram_bytes"]


def test_timeline_writes_a_trace(capfd, tmp_path):
    code, _, err = call(capfd, "timeline", "lenet5", "--accelerator", "tiny", "-o", tmp_path / "trace.json")
    assert code == 0 and "ui.perfetto.dev" in err
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
