from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import BadInput
from hwsim.formats import Format, QTensor
from hwsim.network.file import load, save
from hwsim.network.fit_widths import fit_widths
from hwsim.network.graph import Network
from hwsim.network.layer import Geometry, Region
from hwsim.network.width_groups import width_groups
from tests.support.small_network import small_network


def with_narrow_filters(network: Network) -> Network:
    """Return the network with the weights of every second filter of the convolution between -8 and 7."""
    conv = network.layers[0]
    assert conv.weight is not None
    codes = conv.weight.codes.copy()
    codes[::2] = np.clip(codes[::2], -8, 7)
    return replace(network, layers=(replace(conv, weight=replace(conv.weight, codes=codes)), *network.layers[1:]))


NETWORK = with_narrow_filters(small_network())
FITTED = fit_widths(NETWORK)


def test_every_filter_has_the_narrowest_width_that_represents_its_weights() -> None:
    assert FITTED.layers[0].filter_bits == (4, 8) * 4
    assert FITTED.layers[-1].filter_bits == ()  # none is narrower
    assert fit_widths(NETWORK, [3, 5, 6]).layers[0].filter_bits == (5, 8) * 4


def test_the_width_groups_contain_all_filters() -> None:
    (wide_name, wide), (narrow_name, narrow) = width_groups(FITTED.layers[0])
    assert (wide_name, narrow_name) == ("conv:w8", "conv:w4")
    codes = FITTED.layers[0].weight.codes  # type: ignore[union-attr]
    np.testing.assert_array_equal(wide.weight.codes, codes[1::2])  # type: ignore[union-attr]
    np.testing.assert_array_equal(narrow.weight.codes, codes[::2])  # type: ignore[union-attr]
    assert narrow.weight.format == Format(4, signed=True)  # type: ignore[union-attr]


def test_a_layer_of_one_width_is_its_own_group() -> None:
    assert width_groups(NETWORK.layers[0]) == (("conv", NETWORK.layers[0]),)


def test_a_file_keeps_the_widths(tmp_path: Path) -> None:
    save(FITTED, tmp_path / "net.npz")
    assert load(tmp_path / "net.npz").layers[0].filter_bits == (4, 8) * 4


@pytest.mark.parametrize(
    ("widths", "text"),
    [
        ((4,) * 7, "got 7 widths; allowed: 8, one per filter"),
        ((9,) * 8, r"filter_bits\[0\]: got 9; allowed: 1 to 8"),
        ((4,) * 8, r"filter_bits\[1\]: got 4 bits for weights up to \d+; allowed: a width that represents them"),
    ],
)
def test_impossible_widths_are_refused(widths: tuple[int, ...], text: str) -> None:
    with pytest.raises(BadInput, match=text):
        replace(NETWORK, layers=(replace(NETWORK.layers[0], filter_bits=widths), *NETWORK.layers[1:]))


def test_layers_that_have_one_width_only_are_refused() -> None:
    region = Region(2, 2, 16, np.ones((8, 1, 3, 3), np.int8))
    network = with_narrow_filters(small_network(region))
    assert fit_widths(network).layers[0].filter_bits == ()
    with pytest.raises(BadInput, match="convolutions of one group"):
        replace(network, layers=(replace(network.layers[0], filter_bits=(8,) * 8), *network.layers[1:]))
    depthwise = replace(network.layers[0], region=None, geometry=Geometry((3, 3), (1, 1), (1, 1), groups=2))
    assert width_groups(depthwise) == (("conv", depthwise),)


def test_widths_start_at_one() -> None:
    with pytest.raises(BadInput, match="each from 1"):
        fit_widths(NETWORK, [])


def test_no_code_depends_on_the_widths() -> None:
    x = np.random.default_rng(0).random((5, 1, 8, 8))
    np.testing.assert_array_equal(FITTED.encode(x), NETWORK.encode(x))
    assert FITTED.formats == NETWORK.formats
    assert isinstance(FITTED.layers[0].weight, QTensor)
