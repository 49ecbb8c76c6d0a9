"""Quantization-aware training: fine-tuning of weights and scales together, under fake quantization."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwsim.float_graph.graph import Weights, logits
from hwsim.quantizers.base import Quantizer
from hwsim.quantizers.lowering.fake_quant import FakeQuantArithmetic
from hwsim.quantizers.scheme import Scheme
from hwsim.training.ensemble import Ensemble, Members, checkpoint_at, gather, mean_cross_entropy
from hwsim.training.fit import Parameters, Progress, TrainingPlan, fit

_SCALE = "scale "
"""Prefix of the name of a scale among the parameters of a fine-tuning."""


def fine_tune(
    ensemble: Ensemble,
    quantizer: Quantizer,
    calibration: NDArray[np.float32],
    members: Members,
    batch: int = 64,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[Ensemble, Scheme]:
    """Fine-tune weights and scales of an ensemble for a quantizer that trains.

    Parameters
    ----------
    ensemble : trained float models
    quantizer : a quantizer with `trains`, whose fields include `epochs` and `learning_rate`
    calibration : float32 [sample, *shape], sets the initial scales
    members : training samples of each model
    batch : samples per step
    progress : callback with the completed share of the work
    checkpoint : file of the training state between epochs, as for `train`

    Returns
    -------
    The ensemble with its fine-tuned weights, and the scheme with the learned scales.
    """
    graph, settings = ensemble.graph, quantizer.model_dump(mode="json")
    start = quantizer.scheme(graph, ensemble.weights, torch.from_numpy(calibration))
    parameters = ensemble.weights | {_SCALE + name: scale for name, scale in start.scales().items()}
    x, labels = torch.from_numpy(members.x), torch.from_numpy(members.labels)

    def loss(parameters: Parameters, models: slice, chosen: Tensor) -> Tensor:
        weights, scales = _split(parameters)
        arithmetic = FakeQuantArithmetic(graph, start.with_scales(scales))
        return mean_cross_entropy(logits(graph, weights, gather(x, chosen), arithmetic), labels[chosen])

    order = partial(members.order, "fine_tune", batch=batch)
    plan = TrainingPlan(settings["epochs"], batch, settings["learning_rate"], order, loss)
    own = {"quantizer": settings, "class": type(quantizer).__qualname__, "batch": batch}
    state = checkpoint_at(checkpoint, "fine_tune", members, own, parameters)
    weights, scales = _split(fit(parameters, plan, ensemble.models, progress, state))
    return Ensemble(graph, weights), start.with_scales(scales)


def _split(parameters: Parameters) -> tuple[Weights, dict[str, Tensor]]:
    """Separate the parameters of a fine-tuning into weights and scales."""
    weights = {name: tensor for name, tensor in parameters.items() if not name.startswith(_SCALE)}
    return weights, {name.removeprefix(_SCALE): parameters[name] for name in parameters if name.startswith(_SCALE)}
