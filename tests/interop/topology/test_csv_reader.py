"""Topology files: what they say, in which reading, what is refused and where; and the built-in workloads."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.interop.topology import csv_reader as module
from hwsim.interop.topology.builtin import load_workload, workloads
from hwsim.interop.topology.csv_reader import (
    READINGS,
    Reading,
    Topology,
    Workload,
    parse_topology,
    read_topology,
    topology_text,
    write_topology,
)
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, Window, conv_product

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides"
GEMM = "Layer, M, N, K"


def conv(row: str, reading: Reading = "ceil", more: str = "") -> Product:
    """The product of one row of the conv form; `more` are further columns."""
    return parse_topology(f"{CONV}{more},\n{row},\n", "net.csv", reading).layers[0].product


# What a row means


def test_a_convolution() -> None:
    assert conv("c, 58, 30, 3, 5, 64, 32, 1") == conv_product(64, 32, 58, 30, Geometry((3, 5)))


def test_all_our_columns() -> None:
    more = ", Padding, Dilation, Groups, Activation bits, Weight bits, Output bits, Sparsity"
    geometry = Geometry((3, 3), (2, 1), (0, 2), groups=4, dilation=(2, 1), padding_end=(1, 3))
    expected = replace(conv_product(8, 12, 9, 7, geometry), a_bits=4, w_bits=1, out_bits=32)
    assert conv("c, 9, 7, 3, 3, 8, 12, 2 1, 0 1 2 3, 2 1, 4, 4, 1, 32, 1:1", more=more) == expected


@pytest.mark.parametrize(("cell", "pads"), [("2", (2, 2, 2, 2)), ("2 0", (2, 2, 0, 0)), ("1 2 0 3", (1, 2, 0, 3))])
def test_padding_on_all_sides_on_two_axes_or_on_each_side(cell: str, pads: tuple[int, ...]) -> None:
    window = conv(f"c, 8, 8, 3, 3, 1, 1, 1, {cell}", more=", Padding").window
    assert window is not None
    assert window.geometry.pads == pads


def test_a_gemm_with_and_without_groups() -> None:
    text = f"{GEMM}, Groups\nscores, 197, 196, 64, 12\nfc, 1, 10, 84, \n"
    scores, fc = (layer.product for layer in parse_topology(text, "net.csv").layers)
    assert scores == Product(197, 64, 196, groups=12, ifmap_elements=12 * 197 * 64)
    assert fc == Product(1, 84, 10, ifmap_elements=84)


@pytest.mark.parametrize(
    "text",
    [
        "layername,ifmapheight,IFMAP  WIDTH,filter height,filter width,channels,num filters,stride\nc,9,8,3,2,4,6,2",
        "Strides,Num Filter,Channels,Filter Width,Filter Height,IFMAP Width,IFMAP Height,Layer\n2,6,4,2,3,8,9,c\n",
        f"{CONV},\n\n,,,,,,,,\nc ,9 ,8 ,3 ,2 ,4 ,6 ,2 , \n",
        f'# a comment, with a "quote\n{CONV},\n  # another\nc,9,8,3,2,4,6,2,#dw\n',
        f'{CONV}\n"c", "9",8,3,2,4,6,2\n',
        f"{CONV},\r\nc,9,8,3,2,4,6,2,\r\n",
        f"{CONV}, Sparsity,\nc,9,8,3,2,4,6,2,\n",
    ],
    ids=["case and blanks", "order", "empty rows", "comments", "quotes", "carriage returns", "empty sparsity"],
)
def test_forms_of_the_same_file(text: str) -> None:
    assert parse_topology(text, "net.csv").layers == (
        Workload("c", replace(conv_product(4, 6, 9, 8, Geometry((3, 2), (2, 2), padding_end=(0, 0))), window=CEIL)),
    )


CEIL = Window(9, 8, Geometry((3, 2), (2, 2)))


def test_names_may_hold_commas_and_quotes(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text(f'{GEMM}\n"q, ""k"" and v", 1, 2, 3\nénc,1,2,3\n', encoding="utf-8-sig")
    topology = read_topology(tmp_path / "net.csv")
    assert topology.name == "net"
    assert [layer.name for layer in topology.layers] == ['q, "k" and v', "énc"]


# Readings

SIZES: dict[Reading, tuple[int, int]] = {"ceil": (110, 54), "floor": (109, 54), "padded": (112, 56)}


@pytest.mark.parametrize("reading", READINGS)
def test_one_file_three_readings(reading: Reading) -> None:
    """ResNet-18 as SCALE-Sim ships it: 110 and 54 by its own formula (topology_utils.py), in truth 112 and 56."""
    text = f"{CONV},\nconv1,224,224,7,7,3,64,2,\nconv2,56,56,3,3,64,64,1,\nfc,1,1,1,1,512,1000,1,\n"
    topology = parse_topology(text, "net.csv", reading)
    assert topology.reading == reading
    outputs = [layer.product.window.output for layer in topology.layers if layer.product.window]
    assert outputs == [(size, size) for size in (*SIZES[reading], 1)]
    assert topology.ambiguous == ("conv1", "conv2")
    assert topology.notes == (
        f"net.csv: no padding given, output sizes read as {reading}; another reading changes 2 of 3 layers: "
        "conv1 (ceil 110x110, floor 109x109, padded 112x112), conv2 (ceil 54x54, floor 54x54, padded 56x56)",
    )


@given(
    size=st.integers(1, 40),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 9),
    dilation=st.integers(1, 3),
    reading=st.sampled_from(READINGS),
)
def test_output_sizes_are_those_of_the_formula(
    size: int, kernel: int, stride: int, dilation: int, reading: Reading
) -> None:
    span = dilation * (kernel - 1) + 1
    row = f"c, {size}, 40, {kernel}, 1, 1, 1, {stride} 1, {dilation} 1"
    if span > size and reading != "padded":
        with pytest.raises(BadInput, match="Filter Height"):
            conv(row, reading, ", Dilation")
        return
    window = conv(row, reading, ", Dilation").window
    assert window is not None
    formula = {
        "ceil": lambda: math.ceil((size - span + stride) / stride),  # as SCALE-Sim writes it
        "floor": lambda: (size - span) // stride + 1,
        "padded": lambda: math.ceil(size / stride),
    }
    assert window.output == (formula[reading](), 40)
    assert (window.height, window.width) == (size, 40)


def test_where_the_zeros_are() -> None:
    """A map of 8 with k 3, s 2 leaves one row over: SCALE-Sim hangs over the edge, as does the odd zero of padding."""
    pads = {}
    for reading in READINGS:
        window = conv("c, 8, 7, 3, 4, 1, 1, 2 1", reading).window
        assert window is not None
        pads[reading] = window.geometry.pads
    assert pads == {"ceil": (0, 1, 0, 0), "floor": (0, 0, 0, 0), "padded": (0, 1, 1, 2)}


def test_readings_leave_given_padding_alone() -> None:
    text = f"{CONV}, Padding\na,224,224,7,7,3,64,2,3\n"
    results = {reading: parse_topology(text, "net.csv", reading) for reading in READINGS}
    assert len({topology.layers for topology in results.values()}) == 1
    assert all(not topology.ambiguous for topology in results.values())
    assert results["ceil"].notes == ()
    assert results["padded"].notes == ("net.csv: reading padded has no effect, no layer leaves its padding open",)


def test_a_reading_applies_to_the_rows_that_leave_the_padding_open() -> None:
    text = f"{CONV}, Padding\na,56,56,3,3,3,64,1,0\nb,56,56,3,3,3,64,1,\n"
    topology = parse_topology(text, "net.csv", "padded")
    assert [layer.product.pixels for layer in topology.layers] == [54 * 54, 56 * 56]
    assert topology.ambiguous == ("b",)


def test_long_notes_are_cut_and_say_how_many_there_are() -> None:
    rows = "".join(f"c{i},9,9,3,3,1,1,1,\n" for i in range(7))
    topology = parse_topology(f"{CONV},\n{rows}", "net.csv")
    assert len(topology.ambiguous) == 7
    assert topology.notes[0].endswith("c3 (ceil 7x7, floor 7x7, padded 9x9) and 3 more")


def test_a_file_in_which_every_reading_agrees() -> None:
    topology = parse_topology(f"{CONV},\nfc,1,1,1,1,512,1000,1,\n", "net.csv", "floor")
    assert topology.ambiguous == ()
    assert topology.notes == ("net.csv: no padding given; every reading gives the same output sizes",)


def test_a_name_with_dp_is_depthwise_as_in_scalesim() -> None:
    topology = parse_topology(f"{CONV}, Groups, Padding\nDP1,9,9,3,3,8,2,1,,0\n", "net.csv")
    assert topology.layers[0].product == conv_product(8, 16, 9, 9, Geometry((3, 3), groups=8))
    assert topology.notes == ("net.csv: read as depthwise, as SCALE-Sim reads names that hold 'DP': DP1",)


@pytest.mark.parametrize(("name", "groups"), [("DP1", "1"), ("dp1", ""), ("conv_dw", "")])
def test_neither_a_given_group_nor_other_names_are_depthwise(name: str, groups: str) -> None:
    topology = parse_topology(f"{CONV}, Groups, Padding\n{name},9,9,3,3,8,2,1,{groups},0\n", "net.csv")
    assert topology.layers[0].product == conv_product(8, 2, 9, 9, Geometry((3, 3)))
    assert topology.notes == ()


def test_sparsity_is_said_to_have_no_effect() -> None:
    topology = parse_topology(f"{GEMM}, Sparsity,\na,3,5,16,2:4,\nb,3,5,16,4:4,\n", "net.csv")
    assert topology.layers[0].product == topology.layers[1].product
    assert topology.notes == ("net.csv: sparsity is not modelled, counted as dense: a",)


# What is refused

WHOLE = "allowed: a whole number from 1 to 2147483647"

REFUSED = [
    ("", "net.csv: got no layer; allowed: a header and one row per layer"),
    (CONV, "net.csv: got no layer; allowed: a header and one row per layer"),
    (
        "conv1, 224, 224, 7, 7, 3, 64, 2,",
        f"net.csv line 1: got a row of numbers; allowed: a header first: {CONV}; or {GEMM}",
    ),
    ("Layer, M, N", f"net.csv line 1: got no column K; allowed: {GEMM}, in any order"),
    (f"{CONV},, Target", "net.csv line 1, column 9: got no name; allowed: Layer name,"),
    (f"{CONV}, Paddin", "net.csv line 1, column 9: got Paddin; allowed: Activation bits,"),
    (f"{CONV}, Paddin", "Did you mean 'Padding'?"),
    (f"{GEMM}, Padding", "net.csv line 1, column 5: got Padding; allowed: Activation bits,"),
    (f"{GEMM}, k", "net.csv line 1, column 5: got k a second time; allowed: each column once"),
    (f"{GEMM}\na,1,2", "net.csv line 2: got 3 cells; allowed: 4, one for each column of the header"),
    (f"{GEMM}\na,1,2,3,4,", "net.csv line 2: got 5 cells; allowed: 4, one for each column of the header"),
    (f"{GEMM}\na,1,2,3\n\n# x\nb,1,2.5,3", f"net.csv line 5, N: got 2.5; {WHOLE}"),
    (f"{GEMM}\na,-1,2,3", f"net.csv line 2, M: got -1; {WHOLE}"),
    (f"{GEMM}\na,1,2,0", f"net.csv line 2, K: got 0; {WHOLE}"),
    (f"{GEMM}\na,1,1_0,3", f"net.csv line 2, N: got 1_0; {WHOLE}"),
    (f"{GEMM}\na,1,²,3", f"net.csv line 2, N: got ²; {WHOLE}"),
    (f"{GEMM}\na,1,1 2,3", f"net.csv line 2, N: got 1 2; {WHOLE}"),
    (f"{GEMM}\na,1,2147483648,3", f"net.csv line 2, N: got 2147483648; {WHOLE}"),
    (f"{GEMM}\na,1,{'9' * 5000},3", "net.csv line 2, N: got 999"),
    (f"{GEMM}\na,,2,3", f"net.csv line 2, M is missing; {WHOLE}"),
    (f"{GEMM}\n,1,2,3", "net.csv line 2, Layer is missing; allowed: a printable name"),
    (f'{GEMM}\n"a\nb",1,2,3', "net.csv line 3, Layer: got 'a\\nb'; allowed: a printable name"),
    (f'{GEMM}\n"a,1,2,3', "net.csv line 2: got unexpected end of data; allowed: comma-separated cells"),
    (
        f"{CONV}\na,9,9,3,3,4,4,0",
        "net.csv line 2, Strides: got 0; allowed: one whole number, or two for rows and columns, from 1 to 2147483647",
    ),
    (f"{CONV}\na,9,9,3,3,4,4,1 2 3", "net.csv line 2, Strides: got 1 2 3; allowed: one whole number, or two"),
    (
        f"{CONV}\na,5,9,7,3,4,4,1",
        "net.csv line 2, Filter Height: got 7; allowed: at most 5, the size of the map with its padding",
    ),
    (
        f"{CONV}, Padding\na,9,5,3,8,4,4,1,0 1",
        "net.csv line 2, Filter Width: got 8; allowed: at most 7, the size of the map with its padding",
    ),
    (
        f"{CONV}, Dilation\na,9,9,3,3,4,4,1,2 5",
        "net.csv line 2, Filter Width: got 3 taps that span 11; allowed: at most 9,",
    ),
    (
        f"{CONV}, Padding\na,9,9,3,3,4,4,1,1 2 3",
        "net.csv line 2, Padding: got 1 2 3; allowed: one whole number, or two for rows and columns, or four for top, "
        "bottom, left and right, from 0 to 2147483647",
    ),
    (
        f"{CONV}, Groups\na,9,9,3,3,4,6,1,4",
        "net.csv line 2, Groups: got 4; allowed: a divisor of 4 channels and of 6 filters",
    ),
    (f"{CONV}, Groups\na,9,9,3,3,4,6,1,0", f"net.csv line 2, Groups: got 0; {WHOLE}"),
    (f"{CONV}, Dilation\na,9,9,3,3,4,6,1,0", "net.csv line 2, Dilation: got 0; allowed: one whole number, or two"),
    (f"{GEMM}, Weight bits\na,1,2,3,17", "net.csv line 2, Weight bits: got 17; allowed: a whole number from 1 to 16"),
    (f"{GEMM}, Activation bits\na,1,2,3,0", "Activation bits: got 0; allowed: a whole number from 1 to 16"),
    (f"{GEMM}, Output bits\na,1,2,3,49", "Output bits: got 49; allowed: a whole number from 1 to 48"),
    *(
        (f"{GEMM}, Sparsity\na,1,2,3,{ratio}", f"Sparsity: got {ratio}; allowed: N:M with N from 1 to M, as 2:4")
        for ratio in ("5:4", "0:4", "1", "2:4:8", "a:b")
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused_with_place_given_and_allowed(text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_topology(text, "net.csv")
    assert message in str(caught.value)
    assert str(caught.value).startswith("net.csv")
    assert caught.value.exit_code == 2


def test_a_kernel_may_be_larger_than_its_map_when_zeros_make_up_for_it() -> None:
    assert conv("a,2,2,5,5,4,4,1", "padded").pixels == 4
    topology = parse_topology(f"{CONV}\na,2,2,5,5,4,4,1", "net.csv", "padded")
    assert "a (ceil none, floor none, padded 2x2)" in topology.notes[0]


def test_an_unknown_reading() -> None:
    with pytest.raises(UnknownName, match=r"got ceiling; allowed: ceil, floor, padded\. Did you mean 'ceil'"):
        parse_topology(f"{GEMM}\na,1,2,3", "net.csv", "ceiling")  # type: ignore[arg-type]


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.csv"
    with pytest.raises(BadInput, match=r"net\.csv: got No such file or directory; allowed: a file that can be read"):
        read_topology(path)
    with pytest.raises(BadInput, match="got Is a directory"):
        read_topology(tmp_path)
    path.write_bytes(b"Layer,M,N,K\n\xff,1,2,3\n")
    with pytest.raises(BadInput, match=r"net\.csv: got byte 0xff at offset 12; allowed: UTF-8 text"):
        read_topology(path)
    path.write_text(f"{GEMM}\na,1,2,3\n")
    monkeypatch.setattr(module, "MAX_BYTES", path.stat().st_size)
    assert read_topology(path).macs == 6
    monkeypatch.setattr(module, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(BadInput, match=r"net\.csv: got more than 22 bytes; allowed: at most 22"):
        read_topology(path)


@given(st.text(alphabet='LayerMNK, \n\r",#0123456789:éDP\x00', max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for header in ("", f"{GEMM}\n", f"{CONV}\n"):
        try:
            parse_topology(header + text, "net.csv")
        except BadInput as error:
            assert str(error).startswith("net.csv")


# Written and read again

bits = st.integers(1, 16)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
    lambda name: name.isprintable() and name == name.strip() and not name.startswith("#")
)
names |= st.sampled_from(["DP", "conv_DP_1", 'a "b", c'])


@st.composite
def convolutions(draw: st.DrawFn) -> Product:
    def two(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    groups = draw(st.integers(1, 4))
    begin, end = two(0, 3), two(0, 3)
    kernel, dilation = two(1, 4), two(1, 3)
    geometry = Geometry(kernel, two(1, 4), begin, groups, dilation, None if begin == end else end)
    height, width = (draw(st.integers(d * (k - 1) + 1, 20)) for d, k in zip(dilation, kernel, strict=True))
    shape = conv_product(groups * draw(st.integers(1, 5)), groups * draw(st.integers(1, 5)), height, width, geometry)
    return replace(shape, a_bits=draw(bits), w_bits=draw(bits), out_bits=draw(bits))


@st.composite
def gemms(draw: st.DrawFn) -> Product:
    m, n, k, groups = (draw(st.integers(1, high)) for high in (300, 300, 300, 12))
    widths = {"a_bits": draw(bits), "w_bits": draw(bits), "out_bits": draw(st.integers(1, 48))}
    return Product(m, k, n, groups, groups * m * k, **widths)


def layers(products: st.SearchStrategy[Product]) -> st.SearchStrategy[tuple[Workload, ...]]:
    return st.lists(st.builds(Workload, names, products), min_size=1, max_size=4).map(tuple)


@given(layers(convolutions()) | layers(gemms()))
def test_what_is_written_is_read_again(made: tuple[Workload, ...]) -> None:
    assert parse_topology(topology_text(Topology("net", made)), "net.csv").layers == made


@given(convolutions(), gemms())
def test_beside_a_convolution_a_plain_product_becomes_a_pointwise_one(window: Product, plain: Product) -> None:
    text = topology_text(Topology("net", (Workload("a", window), Workload("b", plain))))
    a, b = (layer.product for layer in parse_topology(text, "net.csv").layers)
    assert a == window
    assert b.window == Window(plain.pixels, 1, Geometry(groups=plain.groups))
    assert replace(b, window=None) == plain


@given(size=st.integers(3, 30), kernel=st.integers(1, 3), stride=st.integers(1, 4), reading=st.sampled_from(READINGS))
def test_a_reading_survives_being_written(size: int, kernel: int, stride: int, reading: Reading) -> None:
    topology = parse_topology(f"{CONV}\na,{size},{size},{kernel},{kernel},3,4,{stride}", "net.csv", reading)
    assert parse_topology(topology_text(topology), "net.csv").layers == topology.layers


def test_a_name_with_dp_is_written_with_its_groups() -> None:
    """Or it would come back as depthwise."""
    made = (Workload("DP1", conv_product(4, 6, 5, 5, Geometry((3, 3)))),)
    assert parse_topology(topology_text(Topology("net", made)), "net.csv").layers == made


def test_columns_that_no_layer_needs_are_not_written(tmp_path: Path) -> None:
    text = f"{CONV}\nconv1,229,229,7,7,3,64,2\nfc,1,1,1,1,512,10,1\n".replace(", ", ",")
    write_topology(tmp_path / "net.csv", parse_topology(text, "net.csv"))
    assert (tmp_path / "net.csv").read_bytes() == text.encode()


FC = Product(1, 8, 4, ifmap_elements=8)


@pytest.mark.parametrize(
    "layer",
    [
        Workload("regions", replace(FC, low_bits=4, regions=3)),
        Workload("elements", replace(FC, ifmap_elements=7)),
        Workload("pixels", replace(conv_product(4, 4, 8, 8), pixels=63)),
        Workload("bits", replace(FC, a_bits=17)),
        Workload("#comment", FC),
        Workload(" blank", FC),
        Workload("", FC),
        Workload("line\nbreak", FC),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_that_no_row_can_say_are_not_written(layer: Workload, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        write_topology(tmp_path / "net.csv", Topology("net", (Workload("fine", FC), layer)))
    assert str(caught.value).startswith(f"layer {layer.name!r}")
    assert not (tmp_path / "net.csv").exists()


def test_a_topology_without_layers_is_not_written() -> None:
    with pytest.raises(BadInput, match="got none; allowed: one or more"):
        topology_text(Topology("net", ()))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(HwsimError, match="cannot be written: No such file"):
        write_topology(tmp_path / "none" / "net.csv", Topology("net", (Workload("fc", FC),)))


# Built-in workloads


def macs(name: str, scale: int = 1) -> dict[str, int]:
    """MACs of each layer of a built-in workload."""
    return {layer.name: scale * layer.product.macs for layer in load_workload(name).layers}


def weights(name: str, counts: Callable[[str], bool] = lambda name: True) -> int:
    """Number of weights of the layers whose names count."""
    products = [layer.product for layer in load_workload(name).layers if counts(layer.name)]
    return sum(p.groups * p.reduction * p.filters for p in products)


TOTALS = {
    "resnet18": 1_814_073_344,  # SCALE-Sim v3 at exact shapes, see tests/golden; torchvision: 1.81 G
    "resnet20": 40_551_040,  # 27*16*32^2 + 144*16*32^2*6 + (144+288*5)*32*16^2 + (288+576*5)*64*8^2 + 640
    "alexnet": 724_406_816,  # the convolutions below, and 9216*4096 + 4096^2 + 4096*1000
    "vgg16": 15_470_264_320,  # torchvision, VGG16_Weights: 15.47 G
    "mobilenet_v1": 568_740_352,  # tensorflow/models research/slim/nets/mobilenet_v1.md: 569 M
    "lenet5": 416_520,  # 117,600 + 240,000 + 48,000 + 10,080 + 840
    "vit_b16": 17_563_828_224,  # torchvision, ViT_B_16_Weights: 17.56 G
    "bitfusion_alexnet": 2_678_604_864,  # these eight: see the tests by layer below
    "bitfusion_svhn": 158_017_536,
    "bitfusion_cifar10": 616_966_144,
    "bitfusion_lenet5": 16_028_672,
    "bitfusion_vgg7": 317_456_384,
    "bitfusion_resnet18": 4_269_375_488,
    "bitfusion_rnn": 16_777_216,
    "bitfusion_lstm": 12_960_000,
}


def test_total_macs() -> None:
    assert {name: load_workload(name).macs for name in workloads()} == TOTALS


def test_numbers_of_weights() -> None:
    """Parameters of torchvision's models (num_params on its pages), less those that are no weights of these layers."""
    norms = 2 * (64 * 5 + 128 * 5 + 256 * 5 + 512 * 5)
    assert weights("resnet18") == 11_689_512 - norms - 1000
    assert weights("vgg16") == 138_357_544 - (2 * 64 + 2 * 128 + 3 * 256 + 6 * 512 + 2 * 4096 + 1000)
    biases = 768 + 12 * (2304 + 768 + 3072 + 768) + 1000
    embeddings_and_norms = 198 * 768 + 25 * 2 * 768
    no_attention = weights("vit_b16", lambda name: not name.endswith(("scores", "context")))
    assert no_attention == 86_567_656 - biases - embeddings_and_norms
    # akamaster/pytorch_resnet_cifar10: 0.27 M, norms and biases included; tf.keras.applications.mobilenet: 4.2 M
    assert round((weights("resnet20") + 2 * (16 * 7 + 32 * 6 + 64 * 6) + 10) / 1e6, 2) == 0.27
    assert round(weights("mobilenet_v1") / 1e6, 1) == 4.2


def golden_resnet18() -> dict[str, tuple[int, int, int]]:
    """M, K, N from SCALE-Sim's own run at exact shapes (its provenance: tests/machine/timing/test_layer_cycles.py)."""
    text = (Path(__file__).parents[2] / "golden" / "resnet18_scalesim_32x32.csv").read_text()
    rows = csv.DictReader(text.splitlines())
    return {row["layer"]: (int(row["pixels"]), int(row["reduction"]), int(row["filters"])) for row in rows}


def shapes(topology: Topology) -> dict[str, tuple[int, int, int]]:
    return {
        layer.name: (layer.product.pixels, layer.product.reduction, layer.product.filters) for layer in topology.layers
    }


def test_resnet18_has_the_shapes_that_scalesim_ran() -> None:
    assert shapes(load_workload("resnet18")) == golden_resnet18()


def test_scalesims_reading_of_its_own_form_gives_the_shapes_that_it_ran() -> None:
    """The exact-shape topology: maps of (Ho - 1) s + k, so that rounding up gives the true output size."""
    rows = []
    for layer in load_workload("resnet18").layers:
        window = layer.product.window
        assert window is not None
        (out, _), k, s = window.output, window.geometry.kernel[0], window.geometry.stride[0]
        size = (out - 1) * s + k
        channels = layer.product.reduction // k**2
        rows.append(f"{layer.name},{size},{size},{k},{k},{channels},{layer.product.filters},{s},")
    assert rows[0] == "conv1,229,229,7,7,3,64,2,"
    assert shapes(parse_topology("\n".join([f"{CONV},", *rows]), "resnet18.csv")) == golden_resnet18()


def test_alexnet_convolutions_are_those_that_eyeriss_ran() -> None:
    """MACs of 4 images, Eyeriss (Chen et al., JSSC 2017): 0.42, 0.90, 0.60, 0.45, 0.30 G, in all 2.66 G."""
    layers = list(macs("alexnet", 4).values())[:5]
    assert [round(n / 1e9, 2) for n in layers] == [0.42, 0.90, 0.60, 0.45, 0.30]
    assert sum(layers) == 2_663_139_456


def test_lenet5_has_the_connections_that_its_paper_counts() -> None:
    """LeCun et al. 1998: connections, one bias for each output included, of C1, C5 and F6."""
    got = {
        layer.name: layer.product.macs + layer.product.pixels * layer.product.filters
        for layer in load_workload("lenet5").layers
    }
    assert (got["c1"], got["c5"], got["f6"]) == (122_304, 48_120, 10_164)


def test_mobilenet_is_depthwise_every_other_layer() -> None:
    products = [layer.product for layer in load_workload("mobilenet_v1").layers]
    assert [p.filters == 1 and p.reduction == 9 for p in products] == [i % 2 == 1 and i < 27 for i in range(28)]
    assert products[25].groups == 1024


def test_attention_heads_are_groups() -> None:
    scores, context = (
        layer.product for layer in load_workload("vit_b16").layers if layer.name in ("block0.scores", "block0.context")
    )
    assert (scores.groups, scores.pixels, scores.reduction, scores.filters) == (12, 197, 64, 197)
    assert (context.groups, context.pixels, context.reduction, context.filters) == (12, 197, 197, 64)
    assert scores.ifmap_elements == 197 * 768


# hsharma35/bitfusion, results/eyeriss_results.csv: column ALU, MACs of 16 images
EYERISS_16 = {
    "bitfusion_svhn": [28311552, 603979776, 301989888, 603979776, 301989888, 603979776, 67108864, 16777216, 163840],
    "bitfusion_cifar10": [
        *(56623104, 2415919104, 1207959552, 2415919104, 1207959552, 2415919104),
        *(134217728, 16777216, 163840),
    ],
    "bitfusion_lenet5": [13107200, 209715200, 33554432, 81920],
    "bitfusion_vgg7": [56623104, 56623104, 1207959552, 1207959552, 1207959552, 1207959552, 134217728],
    "bitfusion_rnn": [268435456],
    "bitfusion_lstm": [207360000],
}


@pytest.mark.parametrize("name", EYERISS_16)
def test_bitfusions_networks_have_the_macs_of_its_result_file(name: str) -> None:
    assert list(macs(name, 16).values()) == EYERISS_16[name]


# hsharma35/bitfusion, results/bitfusion-eyeriss-sim-sweep.csv: column IBUF Read, bits for 16 images, one read for each
# MAC. AlexNet: rows of 4,096 bits per cycle, without conv2 and fc3, which its tiling rounds up; ResNet-18: of 192.
IBUF_READ = {
    "bitfusion_alexnet": {
        **dict.fromkeys(("conv1_a", "conv1_b"), 13493145600),
        **dict.fromkeys(("conv3_a", "conv3_b"), 19138609152),
        **dict.fromkeys(("conv4_a", "conv4_b"), 14353956864),
        **dict.fromkeys(("conv5_a", "conv5_b"), 9569304576),
        "fc1": 9663676416,
        "fc2": 4294967296,
    },
    "bitfusion_resnet18": {
        "conv1_a": 30211571712,
        **{f"conv{stage}_1_a": 1644167168 for stage in (3, 4, 5)},
        **dict.fromkeys(("conv2_1_a", "conv2_2_a", "conv3_2_a", "conv4_2_a", "conv5_2_a"), 3288334336),
        **{f"conv{stage}_{i}_b": 29595009024 for stage in (2, 3, 4, 5) for i in (1, 2)},
    },
}


@pytest.mark.parametrize("name", IBUF_READ)
def test_bitfusions_wide_networks_read_what_its_simulator_reads(name: str) -> None:
    reads = {layer.name: 16 * layer.product.macs * layer.product.a_bits for layer in load_workload(name).layers}
    assert {layer: bits for layer, bits in reads.items() if layer in IBUF_READ[name]} == IBUF_READ[name]
    assert len(reads) - len(IBUF_READ[name]) == (3 if name == "bitfusion_alexnet" else 0)


@pytest.mark.parametrize("name", sorted(TOTALS))
def test_built_in_workloads_are_complete(name: str) -> None:
    topology = load_workload(name)
    assert topology.notes == () and topology.ambiguous == () and topology.name == name
    assert len({layer.name for layer in topology.layers}) == len(topology.layers)
    assert len(workloads()[name]) > 10


@pytest.mark.parametrize("accelerator", ["tpu_like", "bitfusion_like"])
def test_built_in_workloads_fit_an_accelerator(accelerator: str) -> None:
    from hwsim.machine.mapping.mapping import derive_mapping
    from hwsim.registry import build

    made = build("accelerator", accelerator)
    for name in workloads():
        for layer in load_workload(name).layers:
            derive_mapping(made, layer.product)  # raises Infeasible for operands that its PE cannot multiply


def test_the_readme_names_every_file() -> None:
    text = (Path(__file__).parents[3] / "accel_models" / "topologies" / "README.md").read_text(encoding="utf-8")
    for name, total in TOTALS.items():
        assert f"| {name} | {total:,} |" in text


def test_names_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lenet5").write_text(f"{GEMM}\na,1,2,3\n")
    Path("mine").write_text(f"{GEMM}\na,1,2,3\n")
    Path("resnet18.csv").write_text(f"{GEMM}\na,1,2,3\n")
    assert load_workload("lenet5").macs == 416_520
    for file in ("./lenet5", "mine", "resnet18.csv", Path("lenet5"), tmp_path / "mine"):
        assert load_workload(file).macs == 6
    with pytest.raises(BadInput, match=r"vgg16\.csv: got No such file"):
        load_workload("vgg16.csv")
    with pytest.raises(UnknownName, match="Did you mean 'resnet18'") as caught:
        load_workload("resnet-18")
    assert str(caught.value).startswith(
        "workload (a name, or the path of a .csv file): got resnet-18; allowed: alexnet,"
    )


def test_a_reading_reaches_the_file(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text(f"{CONV}\na,56,56,3,3,64,64,1\n")
    assert load_workload(tmp_path / "net.csv", "padded").layers[0].product.pixels == 56 * 56
