"""Region masks and the doubled map against the definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.formats import Format, QTensor
from hwsim.kernels import products, regions
from hwsim.network.layer import FRACTION_BITS, Layer, Op, Region
from tests.networks import codes_of, geometries


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_masks_equal_the_reference(data):
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7)))
    codes = codes_of(data.draw, Format(8), (3, *shape)).astype(np.int16)
    threshold = data.draw(st.sampled_from((0, 1, 1500, 2040, 2**31 - 1)) | st.integers(1000, 3000))
    region = Region(data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), threshold, np.zeros(1, np.int8))
    mask = regions.sensitive_regions(codes, region.height, region.width, threshold, FRACTION_BITS)
    np.testing.assert_array_equal(mask, reference.sensitive_regions(region, codes))


def test_a_region_exactly_at_the_threshold_is_sensitive():
    codes = np.array([[[[3, 4], [3, 3]]]], dtype=np.int16)  # means 3.5 and 3 at region height 1
    at_the_mean = 7 << (FRACTION_BITS - 1)
    assert regions.sensitive_regions(codes, 1, 2, at_the_mean, FRACTION_BITS).tolist() == [[[True], [False]]]
    region = Region(1, 2, at_the_mean, np.zeros(1, np.int8))
    assert reference.sensitive_regions(region, codes).tolist() == [[[True], [False]]]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_doubled_map_equals_the_reference(data):
    x, w = Format(data.draw(st.integers(2, 8))), Format(data.draw(st.integers(1, 8)), signed=True)
    low_bits = data.draw(st.integers(1, min(x.bits - 1, w.bits)))
    groups, depth = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    shape = (groups * depth, data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7)))
    g = data.draw(geometries(shape, groups))
    codes = codes_of(data.draw, x, (2, *shape)).astype(np.int16)
    w_shape = (groups * data.draw(st.integers(1, 2)), depth, *g.kernel)
    weight, low = codes_of(data.draw, w, w_shape), codes_of(data.draw, Format(low_bits, signed=True), w_shape)
    threshold = data.draw(st.integers(0, x.qmax << FRACTION_BITS))
    region = Region(data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)), threshold, low, low_bits)
    bias = np.arange(w_shape[0])
    layer = Layer("c", Op.CONV, ("input",), x, weight=QTensor(weight, w), bias=bias, geometry=g, region=region)

    mask = regions.sensitive_regions(codes, region.height, region.width, threshold, FRACTION_BITS)
    doubled = regions.split(codes, mask, region.height, region.width, low_bits, x.bits - low_bits, groups)
    packed = products.pack(regions.join_weights(weight, low, w.bits - low_bits), groups)
    sums = products.convolve(doubled, 0, packed, bias.astype(np.int32), g.kernel, g.stride, g.padding)
    np.testing.assert_array_equal(sums, reference.accumulate(layer, codes.astype(np.int64), x))
