"""Quantization of a trained torch module, or of an ensemble, to integer networks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from hwsim.arrays import integer_array, real_array, require_finite
from hwsim.errors import BadInput, HwsimError
from hwsim.float_graph.graph import FloatArithmetic, node_output
from hwsim.interop.torch.reader import import_module
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT
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
    if not isinstance(model, nn.Module):
        raise BadInput("model", f"a {type(model).__name__}", "a trained torch module")
    if not isinstance(quantizer, Quantizer):
        raise BadInput("quantizer", f"a {type(quantizer).__name__}", 'hwsim.build("quantizer", ...)')
    x = _calibration_samples(calibration)
    ensemble = Ensemble(*import_module(model, x.shape[1:]))
    _check_fits(ensemble, x)
    if not quantizer.trains:
        return quantize_ensemble(ensemble, quantizer, x)[0]
    if labels is None:
        raise HwsimError(
            f"quantizer {type(quantizer).__name__} fine-tunes the network: give labels for the calibration data"
        )
    targets = integer_array(labels, "labels").astype(np.int64)
    if targets.shape != (len(x),):
        raise BadInput("labels", f"shape {targets.shape}", f"[{len(x)}], one for each calibration sample")
    all_samples = np.ones((1, len(x)), dtype=np.bool_)
    return quantize_ensemble(ensemble, quantizer, x, Members(x, targets, all_samples, seed=seed))[0]


def quantize_ensemble(
    ensemble: Ensemble, quantizer: Quantizer, calibration: NDArray[np.float32], members: Members | None = None
) -> list[Network]:
    """Quantize every model of an ensemble; a quantizer that trains fine-tunes each model on its own `members`."""
    if not isinstance(ensemble, Ensemble):
        raise BadInput("ensemble", f"a {type(ensemble).__name__}", "an Ensemble, as hwsim.train returns it")
    calibration = _calibration_samples(calibration)
    if not quantizer.trains:
        scheme = quantizer.scheme(ensemble.graph, ensemble.weights, torch.from_numpy(calibration))
    elif members is None:
        raise HwsimError(f"quantizer {type(quantizer).__name__} fine-tunes the networks: give their members")
    else:
        ensemble, scheme = fine_tune(ensemble, quantizer, calibration, members)
    return build_networks(ensemble, scheme)


def _calibration_samples(calibration: ArrayLike) -> NDArray[np.float32]:
    """Return calibration data as float32 [sample, *shape]; raises BadInput for anything else."""
    x = real_array(calibration, "calibration")
    if x.ndim < 2 or x.size == 0:
        raise BadInput("calibration", f"shape {x.shape}", "[samples, *shape of a sample], at least one sample")
    require_finite(x, "calibration")
    with np.errstate(over="ignore"):  # values beyond float32 are refused below
        single: NDArray[np.float32] = np.require(x, np.float32, ["C", "W"])  # torch takes no read-only array
    require_finite(single, "calibration")
    return single


def _check_fits(ensemble: Ensemble, x: NDArray[np.float32]) -> None:
    """Raise BadInput, with the first layer, where samples of this shape do not pass through the network."""
    values = {INPUT: torch.from_numpy(x[:1])}
    with torch.no_grad():
        for node in ensemble.graph.nodes:
            try:
                values[node.name] = node_output(node, values, ensemble.weights, FloatArithmetic())
            except (RuntimeError, IndexError) as error:
                reason = str(error).splitlines()[0]
                allowed = f"the shape that layer {node.name!r} takes"
                raise BadInput("calibration", f"samples of shape {x.shape[1:]}", allowed, reason) from None


def build_networks(ensemble: Ensemble, scheme: Scheme) -> list[Network]:
    """Return the integer network of every model of an ensemble under a scheme."""
    return [build_network(ensemble.graph, ensemble.weights, scheme, model) for model in range(ensemble.models)]
