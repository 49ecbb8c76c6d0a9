"""The addresses of a convolution's operands are those of its windows; per-channel masks take the steps they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.engine.execute import execute
from hwsim.errors import BadInput
from hwsim.formats import LOGITS, Format, QTensor
from hwsim.kernels.machine.row_sync import lockstep, total_steps
from hwsim.machine.timing.operand_addresses import wavefronts
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op, Region
from hwsim.network.product import Window
from tests.support.networks import geometries

ALL = settings(max_examples=60, deadline=None, derandomize=True)
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7))


def operands(steps: np.ndarray, geometry: Geometry, padding: int) -> np.ndarray:
    """What each output pixel meets at each position of the reduction, [sample, pixel, position], by the definition."""
    windows = reference.windows(steps.astype(np.int64), geometry, padding).transpose(0, 2, 3, 4, 5, 1)
    return windows.reshape(len(steps), windows.shape[1] * windows.shape[2], -1)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, int, int], Geometry]:
    shape = draw(SHAPES)
    return shape, draw(geometries(shape))


@ALL
@given(convolutions(), st.booleans(), st.sampled_from((0, 1, 7)), st.integers(0, 2**32))
def test_addresses_are_those_of_the_windows(
    convolution: tuple[tuple[int, int, int], Geometry], shared: bool, padding: int, seed: int
) -> None:
    (channels, height, width), geometry = convolution
    steps = np.random.default_rng(seed).integers(0, 256, (2, 1 if shared else channels, height, width))
    w = wavefronts(Window(height, width, geometry), channels, shared)
    flat = w.embed(steps, padding)
    assert flat.dtype == np.uint8 and w.pixels.dtype == w.taps.dtype == np.int64
    whole = np.broadcast_to(steps, (2, channels, height, width))
    np.testing.assert_array_equal(flat[:, w.pixels[:, None] + w.taps], operands(whole, geometry, padding))
    padded = operands(whole, geometry, padding).sum(axis=(1, 2))
    np.testing.assert_array_equal(total_steps(flat, w.pixels, w.taps), padded)


def test_a_plain_product_is_a_convolution_of_one_row() -> None:
    steps = np.random.default_rng(0).integers(0, 9, (2, 5, 3))  # [sample, pixel, reduction]
    w = wavefronts(Window(1, 5, Geometry()), channels=3)
    flat = w.embed(steps.transpose(0, 2, 1)[:, :, None], padding=0)
    np.testing.assert_array_equal(flat[:, w.pixels[:, None] + w.taps], steps)


@pytest.mark.parametrize(
    ("steps", "padding", "words"),
    [
        (np.zeros((1, 3, 4, 5), np.uint8), 0, r"steps: got shape \(1, 3, 4, 5\); allowed: \[sample, 2, 4, 5\]"),
        (np.zeros((1, 2, 4, 5), np.int64), 256, "steps: got 256; allowed: 0 to 255"),
        (np.full((1, 2, 4, 5), -1), 0, "steps: got -1"),
    ],
)
def test_what_is_refused(steps: np.ndarray, padding: int, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        wavefronts(Window(4, 5, Geometry()), channels=2).embed(steps, padding)


@ALL
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 4)),
    st.integers(1, 3),
    st.integers(0, 2),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 3, 4, 16]),
    st.sampled_from(["ws", "os"]),
    st.integers(0, 2**32),
)
def test_masks_of_single_channels_on_an_array_in_lock_step(
    region: tuple[int, int], kernel: int, padding: int, groups: int, rows: int, dataflow: str, seed: int
) -> None:
    """From the masks of a run to cycles, group by group, against a count by the definition."""
    channels, size, geometry = 4, (5, 6), Geometry((kernel, 2), (1, 2), (padding, 0), groups)
    weight = QTensor(np.ones((groups, channels // groups, kernel, 2), np.int8), Format(8, signed=True))
    rule = Region(*region, 100 << 4, weight.codes, per_channel=True)
    layer = Layer("conv", Op.CONV, (INPUT,), LOGITS, 1.0, weight, np.zeros(groups, np.int64), None, geometry, rule)
    codes = np.random.default_rng(seed).integers(0, 200, (3, channels, *size))
    masks = execute(Network(Format(8), (channels, *size), 1.0, (layer,)), codes).masks["conv"]
    assert masks.shape[:2] == (3, channels)
    steps = np.where(reference.spread(masks, rule, codes.shape), 4, 1)
    each = channels // groups
    for first in range(0, channels, each):
        part = steps[:, first : first + each]
        w = wavefronts(Window(*size, geometry), each)
        along_i, along_r = (w.pixels, w.taps) if dataflow == "ws" else (w.taps, w.pixels)
        got = lockstep(w.embed(part, padding=1), along_i, along_r, rows)
        t = operands(part, geometry, 1)  # [sample, pixel, position]
        t = t if dataflow == "ws" else t.transpose(0, 2, 1)
        for fold, begin in enumerate(range(0, t.shape[2], rows)):
            np.testing.assert_array_equal(got[:, fold, 0], t[:, :, begin : begin + rows].max(axis=2).sum(axis=1))
            np.testing.assert_array_equal(got[:, fold, 1], t[:, :, begin : begin + rows].sum(axis=1).max(axis=1))
