"""Written topology files are read back as the same layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import BadInput, HwsimError
from hwsim.interop.topology.csv_reader import parse_topology
from hwsim.interop.topology.csv_writer import topology_text, write_topology
from hwsim.interop.topology.topology import OUTPUT_SIZES, OutputSize, Topology, Workload
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, Window, conv_product

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides"


bits = st.integers(1, 16)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
    lambda name: name.isprintable() and name == name.strip() and not name.startswith("#")
)
names |= st.sampled_from(["DP", "conv_DP_1", 'a "b", c', "=1+1", "'=1+1", "''@x", "'x", "-", "+DP"])


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
    return Product(m, k, n, groups, groups * m * k, **widths, second_is_weight=draw(st.booleans()))


def layers(products: st.SearchStrategy[Product]) -> st.SearchStrategy[tuple[Workload, ...]]:
    return st.lists(st.builds(Workload, names, products), min_size=1, max_size=4).map(tuple)


@given(layers(convolutions()) | layers(gemms()))
def test_a_written_topology_is_read_back(made: tuple[Workload, ...]) -> None:
    assert parse_topology(topology_text(Topology("net", made)), "net.csv").layers == made


@given(convolutions(), gemms())
def test_a_plain_product_becomes_a_pointwise_convolution_next_to_a_convolution(window: Product, plain: Product) -> None:
    text = topology_text(Topology("net", (Workload("a", window), Workload("b", plain))))
    a, b = (layer.product for layer in parse_topology(text, "net.csv").layers)
    assert a == window
    assert b.window == Window(plain.pixels, 1, Geometry(groups=plain.groups))
    assert replace(b, window=None) == plain


@given(
    size=st.integers(3, 30),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 4),
    output_size=st.sampled_from(OUTPUT_SIZES),
)
def test_output_sizes_are_the_same_after_writing(size: int, kernel: int, stride: int, output_size: OutputSize) -> None:
    topology = parse_topology(f"{CONV}\na,{size},{size},{kernel},{kernel},3,4,{stride}", "net.csv", output_size)
    assert parse_topology(topology_text(topology), "net.csv").layers == topology.layers


def test_a_name_with_dp_is_written_with_its_groups() -> None:
    """Without its groups the layer would be read as depthwise."""
    made = (Workload("DP1", conv_product(4, 6, 5, 5, Geometry((3, 3)))),)
    assert parse_topology(topology_text(Topology("net", made)), "net.csv").layers == made


def test_unneeded_columns_are_not_written(tmp_path: Path) -> None:
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
def test_layers_that_a_row_cannot_describe_are_not_written(layer: Workload, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        write_topology(tmp_path / "net.csv", Topology("net", (Workload("fine", FC), layer)))
    assert str(caught.value).startswith(f"layer {layer.name!r}")
    assert not (tmp_path / "net.csv").exists()


def test_a_topology_without_layers_is_not_written() -> None:
    with pytest.raises(BadInput, match="got none; allowed: one or more"):
        topology_text(Topology("net", ()))


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(HwsimError, match="got a folder that does not exist"):
        write_topology(tmp_path / "none" / "net.csv", Topology("net", (Workload("fc", FC),)))


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x", "'=x"])
def test_no_name_is_a_formula_of_a_spreadsheet(name: str) -> None:
    text = topology_text(Topology("one", (Workload(name, Product(1, 512, 10, ifmap_elements=512)),)))
    assert text.splitlines()[1] == f"'{name},1,10,512"
    assert parse_topology(text, "one.csv").layers[0].name == name
