"""The page docs/hq1.md says what `hwsim.reference` computes: an executor that follows the page gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from hwsim import reference
from hwsim.network.graph import Network
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


@pytest.mark.long
@settings(max_examples=4000, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks_with_inputs())
def test_the_page_equals_the_definition_on_many_networks(case):
    network, codes = case
    assert_page_says(network, codes[:2])
