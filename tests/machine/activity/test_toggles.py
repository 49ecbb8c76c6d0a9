"""Toggles of an array's registers and their energy: against a cycle-by-cycle simulation and the measured points."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.engine.execute import execute
from hwsim.errors import BadInput
from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.machine.activity.sampling import SamplingBudget
from hwsim.machine.activity.toggles import Toggles, activity_fj, coefficients, count_toggles, nearest_coefficients
from hwsim.machine.technology.provenance import built_in_table
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op, Region
from hwsim.network.product import as_product
from tests.support.networks import networks_with_inputs

# Toggle features and energies of the gate-level simulation that the model was fitted to: 28 plain PEs (Yosys 0.23,
# Nangate45 typical, 1.1 V) times ten operand distributions, 64 lanes x 64 cycles each; measured once for hwsim.
GOLDEN = Path(__file__).parents[2] / "golden" / "activity_fit_points.csv"
POINTS = list(csv.DictReader(GOLDEN.read_text().splitlines()))

U8, S8 = Format(8), Format(8, signed=True)


# Cycle-by-cycle simulation.


def ones(values: np.ndarray, bits: int) -> np.ndarray:
    """Return the number of ones in the low bits of each integer."""
    return np.bitwise_count(values & ((1 << bits) - 1)).astype(np.int64)


def simulate_fold(a: np.ndarray, registers: np.ndarray, w: np.ndarray, w_ones: np.ndarray, a_bits: int, psum_bits: int):
    """Simulate one fold, cycle by cycle, as `reference.walk_weight_stationary`; return (operand, psum) toggles.

    `a` [M, R] are the streamed values and `registers` [M, R] the contents of their registers; `w` [R, C] are the
    weights and `w_ones` [R, C] their ones. All registers are zero before the first operand and after the last.
    """
    samples, (rows, columns) = len(a), w.shape
    value, register, psum, above = (np.zeros((rows, columns), dtype=np.int64) for _ in range(4))
    operand_toggles = psum_toggles = 0
    for step in range(samples + rows + columns + 2):
        entering = [step - r if 0 <= step - r < samples else None for r in range(rows)]
        left = [0 if m is None else a[m, r] for r, m in enumerate(entering)]
        left_register = [0 if m is None else registers[m, r] for r, m in enumerate(entering)]
        value = np.hstack([np.array(left)[:, None], value[:, :-1]])
        new_register = np.hstack([np.array(left_register)[:, None], register[:, :-1]])
        new_above = np.vstack([np.zeros((1, columns), dtype=np.int64), psum[:-1]])
        new_psum = new_above + w * value
        operand_toggles += int((ones(new_register ^ register, a_bits) * w_ones).sum())
        psum_toggles += int(ones(new_above ^ above, psum_bits).sum() + ones(new_psum ^ psum, psum_bits).sum())
        register, above, psum = new_register, new_above, new_psum
    assert not register.any() and not psum.any()
    return operand_toggles, psum_toggles


def simulate_layer(
    network: Network, layer: Layer, codes: np.ndarray, array: tuple[int, int], widths: tuple[int, int, int]
):
    """Simulate all folds of a layer for one sample on an array of (rows, columns); return int64 [operand, psum]."""
    source, weight = network.formats[layer.inputs[0]], layer.weight
    w_bits, a_bits, psum_bits = widths
    values = source.decode(codes)
    registers = values if source.kind is Kind.UNIFORM else codes.astype(np.int64)
    weight_registers = weight.values() if weight.format.kind is Kind.UNIFORM else weight.codes.astype(np.int64)
    w_ones = ones(weight_registers, w_bits if weight.format.kind is Kind.UNIFORM else weight.format.bits)
    groups = layer.geometry.groups
    total = np.zeros(2, dtype=np.int64)
    for group in range(groups):
        a, b = (streamed_operands(layer, part, group) for part in (values, registers))
        filters = slice(group * len(w_ones) // groups, (group + 1) * len(w_ones) // groups)
        w, n = (by_reduction(part[filters]) for part in (weight.values(), w_ones))
        for k in range(0, len(w), array[0]):
            for f in range(0, w.shape[1], array[1]):
                total += simulate_fold(*filled(array, k, f, a, b, w, n), a_bits, psum_bits)
    return total


def streamed_operands(layer: Layer, x: np.ndarray, group: int) -> np.ndarray:
    """Return [pixel, reduction] of one group: the value that each tap and channel reads, 0 in the padding."""
    if layer.op is Op.LINEAR:
        return x.reshape(-1, x.shape[-1])
    part = np.split(x[None], layer.geometry.groups, axis=1)[group]
    seen = reference.windows(part, layer.geometry, fill=0)[0]  # [channel, out row, out column, kernel row, column]
    return seen.transpose(1, 2, 3, 4, 0).reshape(seen.shape[1] * seen.shape[2], -1)


def by_reduction(weight: np.ndarray) -> np.ndarray:
    """Return [filter, channel, ...] as [reduction, filter], channels fastest."""
    return weight.reshape(*weight.shape[:2], -1).transpose(2, 1, 0).reshape(-1, len(weight))


def filled(array: tuple[int, int], k: int, f: int, a, b, w, n):
    """Return the operands of one fold; array rows and columns without operands contain zeros."""
    rows, columns = array

    def fill(part: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return np.pad(part, [(0, s - have) for s, have in zip(shape, part.shape, strict=True)])

    streams = [fill(part[:, k : k + rows], (len(part), rows)) for part in (a, b)]
    stationary = [fill(part[k : k + rows, f : f + columns], (rows, columns)) for part in (w, n)]
    return (*streams, *stationary)


def small_case(op: Op, rng: np.random.Generator, x: Format, w: Format, geometry: Geometry, shape: tuple[int, ...]):
    channels = shape[0] if op is Op.CONV else shape[-1]
    filters = geometry.groups * int(rng.integers(1, 4))
    w_shape = (filters, channels // geometry.groups, *(geometry.kernel if op is Op.CONV else ()))
    weight = QTensor(rng.integers(w.qmin, w.qmax + 1, w_shape).astype(w.dtype), w)
    layer = Layer("layer", op, (INPUT,), LOGITS, weight=weight, bias=np.zeros(filters, np.int64), geometry=geometry)
    network = Network(x, shape, 1.0, (layer,))
    return network, layer, rng.integers(x.qmin, x.qmax + 1, (2, *shape))


@st.composite
def formats(draw, weights: bool) -> Format:
    kind = draw(st.sampled_from([Kind.UNIFORM] * 4 + [Kind.MIDRISE, Kind.BINARY] + [Kind.CODEBOOK] * weights))
    bits = 1 if kind is Kind.BINARY else draw(st.integers(2, 10))
    if kind is not Kind.UNIFORM:
        table = tuple(range(-(1 << (bits - 1)), 1 << (bits - 1))) if kind is Kind.CODEBOOK else ()
        return Format(bits, kind=kind, table=table)
    plain = Format(bits, signed=draw(st.booleans()))
    return plain if weights else dataclasses.replace(plain, zero_point=draw(st.sampled_from((0, plain.qmax // 2))))


@st.composite
def cases(draw):
    op = draw(st.sampled_from((Op.CONV, Op.CONV, Op.LINEAR)))
    rng, x, w = np.random.default_rng(draw(st.integers(0, 2**32))), draw(formats(False)), draw(formats(True))
    if op is Op.LINEAR:
        shape = draw(st.sampled_from(((7,), (3, 5), (2, 2, 4))))
        return small_case(op, rng, x, w, Geometry(), shape)
    groups = draw(st.sampled_from((1, 1, 2)))
    kernel, stride = (draw(st.tuples(st.integers(1, 2), st.integers(1, 3))) for _ in range(2))
    padding, dilation = draw(st.sampled_from(((0, 0), (1, 0), (2, 1)))), draw(st.sampled_from(((1, 1), (2, 1), (1, 2))))
    geometry = Geometry(kernel, stride, padding, groups, dilation)
    return small_case(op, rng, x, w, geometry, (2 * groups, draw(st.integers(3, 5)), draw(st.integers(5, 7))))


FULL, SAMPLED = SamplingBudget(full_rows=1 << 30), SamplingBudget(full_rows=0)


def counted(*arguments, budget=FULL, **options):
    """Return the toggles of a layer, by default without sampling."""
    return count_toggles(*arguments, budget=budget, **options)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases(), st.tuples(st.integers(1, 6), st.integers(1, 4)), st.integers(0, 3), st.integers(6, 40))
def test_counts_equal_a_simulation_of_the_registers(case, array, wider, psum_bits):
    network, layer, codes = case
    w_bits, a_bits = layer.weight.format.bits + wider, network.input.bits + wider
    widths = (w_bits, min(a_bits, 16), psum_bits)
    got = counted(network, layer, codes, array[0], widths)
    assert got.psum_error == 0.0 and got.operand.dtype == got.psum.dtype == np.int64
    for sample, one in enumerate(codes):
        wanted = simulate_layer(network, layer, one, array, widths)
        assert (got.operand[sample], got.psum[sample]) == tuple(wanted)


def test_the_layers_own_widths_are_the_default():
    network, layer, codes = small_case(
        Op.LINEAR, np.random.default_rng(0), Format(5), Format(3, True), Geometry(), (4, 6)
    )
    own, given_ = counted(network, layer, codes, 4), counted(network, layer, codes, 4, (3, 5, 16))
    np.testing.assert_array_equal(own.psum, given_.psum)
    np.testing.assert_array_equal(own.operand, given_.operand)


# Regions.


def region_layer(per_channel: bool, threshold: int = 1800) -> tuple[Network, Layer, np.ndarray]:
    rng = np.random.default_rng(5)
    weight, low = rng.integers(-128, 128, (4, 3, 3, 3)), rng.integers(-8, 8, (4, 3, 3, 3))
    layer = Layer(
        "conv", Op.CONV, (INPUT,), LOGITS, weight=QTensor(weight, S8), bias=np.zeros(4, np.int64),
        geometry=Geometry((3, 3), (1, 2), (1, 1)), region=Region(2, 3, threshold, low, per_channel=per_channel),
    )  # fmt: skip
    return Network(U8, (3, 5, 8), 1.0, (layer,)), layer, rng.integers(0, 256, (3, 3, 5, 8))


@pytest.mark.parametrize("per_channel", [False, True])
def test_regions_count_codes_and_weights_of_two_widths(per_channel):
    network, layer, codes = region_layer(per_channel)
    masks, rows, low_weight = execute(network, codes).masks["conv"], 7, layer.region.low_weight
    assert 0.2 < masks.mean() < 0.8
    got = counted(network, layer, codes, rows, masks=masks)
    fine = np.broadcast_to(reference.spread(masks, layer.region, codes.shape), codes.shape)
    coarse = np.minimum((codes + 8) >> 4, 15)
    full, low = by_reduction(layer.weight.values()), by_reduction(low_weight)
    for n in range(len(codes)):
        x, f = (streamed_operands(layer, part[n].astype(np.int64), 0) for part in (np.where(fine, codes, coarse), fine))
        x, f = (np.pad(part, ((1, 1), (0, 0))) for part in (x, f))
        changed, either = ones(x[1:] ^ x[:-1], 8), f[1:] | f[:-1]
        met = np.where(either[:, :, None], ones(full, 8), ones(low, 4))
        assert got.operand[n] == (changed[:, :, None] * met).sum()
        products = x[:, :, None] * np.where(f[:, :, None], full, low << 8)
        assert got.psum[n] == sum(psums(products[:, k : k + rows], rows) for k in range(0, len(full), rows))


def psums(products: np.ndarray, rows: int) -> int:
    """Return the toggles of the 24-bit sums of one fold from its products [pixel, row, column]."""
    sums = np.cumsum(products, axis=1)
    sums = np.concatenate([sums, np.repeat(sums[:, -1:], rows - sums.shape[1], axis=1)], axis=1)
    changed = ones(sums[1:] ^ sums[:-1], 24)
    return int(2 * changed.sum() - changed[:, -1].sum())


def test_uniform_regions_are_plain_layers():
    for threshold, bits in ((0, 8), (2**31 - 1, 4)):
        network, layer, codes = region_layer(False, threshold)
        got = counted(network, layer, codes, 7, masks=execute(network, codes).masks["conv"])
        weight = layer.weight if bits == 8 else QTensor(layer.region.low_weight, Format(4, signed=True))
        plain = dataclasses.replace(layer, region=None, weight=weight)
        same = Network(Format(bits), network.input_shape, 1.0, (plain,))
        x = codes if bits == 8 else np.minimum((codes + 8) >> 4, 15)
        wanted = counted(same, plain, x, 7, (bits, bits, 24 if bits == 8 else 16))
        np.testing.assert_array_equal(got.operand, wanted.operand)
        np.testing.assert_array_equal(got.psum, wanted.psum)  # 8 zero bits below low sums change nothing


# Sampling.


def medium_layer(seed: int = 0, groups: int = 1) -> tuple[Network, Layer, np.ndarray]:
    """Return a layer of several folds whose input is zero on one side, so that blocks differ."""
    rng = np.random.default_rng(seed)
    weight = QTensor(rng.integers(-127, 128, (24, 12 // groups, 3, 3)).astype(np.int8), S8)
    geometry = Geometry((3, 3), padding=(1, 1), groups=groups)
    layer = Layer("conv", Op.CONV, (INPUT,), LOGITS, weight=weight, bias=np.zeros(24, np.int64), geometry=geometry)
    codes = rng.integers(0, 256, (6, 12, 14, 14)) * (rng.random((6, 12, 14, 14)) < 0.6)
    codes[..., :5] = 0
    return Network(U8, (12, 14, 14), 1.0, (layer,)), layer, codes


@pytest.mark.parametrize(("groups", "sampled_rows", "within"), [(1, 512, 0.85), (2, 512, 0.85), (1, 4096, 0.98)])
def test_sampled_psums_are_unbiased_and_within_their_stated_error(groups, sampled_rows, within):
    """Over 400 draws; with few blocks the stated error is itself imprecise."""
    network, layer, codes = medium_layer(1, groups)
    exact = counted(network, layer, codes, 32)
    assert exact.psum_error == 0.0
    budget = SamplingBudget(sampled_rows, full_rows=0)
    drawn = [counted(network, layer, codes, 32, seed=seed, budget=budget) for seed in range(1, 401)]
    errors = np.array([one.psum.mean() for one in drawn]) / exact.psum.mean() - 1
    stated = np.array([one.psum_error for one in drawn])
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(len(errors))
    assert 0.9 < np.sqrt((stated**2).mean()) / errors.std() < 1.5
    assert (np.abs(errors) < 3 * stated).mean() > within
    per_sample = np.array([one.psum for one in drawn]) / exact.psum - 1
    assert (np.abs(per_sample.mean(axis=0)) < 4 * per_sample.std(axis=0) / np.sqrt(len(drawn))).all()
    assert all((one.operand == exact.operand).all() for one in drawn[:20])


@pytest.mark.parametrize("budget", [SAMPLED, FULL], ids=["sampled", "exact"])
def test_a_samples_counts_do_not_depend_on_the_batch(budget):
    network, layer, codes = medium_layer(2)
    together, order = counted(network, layer, codes, 32, budget=budget), np.array([3, 0, 5, 1, 4, 2])
    assert (together.psum_error == 0.0) == (budget == FULL)
    mixed = counted(network, layer, codes[order].astype(np.uint8), 32, budget=budget)
    single = [counted(network, layer, one[None], 32, budget=budget) for one in codes]
    for name in ("operand", "psum"):
        counts = getattr(together, name)
        np.testing.assert_array_equal(getattr(mixed, name), counts[order])
        np.testing.assert_array_equal(np.concatenate([getattr(one, name) for one in single]), counts)
    nothing = counted(network, layer, codes[:0], 32, budget=budget)
    assert nothing.operand.shape == nothing.psum.shape == (0,)


def test_seeds_choose_the_blocks_and_nothing_else_does():
    network, layer, codes = medium_layer(3)
    again = dataclasses.replace(layer)
    same = Network(U8, network.input_shape, 1.0, (again,))
    first, second = (counted(n, one, codes, 32, budget=SAMPLED) for n, one in ((network, layer), (same, again)))
    np.testing.assert_array_equal(first.psum, second.psum)
    assert (counted(network, layer, codes, 32, seed=1, budget=SAMPLED).psum != first.psum).any()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(networks_with_inputs(), st.sampled_from((3, 16, 128)))
def test_layers_of_any_network_can_be_counted(case, rows):
    """Counts of the engine's captured codes equal counts of int64 codes and the simulation."""
    network, codes = case
    layers = [layer for layer in network.layers if layer.weight is not None and layer.has_macs]
    assume(layers)
    execution = execute(network, codes, capture=[layer.inputs[0] for layer in layers])
    for layer in layers:
        kept = execution.codes[layer.inputs[0]]
        got = counted(network, layer, kept, rows, masks=execution.masks.get(layer.name))
        plain = counted(network, layer, kept.astype(np.int64), rows, masks=execution.masks.get(layer.name))
        np.testing.assert_array_equal(got.operand, plain.operand)
        np.testing.assert_array_equal(got.psum, plain.psum)
        if layer.region is None:
            product = as_product(network, layer)
            widths = (product.w_bits, product.a_bits, product.w_bits + product.a_bits + 8)
            if got.psum_error == 0.0 and product.macs < 3000:
                wanted = simulate_layer(network, layer, kept[0], (rows, product.filters), widths)
                assert (got.operand[0], got.psum[0]) == tuple(wanted)


def test_layers_without_weights_or_masks_are_refused():
    network, layer, codes = region_layer(False)
    with pytest.raises(BadInput, match=r"^layer 'conv' masks is missing"):
        counted(network, layer, codes, 8)
    product = Layer("matmul", Op.MATMUL, (INPUT, INPUT), LOGITS)
    with pytest.raises(BadInput, match=r"^layer 'matmul': got matmul; allowed: a convolution or linear layer"):
        counted(network, product, codes, 8)


# Energy.


def test_coefficients_reproduce_the_points_that_they_were_fitted_to():
    errors = []
    for row in POINTS:
        model = coefficients(int(row["wbits"]), int(row["abits"]), int(row["acc_bits"]))
        assert model.measured
        errors.append(energy_of(row, model.k_pp_fj, model.k_ps_fj) / float(row["E_total_fJ"]) - 1)
    assert len(errors) == 280
    assert round(100 * np.abs(errors).mean(), 2) == 1.50
    assert round(100 * np.abs(errors).max(), 1) == 14.2


def energy_of(row: dict[str, str], k_pp: float, k_ps: float) -> float:
    """Return the model's energy of one measured point."""
    psum = float(row["hd_psum_in"]) + float(row["hd_psum_out"])
    return 8.66875 * int(row["ff"]) + k_pp * float(row["hd_a_x_popcount_w"]) + k_ps * psum


def test_the_nearest_rows_coefficients_are_as_accurate_as_stated():
    errors = []
    for row in POINTS:
        pair = (row["wbits"], row["abits"])
        others = tuple(r for r in built_in_table("activity_nangate45") if (r["wbits"], r["abits"]) != pair)
        model = nearest_coefficients(others, *map(int, pair), int(row["acc_bits"]))
        assert not model.measured
        errors.append(energy_of(row, model.k_pp_fj, model.k_ps_fj) / float(row["E_total_fJ"]) - 1)
    assert 0.055 < np.abs(errors).mean() < 0.065 and 0.24 < np.abs(errors).max() < 0.26


def test_flip_flops_of_the_table_are_both_operands_and_the_sum():
    for row in built_in_table("activity_nangate45"):
        assert int(row["ff"]) == int(row["wbits"]) + int(row["abits"]) + int(row["acc_bits"])
        assert float(row["E_clk_fJ"]) == pytest.approx(8.66875 * int(row["ff"]), abs=0.01)


def test_an_idle_pe_costs_its_clock():
    still = Toggles(np.zeros(2, np.int64), np.zeros(2, np.int64), 0.0)
    assert activity_fj(coefficients(8, 8), still, 1, 40).tolist() == [346.75, 346.75]
    assert activity_fj(coefficients(8, 8), still, 1000, 40).tolist() == [346750.0, 346750.0]


def test_uniform_random_operands_cost_what_was_measured():
    """1971 fJ per MAC at 8x8 with a sum of 24 bits, on 64 rows as in the measurement."""
    rng, rows, cycles = np.random.default_rng(7), 64, 400
    weight = QTensor(rng.integers(-128, 128, (32, rows)).astype(np.int8), S8)
    layer = Layer("fc", Op.LINEAR, (INPUT,), LOGITS, weight=weight, bias=np.zeros(32, np.int64))
    network = Network(S8, (cycles, rows), 1.0, (layer,))
    seen = counted(network, layer, rng.integers(-128, 128, (3, cycles, rows)), rows)
    pe_cycles = rows * 32 * cycles
    per_mac = activity_fj(coefficients(8, 8), seen, pe_cycles, 40) / pe_cycles
    np.testing.assert_allclose(per_mac, 1971, rtol=0.15)


def test_energy_is_additive():
    rng = np.random.default_rng(1)
    a, b = (Toggles(rng.integers(0, 10**9, 5), rng.integers(0, 10**9, 5), 0.0) for _ in range(2))
    both = Toggles(a.operand + b.operand, a.psum + b.psum, 0.0)
    model = coefficients(4, 4)
    apart = activity_fj(model, a, 700, 24) + activity_fj(model, b, 300, 24)
    np.testing.assert_allclose(activity_fj(model, both, 1000, 24), apart, rtol=1e-12)
