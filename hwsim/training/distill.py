"""Loss trajectories: how a sample's loss falls while a student learns from a model's outputs.

Liu et al., Membership Inference Attacks by Exploiting Loss Trajectory, CCS 2022 (TrajectoryMIA).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hwsim.errors import BadInput
from hwsim.float_graph.graph import FloatGraph, logits
from hwsim.training.ensemble import Ensemble, Members, course_of, gather, initial_weights
from hwsim.training.fit import Parameters, Tick, fit, models_at_once, silent
from hwsim.training.grouped import GroupArithmetic
from hwsim.training.models.base import Model


def loss_trajectory(
    teacher_logits: ArrayLike,
    auxiliary: NDArray[np.float32],
    pool: NDArray[np.float32],
    labels: NDArray[np.int64],
    model: Model,
    epochs: int = 100,
    seed: int = 0,
    tick: Tick = silent,
) -> NDArray[np.float64]:
    """Cross-entropy of every pool sample after each epoch of distilling each model: float64 [model, sample, epoch].

    One student of architecture `model` per teacher learns, by KL divergence from the teacher's
    softmax, the outputs `teacher_logits` [model, auxiliary sample, class] on `auxiliary` float32
    [sample, *shape], which must be members of no model; the logits may be those of a float model or of
    the hardware. `pool` float32 [sample, *shape] with `labels` int64 [sample] is what is audited. The
    100 epochs are the paper's; optimizer, batch and rate are those of `model` (the released code has
    SGD at .1). The last feature of the attack, the model's own loss, is not in here. Raises BadInput.

    >>> from hwsim.registry import build
    >>> x, teachers = np.eye(8, dtype=np.float32), np.zeros((2, 8, 3))
    >>> loss_trajectory(teachers, x, x[:5], np.arange(5) % 3, build("model", "mlp", hidden=(4,)), epochs=6).shape
    (2, 5, 6)
    """
    teachers = np.asarray(teacher_logits, dtype=np.float64)
    _check(teachers, auxiliary, pool, labels, epochs)
    samples, classes = teachers.shape[1:]
    everyone = np.ones(teachers.shape[:2], dtype=np.bool_)
    students = Members(auxiliary, np.zeros(samples, dtype=np.int64), everyone, seed=seed)
    graph, weights = initial_weights(model, students, classes)
    x, taught = torch.from_numpy(auxiliary), torch.log_softmax(torch.from_numpy(teachers), dim=2).float()
    losses = np.empty((len(teachers), len(labels), epochs), dtype=np.float64)

    def loss(parameters: Parameters, models: slice, chosen: Tensor) -> Tensor:
        out = logits(graph, parameters, gather(x, chosen), GroupArithmetic(models, len(teachers)))
        wanted = taught[models].gather(1, chosen[:, :, None].expand(-1, -1, classes))
        divergence = F.kl_div(torch.log_softmax(out, dim=2), wanted, reduction="sum", log_target=True)
        return divergence / chosen.shape[1]

    def watch(epoch: int, parameters: Parameters) -> None:
        losses[:, :, epoch] = label_losses(graph, parameters, pool, labels)

    course = course_of(model, students, "distill", epochs, loss)
    fit(weights, course, models_at_once(graph, weights, model.batch), tick, watch=watch)
    return losses


def label_losses(
    graph: FloatGraph, weights: Parameters, x: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cross-entropy float64 [model, sample] of every model on inputs `x` [sample, *shape] with their `labels`."""
    logs = torch.log_softmax(torch.from_numpy(Ensemble(graph, weights).logits(x)), dim=2).numpy()
    losses: NDArray[np.float64] = -logs[:, np.arange(len(labels)), labels]
    return losses


def _check(
    teachers: NDArray[np.float64],
    auxiliary: NDArray[np.float32],
    pool: NDArray[np.float32],
    labels: NDArray[np.int64],
    epochs: int,
) -> None:
    if teachers.ndim != 3 or teachers.shape[1] != len(auxiliary) or not np.isfinite(teachers).all():
        given = f"shape {teachers.shape} for {len(auxiliary)} auxiliary samples"
        raise BadInput("teacher_logits", given, "[model, auxiliary sample, class], all finite")
    if pool.shape[1:] != auxiliary.shape[1:]:
        raise BadInput(
            "pool", f"samples of shape {pool.shape[1:]}", f"{auxiliary.shape[1:]}, that of the auxiliary set"
        )
    if labels.shape != (len(pool),) or (len(labels) and not 0 <= labels.min() <= labels.max() < teachers.shape[2]):
        raise BadInput("labels", f"shape {labels.shape}", f"{len(pool)} labels from 0 to {teachers.shape[2] - 1}")
    if epochs < 1:
        raise BadInput("epochs", epochs, "1 or more")
