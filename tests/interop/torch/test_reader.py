"""Graphs of torch modules compute the same function as torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwsim.errors import HwsimError
from hwsim.float_graph.graph import FloatArithmetic, logits
from hwsim.interop.torch.reader import import_module
from hwsim.network.layer import Op
from hwsim.registry import build, family


def check_equal(module: nn.Module, shape: tuple[int, ...]) -> None:
    module = module.eval()
    graph, weights = import_module(module, shape)
    x = torch.rand(5, *shape)
    with torch.no_grad():
        torch.testing.assert_close(logits(graph, weights, x, FloatArithmetic())[0], module(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(family("model")))
def test_every_model_of_the_registry_is_imported(name: str) -> None:
    torch.manual_seed(0)
    check_equal(build("model", name).module((1, 8, 8), 10), (1, 8, 8))


def test_batch_norm_is_folded() -> None:
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(6)
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3, bias=False), norm, nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(6 * 36, 3)
    )
    net.train()(torch.rand(16, 2, 8, 8) * 3)
    with torch.no_grad():
        assert norm.weight is not None
        norm.weight.uniform_(0.5, 2)
    check_equal(net, (2, 8, 8))
    graph, _ = import_module(net.eval(), (2, 8, 8))
    assert [node.op for node in graph.nodes] == [Op.CONV, Op.FLATTEN, Op.LINEAR]


def test_dilation_is_imported() -> None:
    torch.manual_seed(2)
    check_equal(
        nn.Sequential(nn.Conv2d(2, 3, 3, padding=2, dilation=(2, 1)), nn.Flatten(), nn.Linear(3 * 80, 2)), (2, 8, 8)
    )


@pytest.mark.parametrize(
    ("layers", "word"),
    [
        ([nn.Conv2d(1, 2, 3, padding="same")], "padding .same"),
        ([nn.Linear(4, 2), nn.Sigmoid()], "Sigmoid"),
        ([nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)], "directly follow"),
        ([nn.MaxPool2d(3, ceil_mode=True), nn.Flatten(), nn.Linear(9, 2)], "ceil_mode"),
        ([nn.Linear(4, 2), nn.ReLU()], "logits"),
    ],
)
def test_a_layer_without_integer_counterpart_is_named(layers: list[nn.Module], word: str) -> None:
    with pytest.raises(HwsimError, match=word):
        import_module(nn.Sequential(*layers), (1, 8, 8))


def test_a_relu_is_not_fused_into_a_value_with_other_readers() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x)
            return self.b(torch.relu(y) + y)

    with pytest.raises(HwsimError, match="nothing else may read"):
        import_module(Two(), (4,))


def test_stacked_models_do_not_mix() -> None:
    """A stack of different models gives the logits of each model."""
    from hwsim.float_graph.graph import repeat_input

    torch.manual_seed(2)
    nets = [build("model", "small_resnet").module((2, 8, 8), 4).eval() for _ in range(3)]
    parts = [import_module(net, (2, 8, 8)) for net in nets]
    stacked = {name: torch.cat([w[name] for _, w in parts]) for name in parts[0][1]}
    x = torch.rand(6, 2, 8, 8)
    with torch.no_grad():
        got = logits(parts[0][0], stacked, repeat_input(x, 3), FloatArithmetic())
        want = torch.stack([net(x) for net in nets])
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-4, atol=1e-5)
