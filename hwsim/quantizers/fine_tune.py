"""Quantization-aware training: fine-tuning of weights and scales together, under fake quantization."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwsim.checksums import code_checksums
from hwsim.float_graph.graph import FloatGraph, Weights, logits
from hwsim.network.layer import INPUT
from hwsim.quantizers.base import Quantizer
from hwsim.quantizers.lowering.fake_quant import FakeQuantArithmetic
from hwsim.quantizers.scheme import Scheme, weight_name
from hwsim.training.ensemble import Ensemble, Members, checkpoint_at, gather, mean_cross_entropy
from hwsim.training.fit import Parameters, Progress, TrainingPlan, fit

USUAL_SCALES = 2.0**-12, 2.0**12
"""Scales that are trained as they are; the learning rates of the literature belong to data and weights of this size."""

USUAL_SCALE = 2.0**-6
"""Scale to which a smaller or larger one is brought for the training."""

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
    values = ensemble.weights | {_SCALE + name: scale for name, scale in start.scales().items()}
    units = _units(graph, start)
    parameters = {name: value / _like(units[name], value) for name, value in values.items()}
    x, labels = torch.from_numpy(members.x), torch.from_numpy(members.labels)

    def loss(parameters: Parameters, models: slice, chosen: Tensor) -> Tensor:
        weights, scales = _split(_in_units(parameters, units))
        arithmetic = FakeQuantArithmetic(graph, start.with_scales(scales))
        return mean_cross_entropy(logits(graph, weights, gather(x, chosen), arithmetic), labels[chosen])

    order = partial(members.order, "fine_tune", batch=batch)
    plan = TrainingPlan(settings["epochs"], batch, settings["learning_rate"], order, loss)
    own: dict[str, Any] = {"quantizer": settings, "class": type(quantizer).__qualname__, "batch": batch}
    own["code"] = code_checksums(type(quantizer)) if checkpoint else {}
    state = checkpoint_at(checkpoint, "fine_tune", members, own, parameters)
    weights, scales = _split(_in_units(fit(parameters, plan, ensemble.models, progress, state), units))
    return Ensemble(graph, weights), start.with_scales(scales)


def _units(graph: FloatGraph, start: Scheme) -> dict[str, Tensor]:
    """Return the unit float32 [model] in which each parameter is trained: a power of two, 1 for a usual scale.

    A step of Adam has the size of the learning rate, whatever the size of the parameter. So a scale outside
    USUAL_SCALES, of data in a small or a large unit, is trained as a multiple of its unit, with the weights of that
    scale, and with the bias of that output.
    """
    units = {_SCALE + name: _unit(scale) for name, scale in start.scales().items()}
    for node in graph.nodes:
        if node.has_macs:
            one = torch.ones_like(units[_SCALE + INPUT])
            units[f"{node.name}.weight"] = units[_SCALE + weight_name(node.name)]
            units[f"{node.name}.bias"] = one if node is graph.output else units[_SCALE + node.name]
    return units


def _unit(scale: Tensor) -> Tensor:
    """Return the unit [model] of scales [model, ...]: 1, or the power of two that makes the largest the usual one."""
    largest = scale.reshape(len(scale), -1).amax(1).double()
    usual = (largest >= USUAL_SCALES[0]) & (largest <= USUAL_SCALES[1])
    exponent = (torch.floor(torch.log2(largest)) - math.log2(USUAL_SCALE)).clamp(-125, 125)
    return torch.where(usual, 1.0, torch.exp2(exponent)).float()


def _in_units(parameters: Parameters, units: Mapping[str, Tensor]) -> Parameters:
    """Return parameters, multiples of their units, as the values that they stand for."""
    return {name: value * _like(units[name], value) for name, value in parameters.items()}


def _like(per_model: Tensor, values: Tensor) -> Tensor:
    return per_model.reshape(-1, *(1,) * (values.ndim - 1))


def _split(parameters: Parameters) -> tuple[Weights, dict[str, Tensor]]:
    """Separate the parameters of a fine-tuning into weights and scales."""
    weights = {name: tensor for name, tensor in parameters.items() if not name.startswith(_SCALE)}
    return weights, {name.removeprefix(_SCALE): parameters[name] for name in parameters if name.startswith(_SCALE)}
