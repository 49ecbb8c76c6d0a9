"""The commands that time a workload, on the real accelerators."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hwsim import cli


def call(capfd: Any, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return ended.value.code, out, err  # type: ignore[return-value]


CYCLES = (
    "layer,macs,compute_cycles,vector_cycles,fill_drain_cycles,weight_load_cycles,stall_cycles,total_cycles,"
    "utilization,dram_bytes"
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cycles", "resnet81"], "Did you mean 'resnet18'?"),
        (["cycles", "none.csv"], "none.csv: got No such file"),
        (["cycles", "resnet20", "--array", "32"], "--array: got 32; allowed: ROWSxCOLS"),
        (["cycles", "resnet20", "--accelerator", "tpu"], "Did you mean 'tpu_v1'?"),
        (["cycles", "resnet20", "--dataflow", "is", "--timing", "stonne"], "allowed: rtl, scalesim with dataflow is"),
        (["cycles", "resnet20", "--iso-area", "1.5"], "a positive number with a unit (um2, mm2)"),
        (["cycles", "resnet20", "--figure", "none/x.svg"], "none/x.svg: No such file or directory"),
        (["timeline", "resnet20", "-o", "none/t.json"], "none/t.json: No such file or directory"),
    ],
)
def test_bad_input_of_cycles_and_timeline_is_named(capfd, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capfd, *arguments)
    assert code == 2
    assert words in err.splitlines()[-1]


def test_timeline_writes_a_trace(capfd, tmp_path):
    code, _, err = call(capfd, "timeline", "lenet5", "--accelerator", "tiny", "-o", tmp_path / "trace.json")
    assert code == 0 and "ui.perfetto.dev" in err
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
