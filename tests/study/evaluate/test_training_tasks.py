"""An interrupted training task of a study continues after its last epoch."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.design import Design
from hwsim.study.evaluate.stages import training_tasks

DESIGN = {
    "dataset": "breast_cancer",
    "model": {"name": "mlp", "hidden": [6], "epochs": 5},
    "game": {"models": 4, "samples": 60, "calibration": 16},
    "quantizer": {"name": "lsq", "w_bits": 3, "a_bits": 3, "epochs": 4},
}


class Stopped(Exception):
    pass


def test_both_kinds_of_task_resume_with_the_same_bytes(tmp_path: Path) -> None:
    calm, stopped = tmp_path / "calm", tmp_path / "stopped"
    calm.mkdir()
    stopped.mkdir()
    for task in training_tasks([Design.resolve(DESIGN)]):
        task.run(calm, lambda done: None)
        seen: list[float] = []

        def stop(done: float, seen: list[float] = seen) -> None:
            seen.append(done)
            if len(seen) == 3:
                raise Stopped

        with pytest.raises(Stopped):
            task.run(stopped, stop)
        assert (stopped / f"{task.key}.checkpoint").exists()
        again: list[float] = []
        task.run(stopped, again.append)
        assert again[0] > seen[-1]
        name = f"{task.key}.npz"
        assert (stopped / name).read_bytes() == (calm / name).read_bytes()
    assert len(list(stopped.iterdir())) == 2, "no checkpoint is left"
