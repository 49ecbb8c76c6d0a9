"""Layer shapes without weights: topology files, SCALE-Sim's CSV form and ours, in and out.

SCALE-Sim's conv form has eight columns and no padding; its GEMM form has M, N and K. Ours are the
same with optional columns behind them, described in `accel_models/topologies/README.md`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Literal, get_args

from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.formats import MAX_CODE_BITS
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, Window, conv_product

Reading = Literal["ceil", "floor", "padded"]
"""Output size of a convolution whose padding a file does not give; H, k, s: map, kernel and stride along one axis.

ceil: ceil((H - k) / s) + 1, what SCALE-Sim computes: the last window may hang over the edge. floor:
floor((H - k) / s) + 1, the plain convolution of the given map. padded: ceil(H / s), zeros all
around, the odd one at the lower and right edge.
"""

READINGS: tuple[Reading, ...] = get_args(Reading)

MAX_BYTES = 4 << 20
"""Largest file that is read."""

_LARGEST = (1 << 31) - 1
_SHOWN = 4
"""Layers that a note shows before it says how many more there are."""


@dataclass(frozen=True)
class Workload:
    """One layer with multiplications: its name, and the matrix product that the PE array runs."""

    name: str
    product: Product


@dataclass(frozen=True)
class Topology:
    """The layers of a network, without weights and values, in the order in which they run.

    `reading` is the rule for output sizes that was applied to layers without a given padding, and
    `ambiguous` names those of them whose size another reading would change. `notes` are lines for
    whoever reads the numbers: what was assumed, and what of the file has no effect.
    """

    name: str
    layers: tuple[Workload, ...]
    reading: Reading = "ceil"
    ambiguous: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> int:
        """Products of one sample, over all layers."""
        return sum(layer.product.macs for layer in self.layers)


def read_topology(path: str | Path, reading: Reading = "ceil") -> Topology:
    """The topology in a CSV file; its name is that of the file without the suffix.

    Raises BadInput that names file, line and column, and UnknownName for an unknown column.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(str(path), error.strerror or "no file", "a file that can be read") from None
    if len(data) > MAX_BYTES:
        raise BadInput(str(path), f"more than {MAX_BYTES} bytes", f"at most {MAX_BYTES}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(str(path), f"byte {data[error.start]:#04x} at offset {error.start}", "UTF-8 text") from None
    return parse_topology(text, str(path), reading)


def parse_topology(text: str, source: str, reading: Reading = "ceil") -> Topology:
    """The topology that `text` holds; `source` is the file that errors and notes name. Raises as `read_topology`.

    >>> alexnet = parse_topology("Layer, M, N, K\\nfc8, 1, 1000, 4096\\n", "alexnet.csv")
    >>> alexnet.name, alexnet.layers[0].name, alexnet.macs
    ('alexnet', 'fc8', 4096000)
    """
    if reading not in READINGS:
        raise UnknownName("reading", reading, READINGS)
    rows = list(_rows(text, source))
    if not rows:
        raise BadInput(source, "no layer", "a header and one row per layer")
    layers = tuple(Workload(row.name, _product(row, reading)) for row in rows)
    unpadded = [row for row in rows if row.form is _CONV and not row.cells["Padding"]]
    ambiguous = [row for row in unpadded if len(set(_sizes(row).values())) > 1]
    notes = (
        _reading_note(reading, rows, unpadded, ambiguous),
        _list_note("read as depthwise, as SCALE-Sim reads names that hold 'DP'", filter(_depthwise, rows)),
        _list_note("sparsity is not modelled, counted as dense", filter(_sparse, rows)),
    )
    told = tuple(f"{source}: {note}" for note in notes if note)
    return Topology(PurePath(source).stem, layers, reading, tuple(row.name for row in ambiguous), told)


def write_topology(path: str | Path, topology: Topology) -> None:
    """Write the layers as a CSV file from which `read_topology(path)` makes the same layers again.

    Raises BadInput, before anything is written, for a layer that no row can say, and HwsimError for
    a place that cannot be written.
    """
    text = topology_text(topology)
    try:
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise HwsimError(f"{path}: cannot be written: {error.strerror}") from None


def topology_text(topology: Topology) -> str:
    """What `write_topology` writes: SCALE-Sim's columns, and those of ours that some layer needs.

    The GEMM form where no layer is a convolution. Otherwise the conv form, in which a plain product
    [M, K] x [K, N] stands as a 1x1 convolution of K channels over M rows.

    >>> print(topology_text(Topology("one", (Workload("fc", Product(1, 512, 10, ifmap_elements=512)),))), end="")
    Layer,M,N,K
    fc,1,10,512
    """
    if not topology.layers:
        raise BadInput("topology.layers", "none", "one or more")
    form = _CONV if any(layer.product.window for layer in topology.layers) else _GEMM
    wanted = [_as_form(layer.product, form) for layer in topology.layers]
    cells = [_cells(layer.name, product, form) for layer, product in zip(topology.layers, wanted, strict=True)]
    columns = [*form.required, *(c for c in form.optional if any(row[c] != _default(c, row) for row in cells))]
    for layer, product, row in zip(topology.layers, wanted, cells, strict=True):
        as_read = {column: row[column] if column in columns else "" for column in form.columns}
        _check_writable(product, _Row(f"layer {layer.name!r}", form, as_read))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row[c] for c in columns] for row in cells)
    return out.getvalue()


# Columns and rows


@dataclass(frozen=True)
class _Form:
    """A kind of topology file: the columns it must and may have."""

    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.required + self.optional


_OURS = ("Groups", "Activation bits", "Weight bits", "Output bits", "Sparsity")
_CONV = _Form(
    ("Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides"),
    ("Padding", "Dilation", *_OURS),
)
_GEMM = _Form(("Layer", "M", "N", "K"), _OURS)
_ALSO_CALLED = {"layer": "layername", "numfilters": "numfilter", "stride": "strides"}


def _key(name: str) -> str:
    key = "".join(name.split()).lower()
    return _ALSO_CALLED.get(key, key)


@dataclass(frozen=True)
class _Row:
    """One layer of a file: the text in each column of its form, empty where the file has none."""

    where: str
    form: _Form
    cells: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.cells[self.form.required[0]]

    def bad(self, column: str, given: object, allowed: str) -> BadInput:
        return BadInput(f"{self.where}, {column}", given or None, allowed)

    def number(self, column: str, low: int = 1, high: int = _LARGEST, default: int | None = None) -> int:
        """The whole number in a column."""
        return self.numbers(column, (1,), "a whole number", low, high, None if default is None else (default,))[0]

    def numbers(
        self,
        column: str,
        counts: Sequence[int],
        allowed: str,
        low: int = 1,
        high: int = _LARGEST,
        default: tuple[int, ...] | None = None,
    ) -> tuple[int, ...]:
        """The whole numbers in a column, separated by blanks; there may be as many as `counts` says."""
        text = self.cells[column]
        if not text and default is not None:
            return default
        words = text.split()
        fine = len(words) in counts and all(_is_number(w) and low <= int(w) <= high for w in words)
        if not fine:
            raise self.bad(column, text, f"{allowed} from {low} to {high}")
        return tuple(map(int, words))


def _is_number(word: str) -> bool:
    return re.fullmatch("[0-9]{1,10}", word) is not None


def _rows(text: str, source: str) -> Iterator[_Row]:
    """The layers of a file, its header understood, comments and empty lines left out."""
    form: _Form | None = None
    header: list[str] = []
    for line, cells in _lines(text, source):
        where = f"{source} line {line}"
        if form is None:
            form, header = _header(cells, where)
            continue
        while len(cells) > len(header) and not cells[-1]:
            cells.pop()
        if len(cells) != len(header):
            raise BadInput(where, f"{len(cells)} cells", f"{len(header)}, one for each column of the header")
        row = _Row(where, form, dict.fromkeys(form.columns, "") | dict(zip(header, cells, strict=True)))
        _check_name(row)
        yield row


def _lines(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every line that holds something; a cell that begins with # begins a comment."""
    lines = ("\n" if line.lstrip().startswith("#") else line for line in io.StringIO(text, newline=""))
    reader = csv.reader(lines, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            comment = next((i for i, cell in enumerate(cells) if cell.startswith("#")), len(cells))
            if any(cells[:comment]):
                yield reader.line_num, cells[:comment]
    except csv.Error as error:
        raise BadInput(f"{source} line {reader.line_num}", str(error), "comma-separated cells") from None


def _header(cells: list[str], where: str) -> tuple[_Form, list[str]]:
    """The form of a file, and the name of each of its columns as that form spells it."""
    if len(cells) > 1 and _is_number(cells[1]):
        allowed = f"a header first: {', '.join(_CONV.required)}; or {', '.join(_GEMM.required)}"
        raise BadInput(where, "a row of numbers", allowed)
    while not cells[-1]:
        cells.pop()
    keys = [_key(cell) for cell in cells]
    form = _GEMM if {"m", "n", "k"} & set(keys) else _CONV
    spelled = {_key(column): column for column in form.columns}
    for place, (cell, key) in enumerate(zip(cells, keys, strict=True)):
        if not key:
            raise BadInput(f"{where}, column {place + 1}", "no name", ", ".join(form.columns))
        if key not in spelled:
            raise UnknownName(f"{where}, column {place + 1}", cell, form.columns)
        if key in keys[:place]:
            raise BadInput(f"{where}, column {place + 1}", f"{cell} a second time", "each column once")
    missing = [column for column in form.required if _key(column) not in keys]
    if missing:
        raise BadInput(where, f"no column {missing[0]}", f"{', '.join(form.required)}, in any order")
    return form, [spelled[key] for key in keys]


def _check_name(row: _Row) -> None:
    if not row.name or not row.name.isprintable() or row.name != row.name.strip() or row.name.startswith("#"):
        raise row.bad(row.form.required[0], repr(row.name) if row.name else "", "a printable name")


# From a row to a product


def _product(row: _Row, reading: Reading) -> Product:
    shape = _conv_product(row, reading) if row.form is _CONV else _gemm_product(row)
    _sparse(row)  # refuses what is no ratio
    return replace(
        shape,
        a_bits=row.number("Activation bits", high=MAX_CODE_BITS, default=8),
        w_bits=row.number("Weight bits", high=MAX_CODE_BITS, default=8),
        out_bits=row.number("Output bits", high=48, default=8),
    )


def _gemm_product(row: _Row) -> Product:
    """M, N and K are those of each group."""
    m, n, k = (row.number(column) for column in "MNK")
    groups = row.number("Groups", default=1)
    return Product(pixels=m, reduction=k, filters=n, groups=groups, ifmap_elements=groups * m * k)


def _conv_product(row: _Row, reading: Reading) -> Product:
    """Channels and filters are those of all groups, except in a layer that its name makes depthwise."""
    height, width = _map_size(row)
    channels, filters = row.number("Channels"), row.number("Num Filter")
    if _depthwise(row):
        groups, filters = channels, channels * filters
    else:
        groups = row.number("Groups", default=1)
        if channels % groups or filters % groups:
            raise row.bad("Groups", groups, f"a divisor of {channels} channels and of {filters} filters")
    return conv_product(channels, filters, height, width, replace(_geometry(row, reading), groups=groups))


def _depthwise(row: _Row) -> bool:
    """True where SCALE-Sim v3 convolves each channel alone (topology_utils.py); a given Groups overrules the name."""
    return row.form is _CONV and "DP" in row.name and not row.cells["Groups"]


def _sparse(row: _Row) -> bool:
    """True for N:M sparse weights, N below M."""
    text = row.cells["Sparsity"]
    if not text:
        return False
    kept, _, of = text.partition(":")
    if not (_is_number(kept) and _is_number(of) and 1 <= int(kept) <= int(of)):
        raise row.bad("Sparsity", text, "N:M with N from 1 to M, as 2:4")
    return int(kept) < int(of)


def _map_size(row: _Row) -> tuple[int, int]:
    return row.number("IFMAP Height"), row.number("IFMAP Width")


def _kernel(row: _Row) -> tuple[int, int]:
    return row.number("Filter Height"), row.number("Filter Width")


def _pair(row: _Row, column: str, default: tuple[int, ...] | None = None) -> tuple[int, int]:
    numbers = row.numbers(column, (1, 2), "one whole number, or two for rows and columns,", default=default)
    return numbers[0], numbers[-1]


def _geometry(row: _Row, reading: Reading) -> Geometry:
    """Kernel, stride, dilation and padding of a convolution; its groups are left at 1."""
    kernel, stride, dilation = _kernel(row), _pair(row, "Strides"), _pair(row, "Dilation", (1,))
    size = _map_size(row)
    span = [dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
    given = _given_padding(row)
    zeros = given or [_padding(size[axis], span[axis], stride[axis], reading) for axis in (0, 1)]
    for axis, column in ((0, "Filter Height"), (1, "Filter Width")):
        padded = size[axis] + sum(zeros[axis])
        if span[axis] > padded:
            spans = f"{kernel[axis]} taps that span {span[axis]}" if span[axis] > kernel[axis] else str(kernel[axis])
            raise row.bad(column, spans, f"at most {padded}, the size of the map with its padding")
    (top, bottom), (left, right) = zeros
    end = None if (bottom, right) == (top, left) else (bottom, right)
    return Geometry(kernel, stride, (top, left), dilation=dilation, padding_end=end)


def _given_padding(row: _Row) -> list[tuple[int, int]] | None:
    """Zeros before and after each axis, where the row says so: one number, rows and columns, or all four sides."""
    if not row.cells["Padding"]:
        return None
    allowed = "one whole number, or two for rows and columns, or four for top, bottom, left and right,"
    zeros = row.numbers("Padding", (1, 2, 4), allowed, low=0)
    if len(zeros) == 4:
        return [(zeros[0], zeros[1]), (zeros[2], zeros[3])]
    return [(zeros[0], zeros[0]), (zeros[-1], zeros[-1])]


def _padding(size: int, span: int, stride: int, reading: Reading) -> tuple[int, int]:
    """Zeros before and after an axis that make a convolution with rounding down give the size of `reading`."""
    if reading == "padded":
        total = max(0, ((size - 1) // stride) * stride + span - size)
        return total // 2, total - total // 2
    hanging_over = -(size - span) % stride if reading == "ceil" and span <= size else 0
    return 0, hanging_over


# Notes


def _sizes(row: _Row) -> dict[Reading, str]:
    """The output size of a row in each reading that its kernel allows."""
    sizes: dict[Reading, str] = {}
    for reading in READINGS:
        try:
            geometry = _geometry(row, reading)
        except BadInput:
            sizes[reading] = "none"
        else:
            height, width = geometry.output_size(*_map_size(row))
            sizes[reading] = f"{height}x{width}"
    return sizes


def _reading_note(reading: Reading, rows: Sized, unpadded: Sized, ambiguous: Sequence[_Row]) -> str:
    if not unpadded:
        return "" if reading == "ceil" else f"reading {reading} has no effect, no layer leaves its padding open"
    if not ambiguous:
        return "no padding given; every reading gives the same output sizes"
    shown = [f"{row.name} ({', '.join(f'{r} {s}' for r, s in _sizes(row).items())})" for row in ambiguous[:_SHOWN]]
    return (
        f"no padding given, output sizes read as {reading}; another reading changes "
        f"{len(ambiguous)} of {len(rows)} layers: {_and_more(shown, len(ambiguous))}"
    )


def _list_note(what: str, rows: Iterable[_Row]) -> str:
    names = [row.name for row in rows]
    return f"{what}: {_and_more(names[:_SHOWN], len(names))}" if names else ""


def _and_more(shown: Sequence[str], count: int) -> str:
    return ", ".join(shown) + (f" and {count - len(shown)} more" if count > len(shown) else "")


# From a product to a row


def _as_form(product: Product, form: _Form) -> Product:
    """The product itself, or the 1x1 convolution that a plain product is in a file of convolutions."""
    if form is _GEMM or product.window is not None:
        return product
    return replace(product, window=Window(product.pixels, 1, Geometry(groups=product.groups)))


def _cells(name: str, product: Product, form: _Form) -> dict[str, str]:
    """The text of every column."""
    p = product
    bits = {"Activation bits": p.a_bits, "Weight bits": p.w_bits, "Output bits": p.out_bits}
    cells: dict[str, object] = {"Groups": p.groups, "Sparsity": ""} | bits
    if p.window is None:
        cells |= {"Layer": name, "M": p.pixels, "N": p.filters, "K": p.reduction}
    else:
        cells |= _conv_cells(p, p.window) | {"Layer name": name}
    return {column: str(cells[column]) for column in form.columns}


def _conv_cells(product: Product, window: Window) -> dict[str, object]:
    g = window.geometry
    return {
        "IFMAP Height": window.height,
        "IFMAP Width": window.width,
        "Filter Height": g.kernel[0],
        "Filter Width": g.kernel[1],
        "Channels": product.groups * product.reduction // window.taps,
        "Num Filter": product.groups * product.filters,
        "Strides": _shortest(g.stride),
        "Padding": _sides(g),
        "Dilation": _shortest(g.dilation),
    }


def _sides(geometry: Geometry) -> str:
    top, bottom, left, right = geometry.pads
    return _shortest((top, left) if (top, left) == (bottom, right) else (top, bottom, left, right))


def _shortest(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else " ".join(map(str, numbers))


def _default(column: str, cells: Mapping[str, str]) -> str:
    """The cell that a reader would assume if there were no such column; in a name with DP there is no default group."""
    match column:
        case "Padding":
            return _ceil_padding(cells)
        case "Groups":
            return "none" if "DP" in cells.get("Layer name", "") else "1"
        case "Dilation":
            return "1"
        case "Sparsity":
            return ""
    return "8"


def _ceil_padding(cells: Mapping[str, str]) -> str:
    """The padding that the reading `ceil` would find; none where the kernel is larger than the map."""
    try:
        return _sides(_geometry(_Row("padding", _CONV, {**cells, "Padding": ""}), "ceil"))
    except BadInput:
        return "none"


def _check_writable(product: Product, row: _Row) -> None:
    """Refuse a layer that would be read back as another one."""
    _check_name(row)
    if _product(row, "ceil") != product:
        allowed = "products without regions, all of whose input elements are those of their map"
        raise BadInput(row.where, product, allowed)
