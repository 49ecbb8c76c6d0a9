"""Adversarial inputs of a trained ensemble, by PGD on each of its models.

Membership inference on robust models: Song et al., Privacy Risks of Securing Machine Learning Models against
Adversarial Examples, CCS 2019.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hwsim.float_graph.graph import repeat_input
from hwsim.training.ensemble import Ensemble
from hwsim.training.fit import one_thread
from hwsim.training.pgd import STEPS, PGDConfig, check_samples, perturb

ATTACK_BATCH = 128
"""Samples that are perturbed at once."""


def pgd(
    ensemble: Ensemble,
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    eps: float,
    steps: int = STEPS,
    step_size: float | None = None,
) -> NDArray[np.float32]:
    """Compute inputs float32 [model, sample, *shape] with high loss for each model, within `eps` of every sample.

    PGD with signed gradients of the float models, in the L-infinity ball clipped to 0..1. There is no random start, so
    the result is deterministic. `x` is float32 [sample, *shape] in 0..1, `labels` int64 [sample]. Raises BadInput.

    >>> from hwsim.registry import build
    >>> from hwsim.training.ensemble import Members, train
    >>> x, labels = np.eye(8, dtype=np.float32), np.arange(8) % 2
    >>> members = Members(x, labels, np.ones((2, 8), dtype=np.bool_))
    >>> adversarial = pgd(train(build("model", "mlp", hidden=(4,), epochs=1), members), x, labels, eps=0.25)
    >>> adversarial.shape, bool((np.abs(adversarial - x) <= 0.25).all())
    ((2, 8, 8), True)
    """
    config = PGDConfig(eps, steps, step_size)
    check_samples(x, labels, config)
    models, shape = ensemble.models, x.shape[1:]
    adversarial = np.empty((models, *x.shape), dtype=np.float32)
    with one_thread():
        for begin in range(0, len(x), ATTACK_BATCH):
            rows = slice(begin, begin + ATTACK_BATCH)
            inputs = repeat_input(torch.from_numpy(np.ascontiguousarray(x[rows])), models)
            targets = torch.from_numpy(labels[rows]).expand(models, -1)
            out = perturb(ensemble.graph, ensemble.weights, inputs, targets, config)
            adversarial[:, rows] = out.reshape(len(inputs), models, *shape).transpose(0, 1).numpy()
    return adversarial
