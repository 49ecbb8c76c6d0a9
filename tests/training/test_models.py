"""Models of the literature: sizes, fit to their members, exact integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from hwsim.engine.execute import execute
from hwsim.errors import HwsimError
from hwsim.privacy.game import balanced_keep
from hwsim.quantizers.quantize import quantize_ensemble
from hwsim.reference import run
from hwsim.registry import build
from hwsim.training.ensemble import Ensemble, Members, train

SMALL: Mapping[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "location_mlp": ((20,), {}),
    "purchase_mlp": ((20,), {"hidden": (48, 32, 24, 16)}),
    "texas_mlp": ((20,), {"hidden": (48, 32, 24, 16)}),
    "resnet8": ((3, 8, 8), {"width": 3}),
    "resnet20": ((3, 8, 8), {"width": 2}),
    "resnet18_slim": ((3, 16, 16), {"width": 2}),
}


@pytest.mark.parametrize(
    ("name", "shape", "classes", "linear"),
    [
        ("location_mlp", (446,), 30, [(256, 446), (256, 256), (30, 256)]),
        ("purchase_mlp", (600,), 100, [(1024, 600), (512, 1024), (256, 512), (128, 256), (100, 128)]),
        ("texas_mlp", (6170,), 100, [(1024, 6170), (512, 1024), (256, 512), (128, 256), (100, 128)]),
    ],
)
def test_perceptrons_have_the_published_sizes(
    name: str, shape: tuple[int, ...], classes: int, linear: list[tuple[int, int]]
) -> None:
    with torch.device("meta"):
        module = build("model", name).module(shape, classes)
    assert [tuple(m.weight.shape) for m in module.modules() if isinstance(m, torch.nn.Linear)] == linear


@pytest.mark.parametrize(
    ("name", "layers", "filters"), [("resnet8", 8, 64), ("resnet20", 20, 64), ("resnet18_slim", 18, 128)]
)
def test_residual_networks_have_the_layers_of_their_names(name: str, layers: int, filters: int) -> None:
    """Counts 3x3 convolutions and the linear layer, without the 1x1 convolutions of shortcuts."""
    with torch.device("meta"):
        module = build("model", name).module((3, 32, 32), 10)
    windows = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(windows) + 1 == layers
    assert windows[-1].out_channels == filters
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in module.modules())


def test_the_scaled_initialization_keeps_the_variance_of_a_deep_network() -> None:
    torch.manual_seed(0)
    module = build("model", "resnet20").module((3, 32, 32), 10)
    features = torch.nn.Sequential(*list(module.children())[:-3])
    with torch.no_grad():
        x = torch.rand(4, 3, 32, 32)
        growth = features(x).square().mean().sqrt() / torch.relu(module[0](x)).square().mean().sqrt()
    assert 0.3 < growth < 4


@pytest.fixture(scope="module", params=SMALL)
def trained(request: pytest.FixtureRequest) -> tuple[Ensemble, np.ndarray]:
    shape, settings = SMALL[request.param]
    rng = np.random.default_rng(0)
    x, labels = rng.random((24, *shape), dtype=np.float32), np.arange(24) % 3
    model = build("model", request.param, **settings | {"epochs": 60, "batch": 6, "learning_rate": 3e-3})
    return train(model, Members(x, labels, balanced_keep(4, 24, 0))), x


def test_models_fit_their_members(trained: tuple[Ensemble, np.ndarray]) -> None:
    ensemble, x = trained
    right = ensemble.logits(x).argmax(2) == np.arange(24) % 3
    assert right[balanced_keep(4, 24, 0)].mean() > 0.9


@pytest.mark.parametrize("quantizer", ["minmax", "drq"])
def test_quantized_models_are_exact(trained: tuple[Ensemble, np.ndarray], quantizer: str) -> None:
    ensemble, x = trained
    network = quantize_ensemble(ensemble, build("quantizer", quantizer), x[:12])[1]
    codes = network.encode(x)
    outputs = execute(network, codes).outputs
    np.testing.assert_array_equal(outputs, run(network, codes)[network.layers[-1].name])
    agree = (outputs.argmax(1) == ensemble.logits(x)[1].argmax(1)).mean()
    assert quantizer == "drq" or agree > 0.9


@pytest.mark.parametrize("name", ["resnet8", "resnet20", "resnet18_slim"])
def test_a_residual_network_needs_images(name: str) -> None:
    with pytest.raises(HwsimError, match=f"model {name}: it needs images"):
        build("model", name).module((20,), 3)
