"""Sizes of maps, batches and channels around multiples of register blocks, vectors, words and chunks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwsim.formats import TERNARY, Format, Kind
from hwsim.kernels.inference.instructions import Epilogue
from hwsim.kernels.inference.instructions import StepKind as Step
from hwsim.network.layer import INT32, Accumulator, Geometry, Layer, Op, Overflow, Region, Rounding, Thresholds
from tests.support.agree import (
    COMPILED,
    S8,
    S16,
    U8,
    add,
    assert_cuts_agree,
    assert_kernels_agree,
    conv,
    linear,
    network,
    random_codes,
    spreading,
    steps,
    threads,
)

SAME = Geometry((3, 3), padding=(1, 1))
BINARY = Format(1, kind=Kind.BINARY)
S4 = Format(4, signed=True)


def two_layers(shape: tuple[int, ...], filters: int, geometry: Geometry = SAME, **first):
    """Return a convolution followed by a pointwise convolution with three maps of logits."""
    return network(
        U8, shape, conv("one", "input", shape[0], filters, geometry, **first),
        conv("two", "one", filters, 3, last=True, seed=9),
    )  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_small_maps_with_few_samples(size):
    net = two_layers((5, size, size), 17)
    codes = random_codes(size, U8, 9, 5, size, size)
    for samples in (1, 2, 3, 4, 5, 9):
        for count in (1, 2):
            with threads(count):
                assert_kernels_agree(net, codes[:samples])


@pytest.mark.parametrize("filters", [1, 10, 16, 17, 32, 33, 48])
@pytest.mark.parametrize(
    "first",
    [
        {},
        {"w": TERNARY},
        {"r": dataclasses.replace(spreading(27), rounding=Rounding.HALF_EVEN)},
        {"w": S16, "accumulator": Accumulator(40)},
        {"accumulator": Accumulator(14, Overflow.SATURATE_END)},
        {"output": Format(12, signed=True)},
    ],
    ids=["bytes", "ternary", "half_even", "wide_weights", "saturating", "wide_codes"],
)
def test_filters_around_whole_vectors(filters, first):
    net = two_layers((3, 6, 7), filters, **first)
    assert_kernels_agree(net, random_codes(filters, U8, 3, 3, 6, 7))


@pytest.mark.parametrize("filters", [1, 10, 16, 17, 32, 33, 48])
def test_logits_around_whole_vectors(filters):
    net = network(U8, (3, 4, 5), conv("out", "input", 3, filters, SAME, last=True))
    assert_kernels_agree(net, random_codes(filters, U8, 2, 3, 4, 5))


@pytest.mark.parametrize("filters", [16, 32, 48])
def test_every_lane_of_every_vector_counts(filters):
    """Each filter has one weight, its own number, so that a lost or doubled lane changes an output."""
    weight = np.zeros((filters, filters, 1, 1), np.int64)
    weight[range(filters), range(filters), 0, 0] = np.arange(filters) + 1
    out = dataclasses.replace(conv("out", "input", filters, filters, last=True), bias=np.zeros(filters, np.int64))
    out = dataclasses.replace(out, weight=dataclasses.replace(out.weight, codes=weight))
    wanted = assert_kernels_agree(network(U8, (filters, 1, 5), out), np.ones((1, filters, 1, 5), np.int64))
    np.testing.assert_array_equal(wanted.outputs.reshape(filters, 5), np.arange(1, filters + 1)[:, None].repeat(5, 1))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17])
@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (2, 2), (5, 3)])
def test_runs_of_bytes_around_whole_words(channels, kernel):
    net = two_layers((channels, 5, 6), 4, Geometry(kernel, padding=(2, 1)))
    assert_kernels_agree(net, random_codes(channels, U8, 2, channels, 5, 6))


@pytest.mark.parametrize("features", [1, 2, 3, 4, 5, 63, 64, 65, 129])
def test_features_around_whole_words(features):
    net = network(U8, (features,), linear(random_codes(features, S8, 11, features)))
    codes = random_codes(1, U8, 9, features)
    for samples in (1, 2, 3, 4, 5, 9):
        assert_kernels_agree(net, codes[:samples])


@pytest.mark.parametrize("w", [S8, Format(1, kind=Kind.BINARY), S16], ids=str)
@pytest.mark.parametrize("x", [U8, Format(12, signed=True, zero_point=-77)], ids=str)
def test_a_map_that_crosses_every_edge(x, w):
    """17 x 19 pixels of 20 channels to 40 filters, stride 2: no size is a multiple of a block, vector or word."""
    geometry = Geometry((3, 3), (2, 2), (1, 1))
    accumulator = Accumulator(48, Overflow.CHECK)
    net = network(
        x, (20, 17, 19), conv("one", "input", 20, 40, geometry, w=w, accumulator=accumulator),
        conv("two", "one", 40, 10, Geometry((3, 2), (2, 1)), last=True),
    )  # fmt: skip
    assert net.shapes["one"] == (40, 9, 10)
    codes = random_codes(3, x, 3, 20, 17, 19)
    assert_kernels_agree(net, codes)
    for kernels in COMPILED[:1]:
        assert_cuts_agree(net, codes, kernels, chunks=(1, 40_000))


@pytest.mark.parametrize("rows", range(1, 9))
@pytest.mark.parametrize("precise", [True, False])
def test_work_space_of_every_size(rows, precise):
    """Segments and a row of sums have equal sizes, so that memory that is freed early is overwritten at once."""
    for filters in (2 * rows, 4 * rows, 8 * rows):
        low = None if precise else Region(2, 2, 60 << 4, random_codes(rows, S4, filters, 2, rows, 1).astype(np.int8))
        levels = Thresholds(np.sort(random_codes(filters, S16, filters, 7), axis=1), 0)
        first = conv("one", "input", 2, filters, Geometry((rows, 1)), r=levels, region=low)
        net = network(U8, (2, 9, 3), first, conv("two", "one", filters, 3, last=True))
        assert_kernels_agree(net, random_codes(rows, U8, 5, 2, 9, 3))


@pytest.mark.parametrize("channels", [2, 15, 16, 17, 33])
@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((3, 3), padding=(1, 1)),
        Geometry((5, 3), (2, 2), (2, 0), padding_end=(0, 1)),
        Geometry((2, 3), (1, 1), (0, 2), dilation=(2, 3), padding_end=(2, 0)),
    ],
    ids=["same", "stride", "dilation"],
)
def test_depthwise_convolutions(channels, geometry):
    geometry = dataclasses.replace(geometry, groups=channels)
    net = two_layers((channels, 7, 8), channels, geometry)
    codes = random_codes(channels, U8, 5, channels, 7, 8)
    assert_kernels_agree(net, codes)
    for kernels in COMPILED:
        assert (Step.DEPTHWISE, Epilogue.BYTES) in steps(net, kernels)
        assert_cuts_agree(net, codes, kernels)


@pytest.mark.parametrize(
    ("channels", "groups", "filters"), [(4, 2, 6), (6, 3, 51), (12, 4, 68), (8, 8, 16), (34, 2, 2)]
)
def test_grouped_convolutions(channels, groups, filters):
    geometry = Geometry((3, 2), (1, 2), (1, 0), groups=groups)
    net = two_layers((channels, 5, 9), filters, geometry)
    assert_kernels_agree(net, random_codes(groups, U8, 3, channels, 5, 9))


@pytest.mark.parametrize("channels", [1, 5, 31, 32, 33, 64, 70])
@pytest.mark.parametrize("filters", [1, 16, 33])
def test_binary_convolutions(channels, filters):
    """Activations and weights of -1 and +1, with and without padding, with thresholds and rounded half up."""
    per_channel = Thresholds(np.arange(filters)[:, None] - filters // 2, 0)
    first = conv("a", "input", channels, filters, Geometry((2, 3), (1, 2)), w=BINARY, output=BINARY, r=per_channel)
    padded = conv("b", "a", filters, filters, SAME, w=BINARY, output=BINARY, r=Thresholds(np.array([[3]]), 0), seed=2)
    net = network(
        BINARY, (channels, 6, 7), first, padded,
        conv("c", "a", filters, 9, Geometry((3, 1), dilation=(2, 1)), w=BINARY, seed=3),
        conv("d", "b", filters, 9, Geometry((5, 1)), w=BINARY, accumulator=Accumulator(8), seed=4),
        add("c", "d"), conv("out", "add", 9, 3, last=True),
    )  # fmt: skip
    codes = random_codes(channels, BINARY, 5, channels, 6, 7)
    assert_kernels_agree(net, codes)
    for kernels in COMPILED:
        assert_cuts_agree(net, codes, kernels)


@pytest.mark.parametrize("features", [1, 31, 32, 33, 63, 64, 65, 200])
@pytest.mark.parametrize("accumulator", [INT32, Accumulator(8), Accumulator(8, Overflow.SATURATE_END)], ids=str)
def test_binary_vectors(features, accumulator):
    sign = Thresholds(np.array([[-1]]), 0)
    weight = random_codes(1, BINARY, 40, features), random_codes(2, BINARY, 10, 40)
    hidden = linear(weight[0], BINARY, None, "input", "hidden", sign, BINARY, accumulator)
    net = network(
        BINARY, (3, features), hidden, linear(weight[1], BINARY, range(10), "hidden", accumulator=accumulator)
    )
    codes = random_codes(features, BINARY, 6, 3, features)
    codes[0], codes[1] = 0, 1
    assert_kernels_agree(net, codes)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (16, 16)])
def test_regions_on_every_map(groups, size):
    """Region precision with groups, dilation and one-sided padding; the regions do not divide the map."""
    geometry = Geometry((3, 3), (1, 2), (1, 0), groups, (2, 1), (0, 1))
    low = random_codes(4, Format(4, signed=True), 8, 4 // groups, 3, 3).astype(np.int8)
    region = Region(*size, threshold=60 << 4, low_weight=low)
    net = two_layers((4, 9, 10), 8, geometry, region=region)
    codes = random_codes(5, U8, 5, 4, 9, 10) // np.arange(1, 6).reshape(5, 1, 1, 1)
    wanted = assert_kernels_agree(net, codes)
    assert {True, False} == set(wanted.masks["one"].ravel().tolist())
    for kernels in COMPILED:
        assert_cuts_agree(net, codes, kernels)


def test_one_map_read_with_different_borders():
    """Three convolutions of one value with different borders, and a pool that must not read the border."""
    wide = Geometry((3, 3), padding=(2, 0), dilation=(2, 1), padding_end=(2, 2))
    signed = Format(8, signed=True, zero_point=-128)
    net = network(
        signed, (5, 6, 6), conv("a", "input", 5, 4, SAME), conv("b", "input", 5, 4, wide), conv("c", "input", 5, 4),
        Layer("d", Op.MAX_POOL, ("input",), signed, geometry=SAME), conv("e", "d", 5, 4, seed=5),
        Layer("all", Op.CONCAT, ("a", "b", "c", "e"), U8, requantizer=dataclasses.replace(
            spreading(9), multiplier=np.array([1, 3, 2, 1]), shift=np.array([0, 1, 1, 0]))),
        conv("out", "all", 16, 3, SAME, last=True),
    )  # fmt: skip
    assert_kernels_agree(net, random_codes(7, signed, 3, 5, 6, 6))


@pytest.mark.parametrize("samples", [1, 63, 64, 65, 130])
def test_many_samples(samples):
    net = two_layers((2, 3, 3), 5)
    codes = random_codes(samples, U8, samples, 2, 3, 3)
    for count in (1, 2):
        with threads(count):
            assert_kernels_agree(net, codes)
