"""Loss trajectories: the loss of a sample after each epoch of distilling a model into a student.

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
from hwsim.training.ensemble import Ensemble, Members, gather, initial_weights, training_plan
from hwsim.training.fit import Parameters, Progress, fit, models_per_group
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
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Compute the cross-entropy of every pool sample after each epoch of distilling each model.

    One student per teacher is trained on the KL divergence from the softmax of the teacher. The last feature of the
    attack, the loss of the model itself, is not included.

    Parameters
    ----------
    teacher_logits : float [model, auxiliary sample, class], logits of the float models or of the hardware on
        `auxiliary`
    auxiliary : float32 [auxiliary sample, *shape], members of no model
    pool : float32 [sample, *shape], the audited samples
    labels : int64 [sample], labels of `pool`
    model : architecture, optimizer settings and batch of the students. The released code uses SGD at .1.
    epochs : epochs of distillation; 100 in the paper
    seed : seed of initial weights and sample order
    progress : callback with the completed share of the work

    Returns
    -------
    float64 [model, sample, epoch]

    Raises
    ------
    BadInput : for arrays that do not match each other.

    >>> from hwsim.registry import build
    >>> x, teachers = np.eye(8, dtype=np.float32), np.zeros((2, 8, 3))
    >>> loss_trajectory(teachers, x, x[:5], np.arange(5) % 3, build("model", "mlp", hidden=(4,)), epochs=6).shape
    (2, 5, 6)
    """
    teachers = np.asarray(teacher_logits, dtype=np.float64)
    _check(teachers, auxiliary, pool, labels, epochs)
    samples, classes = teachers.shape[1:]
    all_samples = np.ones(teachers.shape[:2], dtype=np.bool_)
    students = Members(auxiliary, np.zeros(samples, dtype=np.int64), all_samples, seed=seed)
    graph, weights = initial_weights(model, students, classes)
    x, targets = torch.from_numpy(auxiliary), torch.log_softmax(torch.from_numpy(teachers), dim=2).float()
    losses = np.empty((len(teachers), len(labels), epochs), dtype=np.float64)

    def loss(parameters: Parameters, models: slice, chosen: Tensor) -> Tensor:
        out = logits(graph, parameters, gather(x, chosen), GroupArithmetic(models, len(teachers)))
        target = targets[models].gather(1, chosen[:, :, None].expand(-1, -1, classes))
        divergence = F.kl_div(torch.log_softmax(out, dim=2), target, reduction="sum", log_target=True)
        return divergence / chosen.shape[1]

    def record_losses(epoch: int, parameters: Parameters) -> None:
        losses[:, :, epoch] = label_losses(graph, parameters, pool, labels)

    plan = training_plan(model, students, "distill", epochs, loss)
    fit(weights, plan, models_per_group(graph, weights, model.batch), progress, epoch_callback=record_losses)
    return losses


def label_losses(
    graph: FloatGraph, weights: Parameters, x: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute the cross-entropy float64 [model, sample] of every model on inputs `x` [sample, *shape]."""
    log_probabilities = torch.log_softmax(torch.from_numpy(Ensemble(graph, weights).logits(x)), dim=2).numpy()
    losses: NDArray[np.float64] = -log_probabilities[:, np.arange(len(labels)), labels]
    return losses


def _check(
    teachers: NDArray[np.float64],
    auxiliary: NDArray[np.float32],
    pool: NDArray[np.float32],
    labels: NDArray[np.int64],
    epochs: int,
) -> None:
    """Raise BadInput where the arguments of `loss_trajectory` do not match each other."""
    if teachers.ndim != 3 or teachers.shape[1] != len(auxiliary) or not np.isfinite(teachers).all():
        given = f"shape {teachers.shape} for {len(auxiliary)} auxiliary samples"
        raise BadInput("teacher_logits", given, "[model, auxiliary sample, class], all finite")
    if pool.shape[1:] != auxiliary.shape[1:]:
        allowed = f"{auxiliary.shape[1:]}, the shape of the auxiliary samples"
        raise BadInput("pool", f"samples of shape {pool.shape[1:]}", allowed)
    if labels.shape != (len(pool),) or (len(labels) and not 0 <= labels.min() <= labels.max() < teachers.shape[2]):
        raise BadInput("labels", f"shape {labels.shape}", f"{len(pool)} labels from 0 to {teachers.shape[2] - 1}")
    if epochs < 1:
        raise BadInput("epochs", epochs, "1 or more")
