"""Fake of hwsim.study.evaluate.stages: the same interface, milliseconds instead of minutes.

As a program it runs a study: `python fake_stages.py FOLDER JOBS`.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwsim.design import Design, content_key
from hwsim.errors import BadInput, Infeasible
from tests.support import fakes

STUDY = {
    "study": {"name": "fake", "question": "Does anything get lost?"},
    "base": fakes.BASE | {"attacks": ["fake_loss", "fake_latency"], "channels": ["logits", "latency_cycles"]},
    "axes": {
        "quantizer": [
            {"name": "fake_quantizer", "w_bits": 8},
            {"name": "fake_quantizer", "w_bits": 4},
            "other_quantizer",
        ],
        "accelerator": ["fake_array", "wide_array", {"name": "fake_array", "rows": 3}],
        "seed": [0, 1],
    },
    "objectives": {"accuracy": "max", "energy_pj": "min", "fake_loss_auc": "min"},
}


def pause() -> None:
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0.002")))


@dataclass(frozen=True)
class FakeTraining:
    key: str
    label: str
    needs: tuple[str, ...]
    weight: float

    def run(self, folder: Path, on_progress) -> None:
        (folder / f"{os.getpid()}.pid").touch()
        if self.label == f"train seed {os.environ.get('FAKE_REFUSED_SEED')}":
            raise BadInput("game.samples", 1, "another")
        for step in range(3):
            pause()
            on_progress((step + 1) / 3)
        new = folder / f"{self.key}.{os.getpid()}.tmp"
        with new.open("wb") as handle:
            np.savez(handle, key=np.frombuffer(self.key.encode(), dtype=np.uint8))
        new.replace(folder / f"{self.key}.npz")


def _settings(design: Design, *groups: str) -> str:
    return content_key({group: design.settings[group] for group in groups})


def training_tasks(designs):
    tasks = {}
    for design in designs:
        first = _settings(design, "dataset", "model", "seed")
        second = content_key({"from": first, "quantizer": design.settings["quantizer"]})
        tasks[first] = FakeTraining(first, f"train seed {design.seed}", (), 3.0)
        tasks[second] = FakeTraining(second, f"quantize seed {design.seed}", (first,), 1.0)
    return list(tasks.values())


def network_key(design: Design) -> str:
    return _settings(design, "dataset", "model", "quantizer", "seed")


def evaluate(designs, folder: Path, on_progress):
    for i, design in enumerate(designs):
        for task in training_tasks([design]):
            with np.load(folder / f"{task.key}.npz", allow_pickle=False) as artifact:
                assert bytes(artifact["key"]).decode() == task.key
        pause()
        on_progress((i + 1) / len(designs))
        if design.accelerator.rows == 3:
            raise Infeasible(f"layer conv1: {design.accelerator.rows} rows are too few")
        if design.accelerator.rows == 4:
            raise ZeroDivisionError("a bug")
        if design.accelerator.rows == 5:
            os._exit(9)
        yield design.key, result(design)


def result(design: Design) -> dict:
    """Return invented results that depend on the design alone and have all digits."""
    digest = int(design.settings_key[:8], 16) / 2**32
    bits = getattr(design.quantizer, "w_bits", 6)
    cells = design.accelerator.rows * design.accelerator.cols
    parts = {"pe": 0.3, "scratchpad": 0.3, "dram": 0.2, "vector": 0.1, "leakage": 0.1}
    causes = {"compute": 40, "fill_drain": 20, "weight_load": 20, "prefetch": 15, "vector": 5}
    cycles = 40_000 * 16 // design.accelerator.cols
    energy = 1e6 * bits * (1 + digest / 10) + cells
    row = {
        "accuracy": 0.97 - 0.4 / bits**2 + digest / 100,
        "generalization_gap": 0.03,
        "macs": 110_000,
        "latency_cycles": cycles,
        "latency_us": cycles / 500,
        "energy_pj": energy,
        "energy_relative": energy / 8e6,
        "area_mm2": cells / 1000 / 3,
        **{f"cycles_{name}": cycles * share // 100 for name, share in causes.items()},
        **{f"energy_{name}_pj": energy * share for name, share in parts.items()},
        "n_members": 450,
        "n_nonmembers": 449,
        "n_targets": 16,
        "warnings": "few non-members for TPR at FPR 0.001" if bits == 4 else "",
    }
    for label, auc in (("fake_loss", 0.55 + bits / 100), ("fake_latency", 0.5)):
        row |= {f"{label}_{n}": auc + d for n, d in (("auc", 0), ("auc_ci_low", -0.012), ("auc_ci_high", 0.013))}
        row |= {f"{label}_tpr_at_fpr_0.01": 0.02 * auc, f"{label}_balanced_accuracy": auc - 0.02}
    return row


if __name__ == "__main__":
    from hwsim import registry
    from hwsim.study.run.progress import Lines
    from hwsim.study.run.runner import run_study
    from hwsim.study.search.study import Study
    from tests.support import fake_stages  # under its name instead of __main__, which worker processes cannot import

    with registry.only(fakes.RECORDS):
        run_study(Study.from_mapping(STUDY), Path(sys.argv[1]), int(sys.argv[2]), Lines(sys.stderr), fake_stages)
