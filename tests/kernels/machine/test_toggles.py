"""Toggle counts: compiled code equals its definition in numpy, and the definition counts changed bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernels.compile import kernel
from hwsim.kernels.machine import toggles
from hwsim.kernels.machine.toggles import LANES, PIXELS, OperandPairs, RegionRule, SplitCodes

SEEDS = st.integers(0, 2**32)


@kernel()
def compiled_prefix_toggles(operands, weights, mask, extra):
    return toggles.prefix_toggles(operands, weights, mask, extra)


@kernel()
def compiled_decode(codes, at, decoding, values, to, count):
    toggles.decode(codes, at, decoding, values, to, count)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from((np.int32, np.int64)), st.integers(1, 3), st.integers(1, 40), st.integers(1, 63))
def test_prefix_toggles_of_all_widths(seed, dtype, planes, rows, psum_bits):
    rng, bits = np.random.default_rng(seed), 8 * np.dtype(dtype).itemsize
    values = rng.integers(-(2**15), 2**15, (planes, PIXELS, rows + 3)).astype(dtype)
    weights = rng.integers(-(2**15), 2**15, (planes, rows + 2, 3 * LANES)).astype(dtype)
    extra, mask = int(rng.integers(-1, 50)), (1 << min(psum_bits, bits)) - 1
    operands, block = values[:, :, :rows], weights[:, 1 : 1 + rows, LANES : 2 * LANES]
    wanted = toggles.prefix_toggles(operands, block, mask, extra)
    assert compiled_prefix_toggles(operands, block, mask, extra) == wanted


def test_prefix_toggles_by_hand():
    """Two rows, sums 0 1 0 0 and 0 3 4 0 in the first column: distances 1 1 0, and 2 3 1."""
    operands = np.array([[[0, 0], [1, 2], [0, 4], [0, 0]]], dtype=np.int32)
    weights = np.zeros((1, 2, LANES), dtype=np.int32)
    weights[0, :, 0] = 1
    for count in (toggles.prefix_toggles, compiled_prefix_toggles):
        assert count(operands, weights, 255, 0) == 2 * (2 + 6)
        assert count(operands, weights, 255, -1) == 2 * (2 + 6) - 6  # no row below the last one
        assert count(operands, weights, 3, 0) == 2 * (2 + 4)  # two bits of each sum


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from((np.uint8, np.uint16)), st.sampled_from((np.int32, np.int64)), st.integers(1, 70))
def test_decode_writes_its_values_and_no_others(seed, narrow, wide, count):
    rng = np.random.default_rng(seed)
    codes, at, to = rng.integers(0, np.iinfo(narrow).max + 1, 200).astype(narrow), 5, 9
    decoding = np.array([rng.choice([0, 128]), rng.integers(1, 3), rng.integers(-300, 300)])
    wanted, got = np.full(100, 7, wide), np.full(100, 7, wide)
    toggles.decode(codes, at, decoding, wanted, to, count)
    compiled_decode(codes, at, decoding, got, to, count)
    np.testing.assert_array_equal(got, wanted)
    assert (wanted[:to] == 7).all() and (wanted[to + count :] == 7).all()


@st.composite
def pairs(draw):
    """Draw a sample, and groups of pairs of runs in it with weights."""
    rng, dtype = np.random.default_rng(draw(SEEDS)), draw(st.sampled_from((np.uint8, np.uint16)))
    wires = rng.integers(0, np.iinfo(dtype).max + 1, 120).astype(dtype)
    entries, groups, place = [], [], 0
    for _ in range(draw(st.integers(0, 4))):
        size, count = int(rng.integers(1, 60)), int(rng.integers(1, 32))
        groups.append((len(entries), len(entries) + count, size, place))
        entries += [(int(rng.integers(0, 60)), int(rng.integers(-1, 60))) for _ in range(count)]
        place += size
    as_ints = (np.array(entries, dtype=np.int64).reshape(-1, 2), np.array(groups, dtype=np.int64).reshape(-1, 4))
    return rng, wires, *as_ints, rng.integers(0, 1000, place), rng.integers(0, 1000, place)


def distances(wires, entries, groups):
    """Yield (first code, second code or None, their offset in the weights) of all pairs of codes."""
    for first, end, size, place in groups.tolist():
        for p, q in entries[first:end].tolist():
            for i in range(size):
                yield p + i, None if q < 0 else q + i, place + i


@settings(max_examples=80, deadline=None, derandomize=True)
@given(pairs())
def test_operand_toggles_are_weighted_bit_counts(case):
    rng, wires, entries, groups, weights, _ = case
    zero, mask = int(rng.integers(0, 256)), int(rng.choice([1, 15, 255, np.iinfo(wires.dtype).max]))
    values = [(int(code) - zero) & mask for code in wires]
    wanted = sum(
        (values[p] ^ (0 if q is None else values[q])).bit_count() * int(weights[at])
        for p, q, at in distances(wires, entries, groups)
    )
    word = wires.dtype.type
    assert (
        toggles.operand_toggles(wires, word(zero), word(mask), OperandPairs(entries, groups, weights, weights))
        == wanted
    )


@settings(max_examples=80, deadline=None, derandomize=True)
@given(pairs())
def test_region_operand_toggles_take_the_weights_of_the_wider_code(case):
    rng, wires, entries, groups, full, low = case
    fine = rng.random(len(wires)) < 0.4
    wanted = 0
    for p, q, at in distances(wires, entries, groups):
        changed = (int(wires[p]) ^ (0 if q is None else int(wires[q]))).bit_count()
        wanted += changed * int(full[at] if fine[p] or (q is not None and fine[q]) else low[at])
    sensitive = np.where(fine, np.iinfo(wires.dtype).max, 0).astype(wires.dtype)
    assert toggles.region_operand_toggles(wires, sensitive, OperandPairs(entries, groups, full, low)) == wanted


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("per_channel", [False, True])
def test_split_codes(dtype, per_channel):
    rng = np.random.default_rng(3)
    samples, pixels, channels, regions = 5, 12, 7, 4
    codes = rng.integers(0, 256, (samples, pixels * channels)).astype(dtype)
    coarse = (np.arange(np.iinfo(dtype).max + 1) >> 4).astype(dtype)
    deciders = channels if per_channel else 1
    masks = rng.random((samples, regions * deciders)) < 0.5
    decisions = rng.integers(0, regions * deciders, (pixels, deciders))
    fine = np.broadcast_to(masks[:, decisions], (samples, pixels, channels)).reshape(codes.shape)
    planes, wires, sensitive = np.zeros((2, *codes.shape), dtype), np.zeros_like(codes), np.zeros_like(codes)
    rule, split = RegionRule(decisions, coarse), SplitCodes(planes, wires, sensitive)
    toggles.split_codes(0, samples - 1, codes, masks, rule, split)
    assert not planes[:, -1].any() and not wires[-1].any()
    toggles.split_codes(samples - 1, samples, codes, masks, rule, split)
    np.testing.assert_array_equal(planes[0], np.where(fine, codes, 0))
    np.testing.assert_array_equal(planes[1], np.where(fine, 0, coarse[codes]))
    np.testing.assert_array_equal(wires, np.where(fine, codes, coarse[codes]))
    np.testing.assert_array_equal(sensitive, np.where(fine, np.iinfo(dtype).max, 0))
