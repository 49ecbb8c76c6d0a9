"""Explanations equal the definition, for the layer's rounding rule and for every other rule."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim import reference
from hwsim.debug import explain as explain_module
from hwsim.debug.requantization import OutputClip, scale_sum
from hwsim.debug.text import bits, explanation_text, fraction
from hwsim.errors import BadInput, UnknownName
from hwsim.formats import LOGITS, Format, QTensor
from hwsim.network.graph import Network
from hwsim.network.layer import Accumulator, Layer, Op, Overflow, Region, Requantizer, Rounding, Thresholds
from tests.support.networks import networks_with_inputs
from tests.support.small_network import small_network


@settings(max_examples=150, deadline=None)
@given(networks_with_inputs(), st.data())
def test_the_code_equals_the_definition(drawn, data) -> None:
    network, codes = drawn
    done = reference.run(network, codes)
    sample = data.draw(st.integers(0, len(codes) - 1))
    for layer in network.layers:
        at = tuple(data.draw(st.integers(0, size - 1)) for size in network.shapes[layer.name])
        found = hwsim.explain(network, codes, layer.name, at, sample)
        assert found.code == done[layer.name][(sample, *at)]
        assert json.loads(json.dumps(found.to_dict()))["code"] == found.code
        assert f"code {found.code:,} (" in explanation_text(found).splitlines()[0]


@pytest.mark.parametrize("rule", Rounding)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_each_outcome_equals_the_definition_with_that_rule(rule, data) -> None:
    """The outcome of the tested rule, in a layer with any other rule."""
    acc = data.draw(st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300))
    multiplier = data.draw(st.just(2**30) | st.integers(2**30, 2**31 - 1))
    shift = data.draw(st.integers(0, 62) | st.integers(28, 34))
    own = data.draw(st.sampled_from([one for one in Rounding if one is not Rounding.F32_HALF_EVEN]))
    found = scale_sum(acc, multiplier, shift, own, 32, OutputClip(3, -128, 127))
    outcome = next(o for o in found.outcomes if o.rule is rule)
    if rule is Rounding.F32_HALF_EVEN:
        multiplier, shift = int(np.float32(multiplier / 2**shift).view(np.uint32)), 0
    wanted = _requantized(acc, Requantizer(np.array([multiplier]), np.array([shift]), -128, 127, rule))
    assert outcome.code == wanted
    assert (rule in found.disagreeing_rules) == (wanted != found.code)


@settings(max_examples=150, deadline=None)
@given(st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300), st.floats(2**-32, 4, width=32))
def test_integer_rules_use_the_exact_value_of_a_float_scale(acc, scale) -> None:
    word = int(np.float32(scale).view(np.uint32))
    found = scale_sum(acc, word, 0, Rounding.F32_HALF_EVEN, 32, OutputClip(0, -(2**40), 2**40))
    own = Requantizer(np.array([word]), np.array([0]), -(2**40), 2**40, Rounding.F32_HALF_EVEN)
    assert found.code + 3 == _requantized(acc, own)
    numerator, divisor = float(np.float32(scale)).as_integer_ratio()
    codes = {outcome.rule: outcome.code for outcome in found.outcomes}
    assert codes[Rounding.FLOOR] == acc * numerator // divisor
    assert codes[Rounding.TRUNC] == int(acc * numerator / divisor) or abs(acc * numerator) > 2**53


def _requantized(acc: int, r: Requantizer) -> int:
    layer = Layer("x", Op.LINEAR, ("input",), Format(8, signed=True, zero_point=3), requantizer=r)
    return int(reference.requantize(layer, np.array([[acc]]))[0, 0])


def linear(weights, bias=0, rule=None, accumulator=None, x=None) -> Network:
    """Return a network of one linear layer `fc` with one output, followed by logits."""
    weight = QTensor(np.array([weights]), Format(8, signed=True))
    fc = Layer("fc", Op.LINEAR, ("input",), Format(8, signed=True), weight=weight, bias=np.array([bias]),
               requantizer=rule, accumulator=accumulator or Accumulator())  # fmt: skip
    one = QTensor(np.array([[1]]), Format(8, signed=True))
    head = Layer("head", Op.LINEAR, ("fc",), LOGITS, weight=one, bias=np.array([0]))
    return Network(x or Format(8, zero_point=3), (len(weights),), 1.0, (fc, head))


def shift_by(shift: int, rounding=Rounding.HALF_UP) -> Requantizer:
    return Requantizer(np.array([1]), np.array([shift]), -128, 127, rounding)


def test_a_tie_worked_by_hand() -> None:
    network = linear([2, -1, 7], bias=-1, rule=shift_by(2, Rounding.HALF_EVEN))
    found = hwsim.explain(network, np.array([6, 1, 4]), "fc", (0,))  # values 3, -2, 1: 6 + 2 + 7 - 1 = 14
    assert [(p.operand.code, p.operand.value, p.factor.value, p.product, p.total) for p in found.products] == [
        (6, 3, 2, 6, 5), (1, -2, -1, 2, 7), (4, 1, 7, 7, 14),
    ]  # fmt: skip
    assert (found.accumulated.exact, found.accumulated.stored, found.accumulated.overflowed) == (14, 14, False)
    assert found.accumulated.bound == 10 * 252 + 1
    r = found.requantization
    assert (r.exact.quotient, r.exact.remainder, r.tie, r.code) == (3, 2, True, 4)
    assert {str(o.rule): o.code for o in r.outcomes} == {
        "half_up": 4, "half_even": 4, "half_away": 4, "floor": 3, "trunc": 3, "gemmlowp_double": 4, "f32_half_even": 4,
    }  # fmt: skip
    text = explanation_text(found)
    for line in (
        "products, the sum starts at the bias -1",
        "  bits shifted out    10\n",
        "  fraction of a unit  0.5   a TIE",
        "  rounded, half_even  4   rounded up",
        "another code by floor, trunc",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("policy", "stored", "words"),
    [
        (Overflow.WRAP, 150 - 256, "8 bits, wrap: OVERFLOW, wrapped around"),
        (Overflow.SATURATE_END, 127, "8 bits, saturate_end: OVERFLOW, saturated"),
        (Overflow.SATURATE_STEP, 77, "8 bits, saturate_step: saturated at 1 step"),
    ],
)
def test_overflows_are_reported(policy, stored, words) -> None:
    network = linear([1, 1, -1], rule=shift_by(0), accumulator=Accumulator(8, policy), x=Format(8))
    found = hwsim.explain(network, np.array([100, 100, 50]), "fc", (0,))
    a = found.accumulated
    assert (a.exact, a.stored, a.overflowed, a.proved, a.bits_needed) == (150, stored, True, False, 11)
    assert words in explanation_text(found)


def test_near_ties_and_double_rounding_are_reported() -> None:
    multiplier = 2**30 + 1
    network = linear([1], rule=Requantizer(np.array([multiplier]), np.array([31]), -128, 127), x=Format(8))
    found = hwsim.explain(network, np.array([3]), "fc", (0,))
    assert "a NEAR TIE, above the middle" in explanation_text(found)
    double = shift_by(0, Rounding.GEMMLOWP_DOUBLE)
    network = linear([1], rule=replace(double, multiplier=np.array([2**30 - 1]), shift=np.array([32])), x=Format(8))
    found = hwsim.explain(network, np.array([2]), "fc", (0,))  # just below 1/2, then rounded up, then a tie
    text = explanation_text(found)
    assert found.code == 1
    assert "step 2, half_away         1 / 2^1 = 0 + 0.5 -> 1   a TIE" in text
    assert "another code by half_up, half_even, half_away, floor, trunc, f32_half_even" in text


def test_a_left_shift_that_wraps_is_reported() -> None:
    network = linear([100], rule=shift_by(3, Rounding.GEMMLOWP_DOUBLE), x=Format(8))
    assert "by 28 bits first: WRAPPED around" in explanation_text(hwsim.explain(network, np.array([9]), "fc", (0,)))


def test_thresholds_show_the_levels_around_the_sum() -> None:
    levels = Thresholds(np.arange(10, 100, 10)[None], low=-4)
    found = hwsim.explain(linear([1], rule=levels, x=Format(8)), np.array([50]), "fc", (0,))
    assert (found.thresholds.reached, found.code) == (5, 1)
    text = explanation_text(found)
    assert "thresholds: reached 5 of 9; code = -4 + 5" in text
    assert "      5         50                0  reached\n      6         60              -10  not reached" in text


def test_products_of_coarse_regions_are_marked() -> None:
    low = np.ones((8, 1, 3, 3), np.int8)
    network = small_network(Region(4, 4, 128 << 4, low))
    codes = np.zeros((1, 1, 8, 8), np.int64)
    codes[..., :4, :4], codes[..., 4:, :] = 200, 40
    found = hwsim.explain(network, codes, "conv", (0, 3, 0))
    notes = {p.operand.at: p.operand.note for p in found.products}
    assert notes == {None: "padding", (0, 2, 0): "sensitive", (0, 2, 1): "sensitive", (0, 3, 0): "sensitive",
                     (0, 3, 1): "sensitive", (0, 4, 0): "coarse, 4 bits", (0, 4, 1): "coarse, 4 bits"}  # fmt: skip
    coarse = next(p for p in found.products if p.operand.at == (0, 4, 0))
    assert (coarse.operand.code, coarse.operand.value, coarse.product, coarse.shift) == (40, 3, 3 << 8, 8)
    assert "coarse, 4 bits, << 8" in explanation_text(found)


def test_long_lists_are_shortened_without_everything() -> None:
    codes = np.full((1, 1, 8, 8), 9)
    found = hwsim.explain(small_network(), codes, "head", (3,))
    short, full = explanation_text(found).splitlines(), explanation_text(found, everything=True).splitlines()
    assert "  ... 112 more, which --all shows ..." in short
    assert len(full) - len(short) == 111


@pytest.mark.parametrize(
    ("layer", "at", "sample", "line"),
    [
        ("conv", (0, 8, 0), 0, "at: got 0,8,0; allowed: 3 numbers for layer 'conv': 0 to 7, 0 to 7, 0 to 7"),
        ("head", (1, 2), 0, "at: got 1,2; allowed: 1 number for layer 'head': 0 to 9"),
        ("conv", (-1, 0, 0), 0, "at: got -1,0,0; allowed: 3 numbers for layer 'conv': 0 to 7, 0 to 7, 0 to 7"),
        ("conv", (0, 0, 0), 2, "sample: got 2; allowed: 0 to 1"),
    ],
)
def test_indices_outside_the_output(layer, at, sample, line) -> None:
    with pytest.raises(BadInput) as error:
        hwsim.explain(small_network(), np.zeros((2, 1, 8, 8), np.int64), layer, at, sample)
    assert str(error.value) == line


def test_codes_that_do_not_fit() -> None:
    network = small_network()
    with pytest.raises(UnknownName, match="Did you mean 'conv'"):
        hwsim.explain(network, np.zeros((1, 8, 8), np.int64), "con", (0, 0, 0))
    with pytest.raises(BadInput, match=r"codes: got dtype float64; allowed: integer codes. Network.encode"):
        hwsim.explain(network, np.zeros((1, 8, 8)), "conv", (0, 0, 0))
    with pytest.raises(BadInput, match=r"shape 8,8; allowed: samples,1,8,8, or 1,8,8 for one"):
        hwsim.explain(network, np.zeros((8, 8), np.int64), "conv", (0, 0, 0))
    with pytest.raises(BadInput, match=r"got 256; allowed: codes 0 to 255"):
        hwsim.explain(network, np.full((1, 8, 8), 256), "conv", (0, 0, 0))


def test_an_explanation_that_is_not_the_definition_is_a_bug(monkeypatch) -> None:
    monkeypatch.setattr(explain_module, "wrap", lambda value, bits: value + 1)
    with pytest.raises(AssertionError, match="a bug: layer 'head'"):
        hwsim.explain(small_network(), np.full((1, 8, 8), 3), "head", (0,))


def test_digits_and_bits() -> None:
    assert fraction(1, 2**20) == "0.000000953674..."
    assert bits(1, 2**70) == f"{'0' * 64}... (70 bits)"
