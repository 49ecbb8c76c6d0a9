"""What a point costs: train the ensemble, quantize it, run it, price it, audit it.

Everything here is a function of the design, so it can run in any worker process. Trained weights are
stored once, as artifacts named by the key of all that affects them; designs that differ only in the
accelerator, the technology or the attacks share networks and integer outputs.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwsim import registry
from hwsim.design import Design, content_key
from hwsim.errors import HwsimError, Infeasible
from hwsim.float_graph.graph import FloatGraph, Weights, model_slice
from hwsim.interop.torch.reader import import_module
from hwsim.network.graph import Network
from hwsim.quantizers.fine_tune import fine_tune
from hwsim.quantizers.quantize import build_networks, quantize_ensemble
from hwsim.rng import derive_seed
from hwsim.study.evaluate.deployed_models import DeployedModels
from hwsim.study.evaluate.game_data import GameData, prepare
from hwsim.study.evaluate.point_result import Baseline, float_result, hardware_result
from hwsim.training.checkpoint import write_arrays
from hwsim.training.ensemble import Ensemble, Members, train
from hwsim.version import MODEL_VERSION

Tick = Callable[[float], None]

CHUNK = 8
"""Models trained in one task. A constant, so that results do not depend on the number of workers."""


BASELINE_SAMPLES = 256
"""So many of the audited samples are enough for the mean energy of the baseline."""


@dataclass(frozen=True)
class Task:
    """One piece of training whose artifact `models/<key>.npz` many points may share."""

    key: str
    label: str
    needs: tuple[str, ...]
    weight: float
    design: Design
    first: int

    def run(self, models: Path, tick: Tick) -> None:
        """Train (or fine-tune) models `first` to `first + CHUNK - 1` and store them; `tick` gets 0 to 1."""
        design, arena = self.design, prepare(self.design)
        keep = arena.game.keep[self.first : self.first + CHUNK]
        members = Members(arena.x, arena.game.labels, keep, self.first, derive_seed(design.seed, "training"))
        checkpoint = models / f"{self.key}.checkpoint"  # a sweep that was killed goes on from its last epoch
        if not self.needs:
            artifact = train(design.model, members, tick, checkpoint).weights
        else:
            start = Ensemble(_graph(design, arena), _load(models / f"{self.needs[0]}.npz"))
            ensemble, scheme = fine_tune(
                start, design.quantizer, arena.calibration, members, design.model.batch, tick, checkpoint
            )
            artifact = ensemble.weights | {f"step {name}": step for name, step in scheme.scales().items()}
        write_arrays(models / f"{self.key}.npz", {name: tensor.numpy() for name, tensor in artifact.items()})


def training_tasks(designs: Sequence[Design]) -> list[Task]:
    """Every training task that the designs need, each once, a task after those that it needs."""
    tasks: dict[str, Task] = {}
    for design in designs:
        for first in range(0, design.game.models, CHUNK):
            last = min(first + CHUNK, design.game.models) - 1
            base = _training_key(design, first)
            label = f"train {design.names['model']} on {design.names['dataset']}, models {first}-{last}"
            tasks.setdefault(base, Task(base, label, (), float(design.model.epochs), design, first))
            if _trains(design):
                key, quantizer = _training_key(design, first, tuned=True), design.quantizer
                bits = f"w{quantizer.w_bits}a{quantizer.a_bits}"
                label = f"fine-tune {design.names['quantizer']} {bits}, models {first}-{last}"
                tasks.setdefault(key, Task(key, label, (base,), 2.0 * quantizer.epochs, design, first))
    return list(tasks.values())


def network_key(design: Design) -> str:
    """Key of the networks and their outputs: designs with equal keys share them."""
    return _training_key(design, first=0, tuned=True)


def evaluate(designs: Sequence[Design], models: Path, tick: Tick) -> Iterator[tuple[str, dict[str, Any]]]:
    """Results of designs that share their networks: (design key, flat result) as each ends.

    A design that cannot run gives `{"status": "infeasible", "reason": ...}`.
    """
    stand = stand_of(designs[0], models)
    baseline = _baseline(stand) if stand.networks else None
    for number, design in enumerate(designs, start=1):
        yield design.key, float_result(design, stand) if baseline is None else _one(design, stand, baseline)
        tick(number / len(designs))


def stand_of(design: Design, models: Path) -> DeployedModels:
    """The trained models of a design, quantized where it says so, with the arena that they were trained in."""
    arena = prepare(design)
    ensemble = Ensemble(_graph(design, arena), _trained(design, models, tuned=False))
    return DeployedModels(design, arena, ensemble, _networks(design, arena, ensemble, models))


def _one(design: Design, stand: DeployedModels, baseline: Baseline) -> dict[str, Any]:
    try:
        return hardware_result(design, stand, baseline)
    except Infeasible as error:
        return {"status": "infeasible", "reason": str(error)}


def _networks(design: Design, arena: GameData, ensemble: Ensemble, models: Path) -> list[Network]:
    """The integer network of every model, none in full precision; trained steps where the quantizer trains."""
    if not design.quantizer.integer:
        return []
    scheme = design.quantizer.scheme(ensemble.graph, ensemble.weights, torch.from_numpy(arena.calibration))
    if _trains(design):
        tuned = _trained(design, models, tuned=True)
        scheme = scheme.with_scales({name: tuned.pop(f"step {name}") for name in scheme.quant_params})
        ensemble = Ensemble(ensemble.graph, tuned)
    return build_networks(ensemble, scheme)


def _baseline(stand: DeployedModels) -> Baseline:
    """The 8-bit network that energies are relative to, and the audited inputs that it is priced on."""
    one = Ensemble(stand.ensemble.graph, model_slice(stand.ensemble.weights, 0, 1))
    network = quantize_ensemble(one, registry.build("quantizer", "minmax"), stand.arena.calibration)[0]
    return Baseline(network, network.encode(stand.arena.x[:BASELINE_SAMPLES]))


def _trains(design: Design) -> bool:
    return bool(design.quantizer.integer and design.quantizer.trains)


def _training_key(design: Design, first: int, tuned: bool = False) -> str:
    """`tuned` adds the quantizer: the key of fine-tuned weights, or of networks and their outputs."""
    groups = ["dataset", "model", "game", "seed", *(["quantizer"] if tuned else [])]
    content = {group: design.settings[group] for group in groups}
    return content_key({"model_version": MODEL_VERSION, "first": first, "chunk": CHUNK, **content})


def _graph(design: Design, arena: GameData) -> FloatGraph:
    return import_module(design.model.module(arena.data.shape, arena.classes), arena.data.shape)[0]


def _trained(design: Design, models: Path, tuned: bool) -> Weights:
    firsts = range(0, design.game.models, CHUNK)
    chunks = [_load(models / f"{_training_key(design, first, tuned)}.npz") for first in firsts]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _load(path: Path) -> Weights:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: torch.from_numpy(file[name]) for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise HwsimError(
            f"{path}: not a file of trained weights ({error}); delete it and run again to train anew"
        ) from None
