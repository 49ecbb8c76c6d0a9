"""The page docs/hq1.md says what `hwsim.reference` computes: an executor that follows the page gives the same bits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from hwsim import reference
from hwsim.formats import Format, QTensor
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Layer, Op, Requantizer, Rounding, Softmax
from tests.oracles import hq1_page
from tests.support.networks import networks_with_inputs


def assert_page_says(network: Network, codes: np.ndarray) -> None:
    wanted = reference.run(network, codes)
    for sample, values in enumerate(hq1_page.execute(network, codes)):
        for name, got in values.items():
            np.testing.assert_array_equal(got.astype(np.int64), wanted[name][sample], err_msg=name)


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks_with_inputs())
def test_the_page_equals_the_definition(case):
    network, codes = case
    assert_page_says(network, codes[:1])


def compare(layer: Layer, codes: np.ndarray, source: Format) -> None:
    got = hq1_page._layer(layer, [codes.astype(object)], [source])
    wanted = reference.compute(layer, [codes.astype(np.int64)[None]], [source])[0]
    np.testing.assert_array_equal(got.astype(np.int64), wanted)


def test_rules_that_random_networks_seldom_show():
    """The zero point of a softmax, the 16 bits of a root, and the wrap of gemmlowp_double."""
    codes = np.random.default_rng(0).integers(-8, 8, (40, 7))
    s8, s16 = Format(4, signed=True), Format(16, signed=True)
    rule = Softmax(np.array([64, 32, 16, 3]), one=256)
    compare(Layer("p", Op.SOFTMAX, (INPUT,), Format(8, signed=True, zero_point=-128), softmax=rule), codes, s8)
    weight = QTensor(np.arange(1, 8, dtype=np.int8), Format(8, signed=True))
    one, bias = np.ones(1, np.int64), np.arange(7)
    plain = Requantizer(one, 0 * one, s16.qmin, s16.qmax)
    norm = Layer("n", Op.LAYER_NORM, (INPUT,), s16, weight=weight, bias=bias, requantizer=plain)
    compare(norm, codes, s8)
    for shift in (0, 3, 20, 31, 40):
        double = Requantizer(one * (2**30 + 12345), one * shift, s16.qmin, s16.qmax, Rounding.GEMMLOWP_DOUBLE)
        compare(dataclasses.replace(norm, requantizer=double), codes, s8)


@pytest.mark.long
@settings(max_examples=4000, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks_with_inputs())
def test_the_page_equals_the_definition_on_many_networks(case):
    network, codes = case
    assert_page_says(network, codes[:2])
