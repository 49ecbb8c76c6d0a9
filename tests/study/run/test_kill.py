"""Resumption after SIGKILL, with the real stages and the real command."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]

STUDY = """
[study]
name = "killed"
[base]
dataset = "breast_cancer"
model = { name = "mlp", hidden = [32], epochs = 120, batch = 16 }
game = { models = 10, samples = 300, calibration = 64 }
attacks = ["loss", "lira"]
[axes]
quantizer = ["float32", "minmax", { name = "minmax", w_bits = 4 }, { name = "lsq", w_bits = 2, epochs = 20 }, "drq"]
accelerator = ["tpu_like", "drq_like"]
seed = [0, 1]
"""


def sweep(study: Path, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hwsim", "sweep", str(study), "-o", str(folder), "-j", "2"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)


def test_ten_kills_of_a_sweep_at_random_moments_change_no_byte(tmp_path: Path) -> None:
    (study := tmp_path / "study.toml").write_text(STUDY)
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    begin = time.monotonic()
    assert sweep(study, calm).wait() == 0
    seconds = time.monotonic() - begin
    moments, kills = random.Random(0), 0
    while kills < 10:
        process = sweep(study, killed)
        try:
            process.wait(timeout=moments.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        else:  # the sweep ended before the kill: check its result and begin again
            assert (killed / "points.csv").read_bytes() == (calm / "points.csv").read_bytes()
            shutil.rmtree(killed)
    assert sweep(study, killed).wait() == 0
    assert (killed / "points.csv").read_bytes() == (calm / "points.csv").read_bytes()
    assert not [path for path in (killed / "models").iterdir() if path.name.startswith(".")]
