"""Training and execution of many small networks, as in an audit, against one network after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hwsim.engine.execute import execute
from hwsim.network.graph import Network
from hwsim.registry import build
from hwsim.rng import derive_seed
from hwsim.training.ensemble import Members, train
from hwsim.training.models.base import Model
from tests.bench.exact import exact_outputs, run_ours
from tests.bench.networks import random_images, small_cnn
from tests.bench.row import Row
from tests.bench.threads import use_threads
from tests.bench.timing import interleave

NETWORKS, IMAGES = 64, 256

TRAINED = 17
"""Networks trained together: a target and sixteen shadow models."""

TRAINING = {
    "28x28, filters 8-16-16": ((1, 28, 28), (8, 16, 16), 512),
    "8x8, filters 16-32": ((1, 8, 8), (16, 32), 1024),
}
"""Name of the work -> image shape, filters and samples: networks of the Fashion-MNIST study and of the demo."""


def rows() -> Iterator[Row]:
    """Yield the rows of training and inference of all networks, against a loop over networks."""
    use_threads()
    for name, (shape, channels, samples) in TRAINING.items():
        yield training_row(
            name, build("model", "small_cnn", channels=channels, epochs=1), random_members(shape, samples)
        )
    yield inference_row()


def training_row(name: str, model: Model, members: Members) -> Row:
    """Return the row of one training epoch of an ensemble, against torch modules one after another."""
    calls = {
        "ours": lambda: train(model, members).logits(members.x[:64]),
        "single": lambda: trained_singly(model, members),
    }
    times = interleave(calls, dict.fromkeys(calls, trained_singly(model, members)))
    rate = {name: TRAINED / value for name, value in times.items()}
    work = f"train {TRAINED} small CNNs, {name}"
    return Row("ensemble", work, rate["ours"], "one after another", rate["single"], "epochs/s", goal=2.0)


def random_members(shape: tuple[int, ...], samples: int) -> Members:
    """Return random images of ten classes; each model trains on a random half."""
    rng = np.random.default_rng(0)
    keep = rng.permuted(np.tile(np.arange(samples) % 2 == 0, (TRAINED, 1)), axis=1)
    return Members(rng.random((samples, *shape), dtype=np.float32), rng.integers(0, 10, samples), keep)


def trained_singly(model: Model, members: Members) -> NDArray[np.float64]:
    """Return logits [model, sample, class] on 64 images, from torch with equal recipe, weights and order."""
    x, labels = torch.from_numpy(members.x), torch.from_numpy(members.labels)
    order = torch.from_numpy(members.order("train", 0, model.batch))
    return np.stack([one_module(model, x, labels, number, order[number]) for number in members.numbers])


def one_module(
    model: Model, x: torch.Tensor, labels: torch.Tensor, number: int, order: torch.Tensor
) -> NDArray[np.float64]:
    """Train model `number` for one epoch and return its logits [sample, class] on 64 images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(0, "initial weights", number))
        net = model.module(tuple(x.shape[1:]), int(labels.max()) + 1)
    optimizer = torch.optim.Adam(net.parameters(), model.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(order) // model.batch)
    for chosen in order.split(model.batch):
        loss = F.cross_entropy(net(x[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return np.asarray(net(x[:64]).double())


def inference_row() -> Row:
    """Return the row of the integer outputs of all networks on the same images."""
    networks = [small_cnn(seed) for seed in range(NETWORKS)]
    codes = random_images(networks[0], IMAGES)
    expected = np.stack([exact_outputs(network, codes) for network in networks])
    calls = {"ours": partial(our_ensemble, networks, codes), "single": partial(single_runs, networks, codes)}
    times = interleave(calls, dict.fromkeys(calls, expected))
    rate = {name: NETWORKS * IMAGES / value for name, value in times.items()}
    work = f"{NETWORKS} small CNNs, {IMAGES} images"
    return Row("ensemble", work, rate["ours"], f"{NETWORKS} single runs", rate["single"], "images/s", goal=1.0)


def our_ensemble(networks: Sequence[Network], codes: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return outputs [network, sample, class] of all networks, as an audit calls them."""
    return np.stack([execute(network, codes).outputs for network in networks])


def single_runs(networks: Sequence[Network], codes: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return the same outputs by one `run_ours` per network."""
    return np.stack([run_ours(network, codes) for network in networks])
