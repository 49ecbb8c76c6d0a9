"""Summary of a network: one screen with its layers, formats, policies and totals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from hwsim.network.fit_widths import fit_widths
from hwsim.network.layer import Region
from hwsim.network.product import as_product
from hwsim.network.summary import layer_products, weight_bits
from tests.support.networks import networks_with_inputs
from tests.support.small_network import small_network

SMALL = """\
HQ1 network; input 1x8x8, uint8, scale 0.003922
layer  op        inputs  output  codes  weights     accumulator    requantizer  products
conv   conv      input   8x8x8   uint8  72 int8     32 bits, wrap  half_up         4,608
pool   max_pool  conv    8x4x4   uint8  -           -              -                   -
flat   flatten   pool    128     uint8  -           -              -                   -
head   linear    flat    10      int32  1,280 int8  32 bits, wrap  -               1,280
4 layers, 1,352 weights of 10,816 bits, 5,888 products per sample"""


def test_a_printed_network_is_one_screen():
    network = small_network()
    assert str(network) == SMALL
    assert repr(network) == "<Network: input uint8 [1, 8, 8], 4 layers>"


def test_region_precision_and_filter_widths_are_shown():
    network = small_network(Region(4, 4, 128, np.ones((8, 1, 3, 3), np.int8)))
    assert "72 int8, or 4 bits by region" in str(network)
    conv, *others = small_network().layers
    codes = conv.weight.codes.copy()
    codes[0] = 1
    narrow = replace(conv, weight=replace(conv.weight, codes=codes))
    fitted = fit_widths(replace(small_network(), layers=(narrow, *others)))
    assert fitted["conv"].filter_bits[0] == 2
    assert weight_bits(fitted["conv"]) == 9 * sum(fitted["conv"].filter_bits)
    assert f"72 int8, 2 to {max(fitted['conv'].filter_bits)} bits" in str(fitted)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(networks_with_inputs())
def test_products_equal_the_macs_of_the_array(case):
    network, _ = case
    lines = str(network).splitlines()
    assert len(lines) == len(network.layers) + 3
    for layer, line in zip(network.layers, lines[2:-1], strict=True):
        wanted = as_product(network, layer).macs if layer.has_macs else 0
        assert layer_products(layer, network.shapes) == wanted
        assert line.split()[0] == layer.name
        assert line.endswith(f" {wanted:,}" if wanted else " -")


@pytest.mark.parametrize("name", ["pool", "flat"])
def test_layers_without_weights_have_no_bits(name):
    assert weight_bits(small_network()[name]) == 0
