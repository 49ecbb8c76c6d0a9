"""Comparison of runs: differences, events, run files and input codes."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

import hwsim
from hwsim import reference
from hwsim.debug.events import ArithmeticEvents, events
from hwsim.debug.inputs import random_codes, read_codes
from hwsim.debug.runs import RunFile, is_network, write_run
from hwsim.errors import BadInput, HwsimError
from hwsim.formats import LOGITS, TERNARY, Format, QTensor
from hwsim.network.graph import Network
from hwsim.network.layer import INT32, Accumulator, Layer, Op, Requantizer, Rounding
from tests.support.networks import networks_with_inputs
from tests.support.small_network import small_network


def test_equal_runs() -> None:
    run = {"input": np.arange(4).reshape(1, 4), "fc": np.array([[1, 2]], np.int8)}
    found = hwsim.diff(run, {"fc": np.array([[1, 2]], np.uint8), "input": run["input"], "more": np.zeros(3, np.int8)})
    assert found.equal
    assert [layer.layer for layer in found.layers] == ["input", "fc"]
    assert found.skipped_b == ("more",)


def test_the_first_layer_and_element_that_differ() -> None:
    a = {"one": np.zeros((2, 3), np.int64), "two": np.zeros((2, 2, 2), np.int64), "three": np.ones((2, 1), np.int64)}
    b = {name: array.copy() for name, array in a.items()}
    b["two"][1, 0, 1], b["two"][1, 1, 0], b["three"][0, 0] = -7, 3, 2
    found = hwsim.diff(a, b)
    assert [(la.mismatches, la.largest) for la in found.layers] == [(0, 0), (2, 7), (1, 1)]
    assert found.first == found.layers[1]
    assert (found.first.first, found.first.values) == ((1, 0, 1), (0, -7))
    assert hwsim.diff(a, b, order=["three", "two"]).first.layer == "three"


def test_the_largest_difference_is_exact_at_the_ends_of_64_bits() -> None:
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    assert hwsim.diff({"x": np.array([[low]])}, {"x": np.array([[high]])}).layers[0].largest == 2**64 - 1


def test_layers_of_one_run_only() -> None:
    a, b = {"conv1": np.zeros((1, 1), int), "fc": np.zeros((1, 1), int)}, {"fc": np.zeros((1, 1), int)}
    with pytest.raises(
        BadInput, match=r"^B layer 'conv1': got no such layer; allowed: every layer of A. With --common"
    ):
        hwsim.diff(a, b)
    with pytest.raises(BadInput, match=r"Did you mean 'conv_1'\?"):
        hwsim.diff(a, b | {"conv_1": b["fc"]})
    assert hwsim.diff(a, b, common=True).skipped_a == ("conv1",)
    assert hwsim.diff(b, a).skipped_b == ("conv1",)
    assert hwsim.diff(a | {"input": np.zeros(1, int)}, a).skipped_a == ("input",)
    with pytest.raises(BadInput, match="B: got layers fc; allowed: at least one of the layers of A: conv1"):
        hwsim.diff({"conv1": a["conv1"]}, b, common=True)


def test_shapes_that_differ() -> None:
    with pytest.raises(BadInput, match=r"B layer 'c': got shape 1,4,2; allowed: 1,2,4 as in A .*Maps are \[sample"):
        hwsim.diff({"c": np.zeros((1, 2, 4), int)}, {"c": np.zeros((1, 4, 2), int)})


@settings(max_examples=40, deadline=None)
@given(networks_with_inputs())
def test_events_equal_the_events_of_the_explained_elements(drawn) -> None:
    network, codes = drawn
    codes = codes[:1]
    found = events(network, hwsim.trace(network, codes))
    for layer in network.layers:
        shape = network.shapes[layer.name]
        if np.prod(shape) > 12:
            continue
        every = [hwsim.explain(network, codes, layer.name, at) for at in np.ndindex(*shape)]
        scaled = [e.requantization for e in every if e.requantization is not None]
        wanted = (
            sum(s.tie for s in scaled),
            sum(s.rounded + s.zero_point < s.low for s in scaled),
            sum(s.rounded + s.zero_point > s.high for s in scaled),
            sum(e.accumulated.overflowed for e in every if e.accumulated is not None),
        )
        counted = found[layer.name]
        given_ = (counted.ties, counted.clips_low, counted.clips_high, counted.overflows)
        assert tuple(n or 0 for n in given_) == wanted
        assert (counted.ties is None) == (not scaled)
        assert (counted.overflows is None) == (every[0].accumulated is None)
        assert counted.outputs == len(every)


def one_sum(weights, codes, r: Requantizer, accumulator=INT32) -> ArithmeticEvents:
    """Return the events of one linear layer with one output."""
    weight = QTensor(np.array([weights]), Format(16, signed=True))
    fc = Layer("fc", Op.LINEAR, ("input",), Format(8, signed=True), weight=weight, bias=np.zeros(1, np.int64),
               requantizer=r, accumulator=accumulator)  # fmt: skip
    head = Layer(
        "head", Op.LINEAR, ("fc",), LOGITS, weight=QTensor(np.array([[1]]), TERNARY), bias=np.zeros(1, np.int64)
    )
    network = Network(Format(16), (len(weights),), 1.0, (fc, head))
    return events(network, hwsim.trace(network, np.array([codes])))["fc"]


def test_ties_of_the_rules_that_are_no_single_step() -> None:
    half = int(np.float32(0.5).view(np.uint32))
    by_half = Requantizer(np.array([half]), np.array([0]), -128, 127, Rounding.F32_HALF_EVEN)
    assert [one_sum([1], [code], by_half).ties for code in (2, 3)] == [0, 1]
    gemmlowp = Requantizer(np.array([2**30]), np.array([33]), -128, 127, Rounding.GEMMLOWP_DOUBLE)
    assert one_sum([1], [1], gemmlowp).ties == 1  # 1/2 at bit 31, then 1/4
    assert one_sum([1], [4], gemmlowp).ties == 1  # 2 at bit 31, then 1/2
    assert one_sum([1], [8], gemmlowp).ties == 0


def test_a_sum_that_wraps_in_48_bits_is_an_overflow() -> None:
    count = 1 << 17
    r = Requantizer(np.array([1]), np.array([40]), -128, 127)
    found = one_sum(np.full(count, -(2**15)), np.full(count, 2**16 - 1), r, Accumulator(48))
    assert found.overflows == 1


@settings(max_examples=20, deadline=None)
@given(networks_with_inputs())
def test_a_trace_equals_the_definition_before_and_after_the_file(tmp_path_factory, drawn) -> None:
    network, codes = drawn
    path = tmp_path_factory.mktemp("run") / "run.npz"
    write_run(path, hwsim.trace(network, codes))
    done, read, loaded = reference.run(network, codes), RunFile(path), np.load(path, allow_pickle=False)
    assert list(done) == list(read) == loaded.files
    for name, array in done.items():
        assert np.array_equal(read[name], array)
        assert np.array_equal(loaded[name], array)
    assert not is_network(path)


def test_a_run_is_written_whole_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "run.npz"
    write_run(path, {"a": np.zeros(3, np.int8)})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="pickle"):
        write_run(path, {"a": np.zeros(3, np.int8), "b": np.array([None])})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]
    with pytest.raises(HwsimError, match=r"no/run.npz: got a folder that does not exist"):
        write_run(tmp_path / "no" / "run.npz", {})


def test_dumps_of_other_tools_are_read(tmp_path) -> None:
    path = tmp_path / "dump.npz"
    by_columns = np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))
    np.savez_compressed(path, one=by_columns, real=np.zeros(3), big=np.array([2**63], np.uint64))
    run = RunFile(path)
    assert list(run) == ["one", "real", "big"]
    assert np.array_equal(run["one"], by_columns)
    with pytest.raises(BadInput, match=r"dump.npz real: got float64 numbers; allowed: integer codes. Network.encode"):
        run["real"]
    with pytest.raises(BadInput, match=r"dump.npz big: got 9223372036854775808"):
        run["big"]


def npy(array, **kwargs) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **kwargs)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(np.array([{"a": 1}]), allow_pickle=True), "pickled objects"),
        (npy(np.zeros(4, np.int8))[:-1], "a header of 4 bytes before 3 bytes of data"),
        (npy(np.zeros(4, np.int8)).replace(b"(4,)", b"(9999999999999,)").replace(b" " * 12 + b"\n", b"\n", 1), "data"),
        (npy(np.zeros(4, bool)), "bool numbers"),
        (b"\x93NUMPY\x07\x00", "a .npy array of version 7.0"),
        (b"codes: 1 2 3", "something that is not an array"),
        (b"", "something that is not an array"),
    ],
)
def test_files_that_are_no_codes(tmp_path, content, words) -> None:
    path = tmp_path / "codes.npy"
    path.write_bytes(content)
    with pytest.raises(HwsimError, match=words):
        read_codes(path, small_network())
    with zipfile.ZipFile(tmp_path / "run.npz", "w") as archive:
        archive.writestr("conv.npy", content)
    with pytest.raises(HwsimError, match=words):
        RunFile(tmp_path / "run.npz")["conv"]


def test_zips_that_are_no_runs(tmp_path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(
        BadInput, match=r"text: got not a complete .npz file .File is not a zip file.; allowed: an .npz"
    ):
        RunFile(tmp_path / "text")
    with zipfile.ZipFile(tmp_path / "empty.npz", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(BadInput, match="a zip without arrays"):
        RunFile(tmp_path / "empty.npz")
    write_run(tmp_path / "run.npz", {"input": np.zeros((1, 8), np.int8), "x": np.arange(500)})
    damaged = bytearray((tmp_path / "run.npz").read_bytes())
    damaged[-700] ^= 1
    (tmp_path / "damaged.npz").write_bytes(damaged)
    with pytest.raises(HwsimError, match=r"damaged.npz: got not a complete .npz file .Bad CRC-32"):
        RunFile(tmp_path / "damaged.npz")["x"]


def test_random_codes_do_not_depend_on_the_other_samples() -> None:
    network = small_network()
    assert np.array_equal(random_codes(network, samples=5)[3:], random_codes(network, first=3, samples=2))
    assert random_codes(network)[0].ravel()[:4].tolist() == [192, 114, 177, 210]
    network.input.require(random_codes(network, samples=5), "random")


def with_rounding(rounding: Rounding) -> Network:
    """Return the small network with a shift by 7 bits, which gives ties."""
    network = small_network()
    r = replace(network["conv"].requantizer, multiplier=np.array([1]), shift=np.array([7]), rounding=rounding)
    conv, *others = network.layers
    return replace(network, layers=(replace(conv, requantizer=r), *others))


def test_two_roundings_differ_at_a_tie() -> None:
    up, even = with_rounding(Rounding.HALF_UP), with_rounding(Rounding.HALF_EVEN)
    codes = random_codes(up, samples=4)
    first = hwsim.diff(hwsim.trace(up, codes), hwsim.trace(even, codes)).first
    assert first.layer == "conv"
    sample, *at = first.first
    explained = hwsim.explain(up, codes, "conv", at, sample)
    assert explained.requantization.tie
    assert explained.op is Op.CONV
    assert Rounding.HALF_EVEN in explained.requantization.disagreeing_rules
    assert first.values[0] == explained.code
