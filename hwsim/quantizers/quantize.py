"""Quantization of a trained torch module, or of an ensemble, to integer networks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from hwsim.errors import BadInput, HwsimError
from hwsim.interop.torch.reader import import_module
from hwsim.network.graph import Network
from hwsim.quantizers.base import Quantizer
from hwsim.quantizers.fine_tune import fine_tune
from hwsim.quantizers.lowering.to_network import build_network
from hwsim.quantizers.scheme import Scheme
from hwsim.training.ensemble import Ensemble, Members


def quantize(
    model: nn.Module,
    quantizer: Quantizer,
    calibration: NDArray[np.float32],
    labels: ArrayLike | None = None,
    seed: int = 0,
) -> Network:
    """Quantize a trained torch module to an integer network.

    Parameters
    ----------
    model : trained module
    quantizer : quantizer with its parameters
    calibration : float32 [sample, *shape], sets the ranges. Use data that is not audited for membership.
    labels : int64 [sample]; needed by a quantizer that trains (lsq), which fine-tunes on the calibration data
    seed : seed of the sample order of the fine-tuning

    Raises
    ------
    HwsimError : for a layer without an integer counterpart, and for missing labels.

    >>> from hwsim.registry import build
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> network = quantize(net, build("quantizer", "minmax"), np.ones((8, 4), dtype=np.float32))
    >>> [layer.op.value for layer in network.layers]
    ['linear', 'linear']
    """
    x = np.ascontiguousarray(calibration, dtype=np.float32)
    if len(x) == 0 or not np.isfinite(x).all():
        raise BadInput("calibration", f"{len(x)} samples", "at least one, all finite")
    ensemble = Ensemble(*import_module(model, x.shape[1:]))
    if not quantizer.trains:
        return quantize_ensemble(ensemble, quantizer, x)[0]
    if labels is None:
        raise HwsimError(
            f"quantizer {type(quantizer).__name__} fine-tunes the network: give labels for the calibration data"
        )
    targets = np.asarray(labels, dtype=np.int64)
    all_samples = np.ones((1, len(x)), dtype=np.bool_)
    return quantize_ensemble(ensemble, quantizer, x, Members(x, targets, all_samples, seed=seed))[0]


def quantize_ensemble(
    ensemble: Ensemble, quantizer: Quantizer, calibration: NDArray[np.float32], members: Members | None = None
) -> list[Network]:
    """Quantize every model of an ensemble; a quantizer that trains fine-tunes each model on its own `members`."""
    if not quantizer.trains:
        scheme = quantizer.scheme(ensemble.graph, ensemble.weights, torch.from_numpy(calibration))
    elif members is None:
        raise HwsimError(f"quantizer {type(quantizer).__name__} fine-tunes the networks: give their members")
    else:
        ensemble, scheme = fine_tune(ensemble, quantizer, calibration, members)
    return build_networks(ensemble, scheme)


def build_networks(ensemble: Ensemble, scheme: Scheme) -> list[Network]:
    """Return the integer network of every model of an ensemble under a scheme."""
    return [build_network(ensemble.graph, ensemble.weights, scheme, model) for model in range(ensemble.models)]
