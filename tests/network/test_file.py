"""Network files: exact round trips, older versions, and HwsimError for damaged and hostile files."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.engine.execute import execute
from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.network.file import HEADER, digest, load, save
from hwsim.network.fixed_point import requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import (
    INPUT,
    Accumulator,
    Geometry,
    Layer,
    Op,
    Overflow,
    Region,
    Requantizer,
    Rounding,
    Softmax,
    Thresholds,
)
from tests.support.networks import networks_with_inputs

U8, S4 = Format(8), Format(4, signed=True)
GOLDEN = Path(__file__).with_name("golden")


def small_network() -> Network:
    rng = np.random.default_rng(0)
    weight = rng.integers(-8, 8, (2, 1, 3, 3)).astype(np.int8)
    region = Region(2, 2, 700, np.clip(weight, -2, 1), low_bits=2)
    scales = np.array([0.1, 1 / 3])
    dense = QTensor(rng.integers(-8, 8, (3, 32)), S4)
    layers = (
        Layer("conv", Op.CONV, ("input",), U8, 0.02, QTensor(weight, S4, scales), np.array([5, -70_000]),
              requantizer([0.01, 0.003], U8, relu=True), Geometry((3, 3), (1, 1), (1, 1)), region),
        Layer("flat", Op.FLATTEN, ("conv",), U8, 0.02),
        Layer("out", Op.LINEAR, ("flat",), LOGITS, 1e-3, dense, np.zeros(3, np.int64)),
    )  # fmt: skip
    return Network(U8, (1, 4, 4), 1 / 255, layers)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "net.npz"
    save(small_network(), path)
    return path.read_bytes()


@pytest.fixture
def saved(tmp_path, whole):
    path = tmp_path / "net.npz"
    path.write_bytes(whole)
    return path


def entries(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, contents: dict[str, bytes], compression=zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def edit_header(path, change) -> None:
    """Rewrite the file with `change` applied to its parsed header."""
    contents = entries(path)
    header = json.loads(contents[HEADER])
    change(header)
    write(path, contents | {HEADER: json.dumps(header).encode()})


@settings(max_examples=30, deadline=None, derandomize=True)
@given(networks_with_inputs())
def test_a_loaded_network_computes_the_same(tmp_path_factory, case):
    network, codes = case
    path = tmp_path_factory.mktemp("net") / "net.npz"
    save(network, path)
    again = load(path)
    assert digest(again) == digest(network)
    np.testing.assert_array_equal(execute(again, codes).outputs, execute(network, codes).outputs)


def test_every_field_survives(saved):
    old, new = small_network(), load(saved)
    assert (new.input, new.input_shape, new.input_scale) == (old.input, old.input_shape, old.input_scale)
    for a, b in zip(old.layers, new.layers, strict=True):
        assert (a.name, a.op, a.inputs, a.output, a.scale, a.geometry, a.accumulator) == (
            b.name, b.op, b.inputs, b.output, b.scale, b.geometry, b.accumulator)  # fmt: skip
    a, b = old["conv"], new["conv"]
    assert a.weight.format == b.weight.format
    assert a.region.threshold == b.region.threshold and a.region.low_bits == b.region.low_bits
    for x, y in (
        (a.weight.codes, b.weight.codes), (a.weight.scale, b.weight.scale), (a.bias, b.bias),
        (a.requantizer.multiplier, b.requantizer.multiplier), (a.region.low_weight, b.region.low_weight),
    ):  # fmt: skip
        np.testing.assert_array_equal(x, y)
    assert b.bias.dtype == np.int64 and new["out"].weight.scale == 1.0


def test_regions_per_channel_survive(tmp_path):
    conv, *rest = small_network().layers
    own = dataclasses.replace(conv, region=dataclasses.replace(conv.region, per_channel=True))
    network = dataclasses.replace(small_network(), layers=(own, *rest))
    save(network, tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert differences(network, again) == []
    assert digest(again) == digest(network) != digest(small_network())


def test_a_missing_optional_field_is_its_default(saved):
    assert "per_channel" not in json.loads(entries(saved)[HEADER])["network"]["layers"][0]["region"]
    edit_header(saved, lambda h: layer0(h)["region"].update(per_channel=False))
    assert differences(small_network(), load(saved)) == []
    assert digest(load(saved)) == digest(small_network())


def test_files_of_version_1_are_read():
    """A file written by hwsim with format version 1: midrise codes, ternary weights, and known outputs."""
    old = load(GOLDEN / "version_1.npz")
    assert old["conv"].output == Format(4, kind=Kind.MIDRISE)
    assert old["conv"].weight.format == Format(2, signed=True, narrow_range=True)
    codes = np.arange(18).reshape(2, 1, 3, 3) * 14
    assert reference.run(old, codes)["out"].tolist() == [[55, 106, 89], [61, 92, 63]]


def test_a_network_of_version_1_is_saved_in_the_present_version(tmp_path):
    old = load(GOLDEN / "version_1.npz")
    save(old, tmp_path / "net.npz")
    header = json.loads(entries(tmp_path / "net.npz")[HEADER])
    assert (header["version"], header["semantics"]) == (2, "HQ1")
    assert header["network"]["layers"][0]["output"]["kind"] == "midrise"
    assert header["network"]["layers"][0]["weight"]["format"]["narrow_range"] is True
    assert differences(load(tmp_path / "net.npz"), old) == []


def as_version_1(header) -> None:
    """Change a header into version 1."""
    del header["semantics"]
    header["version"] = "HQ1"
    text = json.dumps(header["network"]).replace('"narrow_range"', '"narrow"').replace('"midrise"', '"odd"')
    header["network"] = json.loads(text)


def test_every_policy_is_read_from_version_1(tmp_path):
    save(full_network(), tmp_path / "net.npz")
    edit_header(tmp_path / "net.npz", as_version_1)
    assert differences(load(tmp_path / "net.npz"), full_network()) == []


def full_network() -> Network:
    """Return a network in which every field of every policy differs from its default."""
    rng = np.random.default_rng(1)
    midrise, book = Format(3, kind=Kind.MIDRISE), Format(2, kind=Kind.CODEBOOK, table=(-32768, -1, 1, 32767))
    window = Geometry((2, 3), (1, 2), (1, 0), 2, (2, 1), (0, 2))
    down = Requantizer(np.array([2**29]), np.array([40]), 1, 200)
    layers = (
        Layer("conv", Op.CONV, (INPUT,), midrise, 0.25, QTensor(rng.integers(0, 4, (2, 1, 2, 3)), book),
              np.array([2**39, -9]), Thresholds(np.array([[-5, 0, 2**46], [1, 1, 2]]), 2), window,
              accumulator=Accumulator(48)),
        Layer("mean", Op.AVG_POOL, ("conv",), U8, 0.5, requantizer=dataclasses.replace(down, rounding=Rounding.TRUNC),
              geometry=Geometry((2, 2), padding_end=(1, 1)), accumulator=Accumulator(12, Overflow.SATURATE_END)),
        Layer("shaped", Op.RESHAPE, ("mean",), U8, shape=(4, 4)),
        Layer("turned", Op.TRANSPOSE, ("shaped",), U8, axes=(1, 0)),
        Layer("product", Op.MATMUL, ("shaped", "turned"), U8,
              requantizer=dataclasses.replace(down, rounding=Rounding.GEMMLOWP_DOUBLE),
              accumulator=Accumulator(17, Overflow.SATURATE_STEP)),
        Layer("soft", Op.SOFTMAX, ("product",), U8, softmax=Softmax(np.array([2**31 - 1, 77, 0]), 65536)),
        Layer("norm", Op.LAYER_NORM, ("soft",), U8, 0.5, QTensor(np.array([1, -2, 3, 4]), S4), np.arange(4),
              Requantizer(np.array([0x3A000000]), np.array([0]), 0, 255, Rounding.F32_HALF_EVEN)),
        Layer("joined", Op.CONCAT, ("norm", "soft"), U8, requantizer=Requantizer(
            np.array([1, 3]), np.array([0, 2]), 0, 255, Rounding.HALF_EVEN)),
        Layer("out", Op.LINEAR, ("joined",), LOGITS, 1e-3, QTensor(np.ones((3, 4), int), S4), np.zeros(3, np.int64),
              accumulator=Accumulator(16, Overflow.CHECK)),
    )  # fmt: skip
    return Network(U8, (2, 5, 4), 1 / 7, layers)


def differences(a, b, place="network") -> list[str]:
    """Return the paths at which two dataclasses, tuples, arrays or plain values differ."""
    if dataclasses.is_dataclass(a) and type(a) is type(b):
        pairs = [(getattr(a, f.name), getattr(b, f.name), f"{place}.{f.name}") for f in dataclasses.fields(a)]
    elif isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        pairs = [(x, y, f"{place}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True))]
    elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return [] if np.array_equal(a, b) else [place]
    else:
        return [] if a == b and type(a) is type(b) else [place]
    return [found for pair in pairs for found in differences(*pair)]


def test_every_policy_survives(tmp_path):
    network = full_network()
    save(network, tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert differences(network, again) == [] and digest(network) == digest(again)
    for layer in again.layers:  # int64 arrays of the kernels are loaded as int64
        r = layer.requantizer
        arrays = [r.levels] if isinstance(r, Thresholds) else [r.multiplier, r.shift] if r else []
        arrays += [layer.softmax.table] if layer.softmax else []
        assert all(array.dtype == np.int64 for array in arrays)
    codes = np.random.default_rng(2).integers(0, 256, (5, 2, 5, 4))
    np.testing.assert_array_equal(execute(again, codes).outputs, execute(network, codes).outputs)


but = dataclasses.replace
FULL = {layer.name: layer for layer in full_network().layers}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("conv", {"requantizer": but(FULL["conv"].requantizer, levels=FULL["conv"].requantizer.levels + 1)}),
        ("conv", {"requantizer": but(FULL["conv"].requantizer, low=3)}),
        ("conv", {"accumulator": Accumulator(47)}),
        ("conv", {"accumulator": Accumulator(48, Overflow.SATURATE_END)}),
        ("conv", {"geometry": but(FULL["conv"].geometry, padding=(0, 0), padding_end=(1, 2))}),
        ("conv", {"geometry": but(FULL["conv"].geometry, dilation=(1, 1), padding=(0, 0))}),
        ("conv", {"output": Format(3)}),
        ("conv", {"weight": QTensor(FULL["conv"].weight.codes, Format(2, kind=Kind.CODEBOOK, table=(0, 1, 2, 3)))}),
        ("mean", {"requantizer": but(FULL["mean"].requantizer, rounding=Rounding.FLOOR)}),
        ("mean", {"geometry": Geometry((2, 2), padding=(1, 1), padding_end=(0, 0))}),
        ("turned", {"axes": (0, 1)}),
        ("soft", {"softmax": but(FULL["soft"].softmax, one=256)}),
        ("soft", {"softmax": but(FULL["soft"].softmax, table=np.array([2**31 - 1, 77]))}),
        ("norm", {"requantizer": but(FULL["norm"].requantizer, multiplier=np.array([0x3A000001]))}),
        ("joined", {"inputs": ("soft", "norm")}),
        ("out", {"accumulator": Accumulator(16)}),
    ],
)  # fmt: skip
def test_a_digest_sees_every_policy(name, fields):
    network = full_network()
    layers = tuple(but(layer, **fields) if layer.name == name else layer for layer in network.layers)
    assert digest(but(network, layers=layers)) != digest(network)


def test_a_digest_sees_a_shape():
    def shaped(*shape: int) -> Network:
        head = Layer("out", Op.LINEAR, ("s",), LOGITS, 1.0, QTensor(np.ones((1, 2), int), S4), np.zeros(1, np.int64))
        return Network(U8, (8,), 1.0, (Layer("s", Op.RESHAPE, (INPUT,), U8, shape=shape), head))

    assert len({digest(shaped(*shape)) for shape in ((4, 2), (2, 2, 2), (1, 4, 2), (4, 1, 2))}) == 4


def test_files_are_byte_stable_and_plain_npz(saved, tmp_path):
    save(load(saved), tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == saved.read_bytes()
    with np.load(saved, allow_pickle=False) as plain:
        np.testing.assert_array_equal(plain["network/layers/0/bias"], [5, -70_000])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.npz", "net.npz"]


def test_digest_sees_every_change():
    network = small_network()
    first = network.layers[0]
    other = Layer(**{**vars(first), "bias": first.bias + 1})
    assert digest(Network(U8, (1, 4, 4), 1 / 255, (other, *network.layers[1:]))) != digest(network)
    assert digest(Network(U8, (1, 4, 4), 1 / 254, network.layers)) != digest(network)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(BadInput, match="got a folder that does not exist"):
        save(small_network(), tmp_path / "missing" / "net.npz")
    (tmp_path / "taken").mkdir()
    with pytest.raises(BadInput, match="taken: got a folder; allowed: a new file"):
        save(small_network(), tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(HwsimError, match="cannot be read"):
        load(tmp_path / "nothing.npz")


def test_truncated_files(saved, whole):
    for length in [*range(0, len(whole), 29), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(HwsimError, match=r"net\.npz"):
            load(saved)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_flipped_bits_raise_hwsim_errors_only(tmp_path_factory, whole, position, bit):
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    data = bytearray(whole)
    data[int(position * len(data))] ^= 1 << bit
    path.write_bytes(data)
    try:
        network = load(path)
    except HwsimError:
        return
    assert digest(network) == digest(small_network())  # the flipped bit is in a field of the zip without content


def test_every_byte_of_the_zip_directory_may_be_wrong(saved, whole):
    start = whole.index(b"PK\x01\x02")
    for position in range(start, len(whole)):
        for value in (0x00, 0xFF):
            saved.write_bytes(whole[:position] + bytes([value]) + whole[position + 1 :])
            try:
                network = load(saved)
            except HwsimError:
                continue
            assert digest(network) == digest(small_network())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_any_json_in_any_field_is_refused_or_valid(tmp_path_factory, whole, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.npz"
    path.write_bytes(whole)
    junk = st.sampled_from(
        [None, True, -1, 0, 2**31, 10**400, 1.5, -1.0, "", "conv", "input", [], [1], [[]], {}, {"bits": 1}, [0, 0]]
    )

    def change(header):
        node = header
        for _ in range(data.draw(st.integers(1, 7))):
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if not isinstance(node[key], (dict, list)):
                break
            parent, node = node, node[key]
            if data.draw(st.integers(0, 5)) == 0:
                parent[key] = data.draw(junk)
                return
        if isinstance(node, dict) and node:
            node[data.draw(st.sampled_from(list(node)))] = data.draw(junk)
        elif isinstance(node, list) and node:
            node[data.draw(st.integers(0, len(node) - 1))] = data.draw(junk)

    edit_header(path, change)
    try:
        load(path)
    except HwsimError as error:
        assert "fuzzed.npz" in str(error)


def layer0(header):
    return header["network"]["layers"][0]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda h: h.update(version=3), BadInput, "version: got 3; allowed: 2, or HQ1 in older files"),
        (lambda h: h.update(version=2.0), BadInput, "version: got 2.0"),
        (lambda h: h.update(version="HQ1"), UnknownName, "header: got semantics; allowed: network, version"),
        (lambda h: h.update(semantics="HQ9"), BadInput, "semantics: got HQ9; allowed: HQ1"),
        (lambda h: h["network"]["input"].update(narrow=False), UnknownName, "It is called 'narrow_range' now"),
        (lambda h: h["network"]["input"].update(kind="odd"), UnknownName, "It is called 'midrise' now"),
        (lambda h: layer0(h).update(op="covn"), UnknownName, "network/layers/0/op: got covn.*Did you mean 'conv'"),
        (lambda h: layer0(h).update(opp="conv"), UnknownName, "network/layers/0: got opp.*Did you mean 'op'"),
        (lambda h: layer0(h).pop("op"), BadInput, "network/layers/0/op is missing"),
        (lambda h: layer0(h).update(scale=float("nan")), BadInput, "NaN; allowed: finite numbers"),
        (lambda h: layer0(h).update(scale=-1.0), HwsimError, "scale: got -1.0; allowed: a positive number"),
        (lambda h: layer0(h)["weight"].update(scale=[0.1, None]), BadInput, "weight/scale/1: got null"),
        (lambda h: layer0(h)["requantizer"].update(rounding="half_upp"), UnknownName, "Did you mean 'half_up'"),
        (lambda h: layer0(h)["geometry"].update(stride=[1]), BadInput, "geometry/stride: got 1 items; allowed: 2"),
        (lambda h: layer0(h)["geometry"].update(stride=[1, True]), BadInput, "stride/1: got True"),
        (lambda h: layer0(h)["geometry"].update(padding=[2**15, 2**16]), HwsimError, "layer 'conv' geometry"),
        (lambda h: layer0(h)["geometry"].update(padding_end=[1]), BadInput, "geometry/padding_end: got 1 items"),
        (lambda h: layer0(h)["geometry"].update(padding_end=[0, -1]), HwsimError, "layer 'conv' geometry"),
        (lambda h: layer0(h)["geometry"].update(dilation=[0, 1]), HwsimError, "layer 'conv' geometry"),
        (lambda h: layer0(h)["accumulator"].update(bits=49), HwsimError, "accumulator: accumulator.bits: got 49"),
        (lambda h: layer0(h)["accumulator"].update(overflow="warp"), UnknownName, "Did you mean 'wrap'"),
        (lambda h: layer0(h).pop("accumulator"), BadInput, "layers/0/accumulator is missing"),
        (lambda h: layer0(h).update(softmax={"one": 1}), BadInput, "softmax/table is missing"),
        (lambda h: layer0(h).update(axes=["a"]), BadInput, "axes/0: got a word"),
        (lambda h: layer0(h).update(shape=2), BadInput, "shape: got 2; allowed: a list"),
        (lambda h: layer0(h)["requantizer"].pop("rounding"), BadInput, "requantizer/rounding is missing"),
        (lambda h: layer0(h)["region"].update(rounding="gemmlowp_double"), HwsimError, "a rounding of one step"),
        (lambda h: layer0(h)["region"].update(per_channel=1), BadInput, "region/per_channel: got 1"),
        (lambda h: layer0(h)["region"].pop("rounding"), BadInput, "region/rounding is missing"),
        (lambda h: layer0(h)["output"].update(kind="codebook"), HwsimError, "format.table: got 0 entries"),
        (lambda h: layer0(h)["output"].update(table=[1, 2]), HwsimError, "format.table: got 2 entries"),
        (lambda h: layer0(h)["bias"].update(dtype="|O"), UnknownName, r"got \|O"),
        (lambda h: layer0(h)["bias"].update(dtype="<i8"), BadInput, "as the header says"),
        (lambda h: layer0(h)["bias"].update(shape=[3]), BadInput, "as the header says"),
        (lambda h: h["network"].update(input_shape=[2**20, 2**20, 2**20]), HwsimError, "net.npz"),
        (lambda h: h["network"].update(layers=h["network"]["layers"] * 2), HwsimError, "net.npz"),
    ],
)
def test_invalid_headers(saved, change, error, words):
    edit_header(saved, change)
    with pytest.raises(error, match=r"net\.npz") as caught:
        load(saved)
    assert re.search(words, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


BIAS = "network/layers/0/bias.npy"


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({BIAS: npy(np.array([print, len], dtype=object))}, "pickled objects"),
        ({BIAS: npy(np.array([1.0, 2.0]))}, "another .npy header"),
        ({BIAS: npy(np.array([1, 2], dtype=">i4"))}, "another .npy header"),
        ({BIAS: npy(np.zeros((2, 2), dtype="<i4", order="F"))}, "another .npy header"),
        ({BIAS: npy(np.zeros(2, dtype="<i4"))[:-1]}, "7 bytes of data"),
        ({BIAS: npy(np.zeros(2, dtype="<i4")) + b"x"}, "9 bytes of data"),
        ({BIAS: b"\x93NUMPY\x03\x00"}, "a .npy array of version 3.0"),
        ({BIAS: b""}, "something that is not an array"),
        ({BIAS: None}, "no such entry"),
        ({"extra.npy": b"1"}, "unused entry extra.npy"),
        ({HEADER: b"[" * 100_000}, "not JSON"),
        ({HEADER: b"\xff"}, "not JSON"),
        ({HEADER: b'{"version": "HQ1", "version": "HQ1"}'}, "a key twice"),
        ({HEADER: b"[]"}, "got a list; allowed: a table"),
        ({HEADER: b'{"version": "HQ1", "network": ' + b"[" * 900 + b"]" * 900 + b"}"}, "got a list"),
        ({HEADER: b'{"version": "HQ1", "network": {"narrow": 1, "narrow_range": 1}}'}, "network: got narrow; allowed"),
        ({HEADER: None}, "no such entry"),
    ],
)
def test_invalid_entries(saved, changes, words):
    contents = {name: data for name, data in (entries(saved) | changes).items() if data is not None}
    write(saved, contents)
    with pytest.raises(HwsimError, match=r"net\.npz") as caught:
        load(saved)
    assert words in str(caught.value)


def test_compressed_entries_are_refused_before_they_are_read(saved):
    bomb = entries(saved) | {BIAS: bytes(50_000_000)}
    write(saved, bomb, zipfile.ZIP_DEFLATED)
    with pytest.raises(HwsimError, match="compressed"):
        load(saved)


def test_an_entry_larger_than_the_file_is_refused_unread(saved, whole):
    directory = whole.index(b"PK\x01\x02")
    sizes = slice(directory + 20, directory + 28)  # compressed and real size of the first entry
    claim = (2**31 - 1).to_bytes(4, "little") * 2
    saved.write_bytes(whole[: sizes.start] + claim + whole[sizes.stop :])
    with pytest.raises(HwsimError, match="overlaps another entry or the end of the file"):
        load(saved)


def test_a_duplicate_entry_is_refused(saved):
    with zipfile.ZipFile(saved, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(HEADER, "{}")
    with pytest.raises(HwsimError, match="two entries"):
        load(saved)


def test_a_file_over_the_limit_is_refused_unread(saved, monkeypatch):
    saved.write_bytes(bytes(2 << 20) + saved.read_bytes())
    load(saved)
    monkeypatch.setenv("HWSIM_MEMORY", "1MiB")
    with pytest.raises(BadInput, match="at most 1 MiB"):
        load(saved)


def test_other_files_are_no_networks(tmp_path):
    for name, data in (("text", b"hello"), ("empty", b""), ("zip", b"PK\x05\x06" + bytes(18))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(HwsimError, match=name):
            load(tmp_path / name)
