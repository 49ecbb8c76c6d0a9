"""Fast execution equals the definition, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from hwsim import reference
from hwsim.network.execute import execute
from tests.networks import networks_with_inputs


@settings(max_examples=150, deadline=None, derandomize=True)
@given(networks_with_inputs())
def test_execution_equals_the_reference(case):
    network, codes = case
    execution = execute(network, codes)
    expected = reference.run(network, codes)
    last = network.layers[-1].name
    assert execution.outputs.dtype == np.int32
    np.testing.assert_array_equal(execution.outputs, expected[last].reshape(len(codes), -1))
    regions = {la.name: la for la in network.layers if la.region}
    assert execution.masks.keys() == regions.keys()
    for name, layer in regions.items():
        mask = reference.sensitive_regions(layer.region, expected[layer.inputs[0]])
        np.testing.assert_array_equal(execution.masks[name], mask)
