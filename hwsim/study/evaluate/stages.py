"""Stages of a point: train the ensemble, quantize it, run it, price it, audit it.

Every function here depends on the design alone, so it can run in any worker process. Trained weights are
stored once, as artifacts named by the key of all that affects them. Designs that differ only in the
accelerator, the technology or the attacks share networks and integer outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from hwsim.study.evaluate.multi_query import MultiQueryCache
from hwsim.study.evaluate.point_result import Baseline, float_result, hardware_result
from hwsim.training.checkpoint import read_arrays, write_arrays
from hwsim.training.ensemble import Ensemble, Members, train
from hwsim.version import MODEL_VERSION

OnProgress = Callable[[float], None]
"""Function that is called with the finished share of the work, 0 to 1."""

CHUNK = 8
"""Models trained in one task. A constant, so that results do not depend on the number of workers."""

BASELINE_SAMPLES = 256
"""Number of audited samples over which the energy of the baseline is averaged."""


@dataclass(frozen=True)
class ChunkTraining:
    """Training of one chunk of models; many points may share its artifact, `<key>.npz`.

    Attributes
    ----------
    key : SHA-256 (hex) of everything that affects the artifact
    label : short text for the progress display
    needs : keys of the tasks whose artifacts are read; empty for training, one key for fine-tuning
    weight : cost in epochs
    design : one of the designs that share the artifact
    first : index of the first model of the chunk
    """

    key: str
    label: str
    needs: tuple[str, ...]
    weight: float
    design: Design
    first: int

    def run(self, folder: Path, on_progress: OnProgress) -> None:
        """Train or fine-tune models `first` to `first + CHUNK - 1` and write the artifact to `folder`."""
        design, data = self.design, prepare(self.design)
        design.require_unchanged()  # before its weights are stored under the key of other data
        keep = data.game.keep[self.first : self.first + CHUNK]
        members = Members(data.x, data.game.labels, keep, self.first, derive_seed(design.seed, "training"))
        checkpoint = folder / f"{self.key}.checkpoint"  # a killed sweep continues from the last epoch
        if not self.needs:
            artifact = train(design.model, members, on_progress, checkpoint).weights
        else:
            start = Ensemble(_graph(design, data), _load(folder / f"{self.needs[0]}.npz"))
            ensemble, scheme = fine_tune(
                start, design.quantizer, data.calibration, members, design.model.batch, on_progress, checkpoint
            )
            artifact = ensemble.weights | {f"step {name}": step for name, step in scheme.scales().items()}
        write_arrays(folder / f"{self.key}.npz", {name: tensor.numpy() for name, tensor in artifact.items()})


def training_tasks(designs: Sequence[Design]) -> list[ChunkTraining]:
    """Return every training task of the designs, each once, after the tasks that it needs."""
    tasks: dict[str, ChunkTraining] = {}
    for design in designs:
        for first in range(0, design.game.models, CHUNK):
            last = min(first + CHUNK, design.game.models) - 1
            base = _training_key(design, first)
            label = f"train {design.names['model']} on {design.names['dataset']}, models {first}-{last}"
            tasks.setdefault(base, ChunkTraining(base, label, (), float(design.model.epochs), design, first))
            if _fine_tunes(design):
                key, quantizer = _training_key(design, first, tuned=True), design.quantizer
                bits = f"w{quantizer.w_bits}a{quantizer.a_bits}"
                label = f"fine-tune {design.names['quantizer']} {bits}, models {first}-{last}"
                tasks.setdefault(key, ChunkTraining(key, label, (base,), 2.0 * quantizer.epochs, design, first))
    return list(tasks.values())


def network_key(design: Design) -> str:
    """Return the key of a design's networks and their outputs: designs with equal keys share them."""
    return _training_key(design, first=0, tuned=True)


def evaluate(designs: Sequence[Design], folder: Path, on_progress: OnProgress) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (design key, row) for designs that share their networks, each when it is finished.

    `folder` contains the artifacts of the training tasks. A design that cannot run yields
    `{"status": "infeasible", "reason": ...}`.
    """
    models, multi_query = load_models(designs[0], folder), MultiQueryCache()
    baseline = _baseline(models) if models.networks else None
    for number, design in enumerate(designs, start=1):
        if baseline is None:
            row = float_result(design, models, multi_query)
        else:
            row = _feasible_result(design, models, baseline, multi_query)
        yield design.key, row
        on_progress(number / len(designs))


def load_models(design: Design, folder: Path) -> DeployedModels:
    """Return the trained models of a design, quantized where its quantizer is integer, with the data of its game."""
    data = prepare(design)
    ensemble = Ensemble(_graph(design, data), _trained(design, folder, tuned=False))
    return DeployedModels(design, data, ensemble, _networks(design, data, ensemble, folder))


def _feasible_result(
    design: Design, models: DeployedModels, baseline: Baseline, multi_query: MultiQueryCache
) -> dict[str, Any]:
    try:
        return hardware_result(design, models, baseline, multi_query)
    except Infeasible as error:
        return {"status": "infeasible", "reason": str(error)}


def _networks(design: Design, data: GameData, ensemble: Ensemble, folder: Path) -> list[Network]:
    """Return the integer network of every model, with trained scales where the quantizer trains; [] for floats."""
    if not design.quantizer.integer:
        return []
    scheme = design.quantizer.scheme(ensemble.graph, ensemble.weights, torch.from_numpy(data.calibration))
    if _fine_tunes(design):
        tuned = _trained(design, folder, tuned=True)
        scheme = scheme.with_scales({name: tuned.pop(f"step {name}") for name in scheme.quant_params})
        ensemble = Ensemble(ensemble.graph, tuned)
    return build_networks(ensemble, scheme)


def _baseline(models: DeployedModels) -> Baseline:
    """Quantize model 0 to 8 bits and encode the first audited samples."""
    first = Ensemble(models.ensemble.graph, model_slice(models.ensemble.weights, 0, 1))
    (network,) = quantize_ensemble(first, registry.build("quantizer", "minmax"), models.game_data.calibration)
    return Baseline(network, network.encode(models.game_data.x[:BASELINE_SAMPLES]))


def _fine_tunes(design: Design) -> bool:
    return bool(design.quantizer.integer and design.quantizer.trains)


def _training_key(design: Design, first: int, tuned: bool = False) -> str:
    """Return the key of trained weights; with `tuned` the key of fine-tuned weights, networks and their outputs."""
    groups = ["dataset", "model", "game", "seed", *(["quantizer"] if tuned else [])]
    settings = {group: design.settings[group] for group in groups}
    contents = {group: design.contents[group] for group in (*groups, "libraries") if group in design.contents}
    position = {"model_version": MODEL_VERSION, "first": first, "chunk": CHUNK}
    return content_key({**position, "settings": settings, "contents": contents})


def _graph(design: Design, data: GameData) -> FloatGraph:
    return import_module(design.model.module(data.data.shape, data.classes), data.data.shape)[0]


def _trained(design: Design, folder: Path, tuned: bool) -> Weights:
    """Return the weights of all models of a design, joined from the artifacts of its chunks."""
    firsts = range(0, design.game.models, CHUNK)
    chunks = [_load(folder / f"{_training_key(design, first, tuned)}.npz") for first in firsts]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _load(path: Path) -> Weights:
    try:
        return {name: torch.from_numpy(array) for name, array in read_arrays(path).items()}
    except HwsimError as error:
        raise HwsimError(
            f"{path}: not a file of trained weights ({error}); delete it and run again to train anew"
        ) from None
