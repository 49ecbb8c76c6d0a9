"""Topology files: meaning of rows, output sizes, and errors with their place."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.interop.topology import csv_reader
from hwsim.interop.topology.csv_reader import parse_topology, read_topology
from hwsim.interop.topology.topology import OUTPUT_SIZES, OutputSize, Workload
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, Window, conv_product

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides"
GEMM = "Layer, M, N, K"


def conv(row: str, output_size: OutputSize = "ceil", more: str = "") -> Product:
    """The product of one row of the conv form; `more` are further columns."""
    return parse_topology(f"{CONV}{more},\n{row},\n", "net.csv", output_size).layers[0].product


# What a row means


def test_a_convolution() -> None:
    assert conv("c, 58, 30, 3, 5, 64, 32, 1") == conv_product(64, 32, 58, 30, Geometry((3, 5)))


def test_all_optional_columns() -> None:
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
    assert scores == Product(197, 64, 196, groups=12, ifmap_elements=12 * 197 * 64, second_is_weight=False)
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


def test_names_may_contain_commas_and_quotes(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text(f'{GEMM}\n"q, ""k"" and v", 1, 2, 3\nénc,1,2,3\n', encoding="utf-8-sig")
    topology = read_topology(tmp_path / "net.csv")
    assert topology.name == "net"
    assert [layer.name for layer in topology.layers] == ['q, "k" and v', "énc"]


# OutputSizes

SIZES: dict[OutputSize, tuple[int, int]] = {"ceil": (110, 54), "floor": (109, 54), "padded": (112, 56)}


@pytest.mark.parametrize("output_size", OUTPUT_SIZES)
def test_one_file_has_three_output_sizes(output_size: OutputSize) -> None:
    """ResNet-18 of SCALE-Sim: 110 and 54 by its own formula (topology_utils.py); the network has 112 and 56."""
    text = f"{CONV},\nconv1,224,224,7,7,3,64,2,\nconv2,56,56,3,3,64,64,1,\nfc,1,1,1,1,512,1000,1,\n"
    topology = parse_topology(text, "net.csv", output_size)
    assert topology.output_size == output_size
    outputs = [layer.product.window.output for layer in topology.layers if layer.product.window]
    assert outputs == [(size, size) for size in (*SIZES[output_size], 1)]
    assert topology.ambiguous == ("conv1", "conv2")
    assert topology.notes == (
        f"net.csv: no padding given, output size is {output_size}; another choice changes 2 of 3 layers: "
        "conv1 (ceil 110x110, floor 109x109, padded 112x112), conv2 (ceil 54x54, floor 54x54, padded 56x56)",
    )


@given(
    size=st.integers(1, 40),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 9),
    dilation=st.integers(1, 3),
    output_size=st.sampled_from(OUTPUT_SIZES),
)
def test_output_sizes_equal_the_formula(
    size: int, kernel: int, stride: int, dilation: int, output_size: OutputSize
) -> None:
    span = dilation * (kernel - 1) + 1
    row = f"c, {size}, 40, {kernel}, 1, 1, 1, {stride} 1, {dilation} 1"
    if span > size and output_size != "padded":
        with pytest.raises(BadInput, match="Filter Height"):
            conv(row, output_size, ", Dilation")
        return
    window = conv(row, output_size, ", Dilation").window
    assert window is not None
    formula = {
        "ceil": lambda: math.ceil((size - span + stride) / stride),  # as SCALE-Sim writes it
        "floor": lambda: (size - span) // stride + 1,
        "padded": lambda: math.ceil(size / stride),
    }
    assert window.output == (formula[output_size](), 40)
    assert (window.height, window.width) == (size, 40)


def test_positions_of_the_padding() -> None:
    """A map of 8 with k 3, s 2 has one more row: SCALE-Sim extends beyond the edge, as does the odd zero of padding."""
    pads = {}
    for output_size in OUTPUT_SIZES:
        window = conv("c, 8, 7, 3, 4, 1, 1, 2 1", output_size).window
        assert window is not None
        pads[output_size] = window.geometry.pads
    assert pads == {"ceil": (0, 1, 0, 0), "floor": (0, 0, 0, 0), "padded": (0, 1, 1, 2)}


def test_output_size_does_not_change_given_padding() -> None:
    text = f"{CONV}, Padding\na,224,224,7,7,3,64,2,3\n"
    results = {output_size: parse_topology(text, "net.csv", output_size) for output_size in OUTPUT_SIZES}
    assert len({topology.layers for topology in results.values()}) == 1
    assert all(not topology.ambiguous for topology in results.values())
    assert results["ceil"].notes == ()
    assert results["padded"].notes == ("net.csv: output size padded has no effect, every layer has its padding",)


def test_output_size_applies_to_rows_without_padding() -> None:
    text = f"{CONV}, Padding\na,56,56,3,3,3,64,1,0\nb,56,56,3,3,3,64,1,\n"
    topology = parse_topology(text, "net.csv", "padded")
    assert [layer.product.pixels for layer in topology.layers] == [54 * 54, 56 * 56]
    assert topology.ambiguous == ("b",)


def test_long_notes_are_cut_and_count_the_layers() -> None:
    rows = "".join(f"c{i},9,9,3,3,1,1,1,\n" for i in range(7))
    topology = parse_topology(f"{CONV},\n{rows}", "net.csv")
    assert len(topology.ambiguous) == 7
    assert topology.notes[0].endswith("c3 (ceil 7x7, floor 7x7, padded 9x9) and 3 more")


def test_a_file_with_the_same_output_sizes_by_every_rule() -> None:
    topology = parse_topology(f"{CONV},\nfc,1,1,1,1,512,1000,1,\n", "net.csv", "floor")
    assert topology.ambiguous == ()
    assert topology.notes == ("net.csv: no padding given; ceil, floor and padded give the same output sizes",)


def test_a_name_with_dp_is_depthwise_as_in_scalesim() -> None:
    topology = parse_topology(f"{CONV}, Groups, Padding\nDP1,9,9,3,3,8,2,1,,0\n", "net.csv")
    assert topology.layers[0].product == conv_product(8, 16, 9, 9, Geometry((3, 3), groups=8))
    assert topology.notes == ("net.csv: depthwise, as in SCALE-Sim for names that contain 'DP': DP1",)


@pytest.mark.parametrize(("name", "groups"), [("DP1", "1"), ("dp1", ""), ("conv_dw", "")])
def test_given_groups_and_other_names_are_not_depthwise(name: str, groups: str) -> None:
    topology = parse_topology(f"{CONV}, Groups, Padding\n{name},9,9,3,3,8,2,1,{groups},0\n", "net.csv")
    assert topology.layers[0].product == conv_product(8, 2, 9, 9, Geometry((3, 3)))
    assert topology.notes == ()


def test_sparsity_is_noted_to_have_no_effect() -> None:
    topology = parse_topology(f"{GEMM}, Sparsity,\na,3,5,16,2:4,\nb,3,5,16,4:4,\n", "net.csv")
    assert topology.layers[0].product == topology.layers[1].product
    assert topology.notes[0] == "net.csv: sparsity is not modeled, counted as dense: a"


# Files as people have them

ONE = "c,9,8,3,2,4,6,2"
BY_POSITION = f"columns read by position, as SCALE-Sim does: {CONV}"


def swapped(**words: str) -> str:
    """The header of the conv form with other words in some columns."""
    return ", ".join(words.get(column.replace(" ", "_"), column) for column in CONV.split(", "))


AS_THEY_ARE = [
    (f"{swapped(IFMAP_Height='IFMAP Width')},\n{ONE},\n", BY_POSITION),
    (f"{swapped(IFMAP_Height='Rows', IFMAP_Width='Cols', Layer_name='What')}\n{ONE}\n", BY_POSITION),
    (f"{swapped(Filter_Width='Filter Height', Strides='Step')},\n{ONE},\n", BY_POSITION),
    (f"{CONV},,,Eh,Ew\n{ONE},,,4,4\n", "columns without effect: column 9, column 10, Eh, Ew"),
    (f"{CONV}\n{ONE},4,4\n", "ignored, cells beyond the columns of the header, in line: 2"),
    (f"{swapped(Strides='Stride height')}, Stride width\n{ONE},2\n", None),
    (f"{CONV}, Stride W\n{ONE},2\n", None),
    (f"{CONV}, Strides\n{ONE},2\n", BY_POSITION),
    (f"{CONV}, Batch Size,\n{ONE},1,\n", None),
    (f"{CONV}\n{ONE}\n".replace(", ", "\t").replace(",", "\t"), "columns separated by tabs"),
    (f"{CONV}\n{ONE}\n".replace(", ", ";").replace(",", ";"), "columns separated by semicolons"),
    (f"sep=;\n{CONV}\n{ONE}\n".replace(", ", ";").replace(",", ";"), "columns separated by semicolons"),
    (f"{CONV}\nA title,\n{ONE}\n", "ignored, lines with a name alone: A title"),
    (f"{CONV}\n{ONE}\n{CONV}\n", None),
    (f"// a comment\n{CONV}\n{ONE}\n", None),
    (f"{CONV}\nc,9.0,8.0,3.0,2.0,4.,6,2.00\n", None),
    (f"{CONV}, Groups, Sparsity\n{ONE}\n", None),
    (f"{CONV.upper().replace(' ', '_')}\n{ONE}\n", None),
    (f"{ONE}\n", f"no header, columns read by position: {CONV}; the first line is a layer (SCALE-Sim skips it)"),
    (f"{CONV}\r{ONE}\r", None),
]


@pytest.mark.parametrize(("text", "note"), AS_THEY_ARE, ids=range(len(AS_THEY_ARE)))
def test_files_of_scalesim_users_are_read_with_a_note(text: str, note: str | None) -> None:
    """All of them describe the same layer; what is guessed or ignored is noted."""
    plain = parse_topology(f"{CONV}\n{ONE}\n", "net.csv")
    topology = parse_topology(text, "net.csv")
    assert topology.layers == plain.layers
    assert [line for line in topology.notes if line not in plain.notes] == ([f"net.csv: {note}"] if note else [])


def test_a_file_of_a_spreadsheet_in_utf_16(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text(f"{CONV}\n{ONE}\n".replace(", ", "\t").replace(",", "\t"), encoding="utf-16")
    assert read_topology(tmp_path / "net.csv").layers == parse_topology(f"{CONV}\n{ONE}\n", "net.csv").layers


def test_names_decide_in_any_order_and_scalesims_order_is_noted() -> None:
    topology = parse_topology("Layer, K, M, N\na, 3, 1, 2\n", "net.csv")
    assert topology.layers[0].product == Product(1, 3, 2, ifmap_elements=3)
    assert topology.notes[0] == "net.csv: columns read by name; SCALE-Sim reads by position: Layer, M, N, K"


@pytest.mark.parametrize(
    "header", ["Layer name, IFMAP Width, IFMAP Height, R, S, Channels, Num Filter, Strides", "a,b,c"]
)
def test_names_that_contradict_the_order_are_refused(header: str) -> None:
    with pytest.raises(BadInput, match=r"net\.csv line 1, column"):
        parse_topology(f"{header}\n{ONE}\n", "net.csv")


def test_a_layer_without_a_name_has_that_of_its_line() -> None:
    topology = parse_topology(f"{GEMM}\n,1,2,3\n", "net.csv")
    assert topology.layers[0].name == "line 2"
    assert topology.notes[0] == "net.csv: layers without a name have the name of their line: 2"


# The second operand


@pytest.mark.parametrize(
    ("row", "is_weight"),
    [
        ("fc, 4, 5, 6, 1,", True),
        ("fc, 4, 5, 6, 1, activation", False),
        ("fc, 4, 5, 6, 12,", False),
        ("fc, 4, 5, 6, 12, Weights", True),
        *((f"{name}, 4, 5, 6, 1,", False) for name in ("QKT", "QKTV", "attn_scores", "block0.context", "qk", "L1.bmm")),
        *(
            (f"{name}, 4, 5, 6, 1,", True)
            for name in ("qkv", "attn.proj", "attention.output.dense", "PW-FF-L1", "Linear1")
        ),
    ],
)
def test_a_gemm_that_cannot_be_told_shares_nothing(row: str, is_weight: bool) -> None:
    topology = parse_topology(f"{GEMM}, Groups, Second operand\n{row}\n", "net.csv")
    assert topology.layers[0].product.second_is_weight == is_weight
    told = not row.endswith(",")
    assert len(topology.notes) == (0 if told else 1)
    if not told:
        kind = "weights, as in SCALE-Sim" if is_weight else "an activation, own to each sample of a batch"
        assert topology.notes[0].startswith(f"net.csv: second operand counted as {kind};")


def test_convolutions_have_weights_unless_a_column_says_otherwise() -> None:
    topology = parse_topology(
        f"{CONV}, Padding, Second operand\nscores,9,9,1,1,8,2,1,0,\nb,9,9,1,1,8,2,1,0,activation", "n"
    )
    assert [layer.product.second_is_weight for layer in topology.layers] == [True, False]
    assert topology.notes == ()


# What is refused

WHOLE = "allowed: a whole number from 1 to 2147483647"

REFUSED = [
    ("", "net.csv: got no layer; allowed: a header and one row per layer"),
    (CONV, "net.csv: got no layer; allowed: a header and one row per layer"),
    ("c, 9, 9, 3, 3", f"net.csv line 1: got a row of numbers; allowed: a header first: {CONV}; or {GEMM}"),
    ("Layer, M, N", f"net.csv line 1: got no column K; allowed: {GEMM}, in any order"),
    ("Layer name,, Target", "net.csv line 1, column 2: got no name; allowed: Activation bits,"),
    ("Layer M N K", "net.csv line 1: got Layer M N K; allowed: columns with commas, tabs or semicolons between them"),
    (
        f"{CONV}, Batch Size\na,9,9,3,3,4,4,1,8",
        "net.csv line 2, Batch size: got 8; allowed: 1: a topology is one sample; remove the column and give the batch "
        "as `hwsim cycles --batch`",
    ),
    (
        f"{GEMM}, Second operand\na,1,2,3,both",
        "net.csv line 2, Second operand: got both; allowed: weight or activation",
    ),
    (f"{CONV}, Paddin", "net.csv line 1, column 9: got Paddin; allowed: Activation bits,"),
    (f"{CONV}, Paddin", "Did you mean 'Padding'?"),
    (f"{GEMM}, Padding", "net.csv line 1, column 5: got Padding; allowed: Activation bits,"),
    (f"{GEMM}, k", "net.csv line 1, column 5: got k a second time; allowed: each column once"),
    (f"{GEMM}\na,1,2", "net.csv line 2: got 3 cells; allowed: 4, one for each column of the header"),
    (f"{GEMM}\na,1,2,3\n\n# x\nb,1,2.5,3", f"net.csv line 5, N: got 2.5; {WHOLE}"),
    (f"{GEMM}\na,-1,2,3", f"net.csv line 2, M: got -1; {WHOLE}"),
    (f"{GEMM}\na,1,2,0", f"net.csv line 2, K: got 0; {WHOLE}"),
    (f"{GEMM}\na,1,1_0,3", f"net.csv line 2, N: got 1_0; {WHOLE}"),
    (f"{GEMM}\na,1,²,3", f"net.csv line 2, N: got ²; {WHOLE}"),
    (f"{GEMM}\na,1,1 2,3", f"net.csv line 2, N: got 1 2; {WHOLE}"),
    (f"{GEMM}\na,1,2147483648,3", f"net.csv line 2, N: got 2147483648; {WHOLE}"),
    (f"{GEMM}\na,1,{'9' * 5000},3", "net.csv line 2, N: got 999"),
    (f"{GEMM}\na,,2,3", f"net.csv line 2, M is missing; {WHOLE}"),
    (f'{GEMM}\n"a\nb",1,2,3', "net.csv line 3, Layer: got 'a\\nb'; allowed: a printable name"),
    (f'{GEMM}\n"a,1,2,3', "net.csv line 2: got unexpected end of data; allowed: cells separated by commas"),
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


def test_a_kernel_may_be_larger_than_its_map_with_enough_padding() -> None:
    assert conv("a,2,2,5,5,4,4,1", "padded").pixels == 4
    topology = parse_topology(f"{CONV}\na,2,2,5,5,4,4,1", "net.csv", "padded")
    assert "a (ceil none, floor none, padded 2x2)" in topology.notes[0]


def test_an_unknown_output_size() -> None:
    with pytest.raises(UnknownName, match=r"got ceiling; allowed: ceil, floor, padded\. Did you mean 'ceil'"):
        parse_topology(f"{GEMM}\na,1,2,3", "net.csv", "ceiling")  # type: ignore[arg-type]


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.csv"
    with pytest.raises(HwsimError, match=r"net\.csv: cannot be read: No such file or directory"):
        read_topology(path)
    with pytest.raises(HwsimError, match="cannot be read: Is a directory"):
        read_topology(tmp_path)
    path.write_bytes(b"Layer,M,N,K\n\xff,1,2,3\n")
    with pytest.raises(BadInput, match=r"net\.csv: got byte 0xff at offset 12; allowed: UTF-8 text"):
        read_topology(path)
    path.write_text(f"{GEMM}\na,1,2,3\n")
    monkeypatch.setattr(csv_reader, "MAX_BYTES", path.stat().st_size)
    assert read_topology(path).macs == 6
    monkeypatch.setattr(csv_reader, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(BadInput, match=r"net\.csv: got more than 22 bytes; allowed: at most 22"):
        read_topology(path)


@given(st.text(alphabet='LayerMNK, \n\r",#0123456789:éDP\x00', max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for header in ("", f"{GEMM}\n", f"{CONV}\n"):
        try:
            parse_topology(header + text, "net.csv")
        except BadInput as error:
            assert str(error).startswith("net.csv")
