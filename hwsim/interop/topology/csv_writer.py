"""Writer of topology files, in SCALE-Sim's CSV form and with hwsim's optional columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hwsim.errors import BadInput
from hwsim.files.writing import NO_MARK, write_file
from hwsim.interop.topology.rows import (
    CONV,
    GEMM,
    Form,
    Row,
    SecondOperand,
    check_name,
    quoted_name,
    row_geometry,
    row_product,
    second_operand,
)
from hwsim.interop.topology.topology import Topology
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, Window


def write_topology(path: str | Path, topology: Topology, force: bool = False) -> None:
    """Write the layers as a CSV file; `read_topology(path)` returns the same layers.

    Raises BadInput, before anything is written, for a layer that a row cannot describe, and HwsimError for a path that
    cannot be written. SCALE-Sim reads no comments, so that nothing in the file says that hwsim wrote it: an existing
    file is replaced only with `force`.
    """
    write_file(path, topology_text(topology), NO_MARK, force)


def topology_text(topology: Topology) -> str:
    """Return the text of a topology file: SCALE-Sim's columns, and the optional columns that a layer needs.

    The form is GEMM where no layer is a convolution, else conv. In the conv form, a plain product [M, K] x [K, N] is a
    1x1 convolution of K channels over M rows.

    >>> from hwsim.interop.topology.topology import Workload
    >>> print(topology_text(Topology("one", (Workload("fc", Product(1, 512, 10, ifmap_elements=512)),))), end="")
    Layer,M,N,K
    fc,1,10,512
    """
    if not topology.layers:
        raise BadInput("topology.layers", "none", "one or more")
    form = CONV if any(layer.product.window for layer in topology.layers) else GEMM
    products = [_in_form(layer.product, form) for layer in topology.layers]
    rows = [_cells(layer.name, product, form) for layer, product in zip(topology.layers, products, strict=True)]
    needed = (column for column in form.optional if any(cells[column] != _default(column, cells) for cells in rows))
    columns = [*form.required, *needed]
    for layer, product, cells in zip(topology.layers, products, rows, strict=True):
        as_read = {column: cells[column] if column in columns else "" for column in form.columns}
        _check_writable(product, Row(f"layer {layer.name!r}", form, as_read))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    name = form.required[0]
    writer.writerows([quoted_name(cells[c]) if c == name else cells[c] for c in columns] for cells in rows)
    return out.getvalue()


def _in_form(product: Product, form: Form) -> Product:
    """Return the product itself, or in the conv form a plain product as a 1x1 convolution."""
    if form is GEMM or product.window is not None:
        return product
    return replace(product, window=Window(product.pixels, 1, Geometry(groups=product.groups)))


def _cells(name: str, product: Product, form: Form) -> dict[str, str]:
    """Return the text of every column of a form."""
    p = product
    bits = {"Activation bits": p.a_bits, "Weight bits": p.w_bits, "Output bits": p.out_bits}
    operand = SecondOperand.WEIGHT if p.second_is_weight else SecondOperand.ACTIVATION
    cells: dict[str, object] = {"Groups": p.groups, "Sparsity": "", "Second operand": operand} | bits
    if p.window is None:
        cells |= {"Layer": name, "M": p.pixels, "N": p.filters, "K": p.reduction}
    else:
        cells |= _conv_cells(p, p.window) | {"Layer name": name}
    return {column: str(cells[column]) for column in form.columns}


def _conv_cells(product: Product, window: Window) -> dict[str, object]:
    """Return the cells of a convolution, without its name, groups and bit widths."""
    g = window.geometry
    return {
        "IFMAP Height": window.height,
        "IFMAP Width": window.width,
        "Filter Height": g.kernel[0],
        "Filter Width": g.kernel[1],
        "Channels": product.groups * product.reduction // window.taps,
        "Num Filter": product.groups * product.filters,
        "Strides": _shortest(g.stride),
        "Padding": _padding_cell(g),
        "Dilation": _shortest(g.dilation),
    }


def _padding_cell(geometry: Geometry) -> str:
    """Return the Padding cell: one number, two for rows and columns, or four for all sides."""
    top, bottom, left, right = geometry.pads
    return _shortest((top, left) if (top, left) == (bottom, right) else (top, bottom, left, right))


def _shortest(numbers: Sequence[int]) -> str:
    """Return equal numbers as one number, others separated by blanks."""
    return str(numbers[0]) if len(set(numbers)) == 1 else " ".join(map(str, numbers))


def _default(column: str, cells: Mapping[str, str]) -> str:
    """Return the cell that a reader assumes without the column, "none" where a reader must have the column."""
    match column:
        case "Padding":
            return _default_padding(cells)
        case "Groups":
            return "none" if "DP" in cells.get("Layer name", "") else "1"
        case "Dilation":
            return "1"
        case "Second operand":
            return second_operand(Row("second operand", GEMM if "M" in cells else CONV, {**cells, column: ""}))
        case "Sparsity":
            return ""
    return "8"


def _default_padding(cells: Mapping[str, str]) -> str:
    """Return the padding of the output size "ceil"; "none" where the kernel is larger than the map."""
    try:
        return _padding_cell(row_geometry(Row("padding", CONV, {**cells, "Padding": ""}), "ceil"))
    except BadInput:
        return "none"


def _check_writable(product: Product, row: Row) -> None:
    """Raise BadInput for a layer that would be read back differently."""
    check_name(row)
    if row_product(row, "ceil") != product:
        allowed = "products without regions, all of whose input elements are in their map"
        raise BadInput(row.where, product, allowed)
