"""The inputs near the samples of a trained ensemble that raise each model's loss most.

For membership inference on robust models: Song et al., Privacy Risks of Securing Machine Learning Models
against Adversarial Examples, CCS 2019.
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


def pgd(
    ensemble: Ensemble,
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    eps: float,
    steps: int = STEPS,
    step_size: float | None = None,
) -> NDArray[np.float32]:
    """Inputs float32 [model, sample, *shape] that raise each model's loss most within `eps` of every sample.

    L-infinity ball, clipped to 0..1; sign gradient on the float models; no random start, so the result
    is deterministic. `x` float32 [sample, *shape] must lie in 0..1. Raises BadInput.

    >>> from hwsim.registry import build
    >>> from hwsim.training.ensemble import Members, train
    >>> x, labels = np.eye(8, dtype=np.float32), np.arange(8) % 2
    >>> members = Members(x, labels, np.ones((2, 8), dtype=np.bool_))
    >>> moved = pgd(train(build("model", "mlp", hidden=(4,), epochs=1), members), x, labels, eps=0.25)
    >>> moved.shape, bool((np.abs(moved - x) <= 0.25).all())
    ((2, 8, 8), True)
    """
    ball = PGDConfig(eps, steps, step_size)
    check_samples(x, labels, ball)
    models, shape = ensemble.models, x.shape[1:]
    moved = np.empty((models, *x.shape), dtype=np.float32)
    with one_thread():
        for begin in range(0, len(x), ATTACK_BATCH):
            rows = slice(begin, begin + ATTACK_BATCH)
            inputs = repeat_input(torch.from_numpy(np.ascontiguousarray(x[rows])), models)
            wanted = torch.from_numpy(labels[rows]).expand(models, -1)
            out = perturb(ensemble.graph, ensemble.weights, inputs, wanted, ball)
            moved[:, rows] = out.reshape(len(inputs), models, *shape).transpose(0, 1).numpy()
    return moved
