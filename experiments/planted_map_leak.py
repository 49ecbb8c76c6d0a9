"""The side-channel tests of the study drq_side_channel on its mask maps, and on the same maps with a planted leak.

    python -m experiments.planted_map_leak FOLDER [--from-csv]

FOLDER is the folder of the study (`hwsim sweep experiments/studies/drq_side_channel.toml -o FOLDER`); models that it
lacks are trained. In the planted maps each member has one more sensitive region with a probability of 1/4. A null
result is worth reading only beside a leak that the same tests find.

Writes experiments/studies/drq_planted_leak.csv and the table between two marks in drq_side_channel.md; with --from-csv
only the table, from the CSV file.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.draw import STUDIES, markdown, with_interval
from hwsim.machine import simulate
from hwsim.privacy import audit_arrays
from hwsim.registry import build
from hwsim.rng import derive_seed, stream
from hwsim.study.evaluate.stages import load_models, training_tasks
from hwsim.study.search.study import load_study

BEGIN, END = "<!-- planted -->", "<!-- end of planted -->"
CSV = STUDIES / "drq_planted_leak.csv"

SHARE = 0.25
"""Regions that a member has more, on average."""

TESTS = {
    "count of regions": ("joint", {"channels": ["sensitive_regions"]}),
    "count of regions, kernel densities": ("side_channel", {"channels": ["sensitive_regions"]}),
    "counts per layer": ("map_discriminant", {"channel": "region_counts"}),
    "map, region by region": ("map_discriminant", {}),
}
"""What a test reads -> attack and parameters."""


def main(folder: Path, from_csv: bool) -> None:
    if not from_csv:
        rows = list(results(folder))
        with CSV.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    page = STUDIES / "drq_side_channel.md"
    text = page.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


def results(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield one row per seed and kind of map."""
    attacks = [build("attack", name, **parameters) for name, parameters in TESTS.values()]
    for point in load_study(STUDIES / "drq_side_channel.toml").points():
        design, models = point.design, folder / "models"
        models.mkdir(parents=True, exist_ok=True)
        for task in training_tasks([design]):
            if not (models / f"{task.key}.npz").exists():
                task.run(models, lambda share: None)
        trained = load_models(design, models)
        networks = zip(trained.networks, trained.codes, strict=True)
        masks = [simulate(network, design.accelerator, codes).masks for network, codes in networks]
        real = [[layer.reshape(len(layer), -1) for layer in run.values()] for run in masks]
        game = trained.game_data.game
        for kind, share in (("real", 0.0), ("planted", SHARE)):
            maps = [
                planted(layers, member, share, derive_seed(design.seed, "planted map leak", model))
                for model, (layers, member) in enumerate(zip(real, game.keep, strict=True))
            ]
            counts = np.stack([np.stack([layer.sum(axis=1) for layer in layers], axis=1) for layers in maps])
            observed = {
                "precision_map": np.stack([np.concatenate(layers, axis=1) for layers in maps]).astype(np.uint8),
                "region_counts": counts,
                "sensitive_regions": counts.sum(axis=2),
            }
            leakage = audit_arrays(observed, game, attacks, derive_seed(design.seed, "audit"), blind=False)
            yield {"seed": design.seed, "maps": kind, **leakage.as_row()}


def planted(
    layers: list[NDArray[np.bool_]], member: NDArray[np.bool_], share: float, seed: int
) -> list[NDArray[np.bool_]]:
    """Return masks bool [sample, region] by layer, with one more sensitive region for a `share` of the members.

    The region is drawn among those that are not sensitive, over all layers. `member` is bool [sample].
    """
    rng = stream(seed, "planted map leak")
    whole = np.concatenate(layers, axis=1)
    for sample in np.flatnonzero(member & (rng.random(len(member)) < share)).tolist():
        free = np.flatnonzero(~whole[sample])
        if free.size:
            whole[sample, rng.choice(free)] = True
    return np.split(whole, np.cumsum([layer.shape[1] for layer in layers])[:-1], axis=1)


def table() -> str:
    """Return one line per test: the AUC with its interval, by seed, for the real and for the planted maps."""
    rows = list(csv.DictReader(CSV.read_text(encoding="utf-8").splitlines()))
    head = ["test", *(f"{row['maps']} maps, seed {row['seed']}" for row in rows)]
    body = []
    for title, (name, parameters) in TESTS.items():
        label = build("attack", name, **parameters).label
        body.append([title, *(with_interval(row, f"{label}_auc") for row in rows)])
    return markdown(head, body)


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--from-csv" in sys.argv[2:])
