"""Rows of a topology file: their columns, and the matrix product that a row describes.

SCALE-Sim's conv form has eight columns and no padding; its GEMM form has M, N and K. hwsim adds optional columns to
both, described in `accel_models/topologies/README.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from hwsim.errors import BadInput
from hwsim.formats import MAX_CODE_BITS
from hwsim.interop.topology.topology import OUTPUT_SIZES, OutputSize
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, conv_product

MAX_NUMBER = (1 << 31) - 1
"""Largest number in a cell."""


@dataclass(frozen=True)
class Form:
    """A form of topology file: its required and optional columns."""

    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, required ones first."""
        return self.required + self.optional


_HWSIM_COLUMNS = ("Groups", "Activation bits", "Weight bits", "Output bits", "Second operand", "Sparsity")

CONV = Form(
    ("Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides"),
    ("Padding", "Dilation", *_HWSIM_COLUMNS),
)
"""Form whose rows are convolutions."""

GEMM = Form(("Layer", "M", "N", "K"), _HWSIM_COLUMNS)
"""Form whose rows are matrix products [M, K] x [K, N]."""


@dataclass(frozen=True)
class Row:
    """One layer of a file.

    Attributes
    ----------
    where : place of the row in the file, for errors
    form : form of the file
    cells : text of each column of the form, empty where the file has none
    """

    where: str
    form: Form
    cells: Mapping[str, str]

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.cells[self.form.required[0]]

    def error(self, column: str, given: object, allowed: str) -> BadInput:
        """Return the error for the cell in `column`."""
        return BadInput(f"{self.where}, {column}", given or None, allowed)

    def number(self, column: str, low: int = 1, high: int = MAX_NUMBER, default: int | None = None) -> int:
        """Return the whole number in a column; raises BadInput outside `low` to `high`."""
        return self.numbers(column, (1,), "a whole number", low, high, None if default is None else (default,))[0]

    def numbers(
        self,
        column: str,
        counts: Sequence[int],
        allowed: str,
        low: int = 1,
        high: int = MAX_NUMBER,
        default: tuple[int, ...] | None = None,
    ) -> tuple[int, ...]:
        """Return the whole numbers in a column, which are separated by blanks.

        Parameters
        ----------
        column : name of the column
        counts : allowed counts of numbers
        allowed : words of the error for `counts`
        low, high : range of each number
        default : numbers of an empty cell, None where an empty cell is an error
        """
        text = self.cells[column]
        if not text and default is not None:
            return default
        words = text.split()
        valid = len(words) in counts and all(is_number(w) and low <= _integer(w) <= high for w in words)
        if not valid:
            raise self.error(column, text, f"{allowed} from {low} to {high}")
        return tuple(map(_integer, words))


def is_number(word: str) -> bool:
    """Return True for a word of one to ten decimal digits; zeros may follow a decimal point, as in 3.0."""
    return re.fullmatch(r"[0-9]{1,10}(\.0{0,10})?", word) is not None


def _integer(word: str) -> int:
    return int(word.partition(".")[0])


def quoted_name(name: str) -> str:
    """Return a name as a file has it: with an apostrophe before what a spreadsheet would run as a formula.

    >>> quoted_name("fc"), quoted_name("=1+1"), plain_name("'=1+1")
    ('fc', "'=1+1", '=1+1')
    """
    return f"'{name}" if re.match(r"'*[=+\-@]", name) else name


def plain_name(cell: str) -> str:
    """Return the name in a cell, without the apostrophe of `quoted_name`."""
    return cell[1:] if re.match(r"'+[=+\-@]", cell) else cell


def check_name(row: Row) -> None:
    """Raise BadInput for a layer name that is empty, not printable, begins with # or begins or ends with a blank."""
    if not row.name or not row.name.isprintable() or row.name != row.name.strip() or row.name.startswith("#"):
        raise row.error(row.form.required[0], repr(row.name) if row.name else "", "a printable name")


def row_product(row: Row, output_size: OutputSize) -> Product:
    """Return the matrix product of a row; raises BadInput that names row and column."""
    product = _conv_product(row, output_size) if row.form is CONV else _gemm_product(row)
    is_sparse(row)  # checks the cell
    return replace(
        product,
        a_bits=row.number("Activation bits", high=MAX_CODE_BITS, default=8),
        w_bits=row.number("Weight bits", high=MAX_CODE_BITS, default=8),
        out_bits=row.number("Output bits", high=48, default=8),
        second_is_weight=second_operand(row) is SecondOperand.WEIGHT,
    )


class SecondOperand(StrEnum):
    """Second operand of a product: a weight, which the samples of a batch share, an activation, or unknown."""

    WEIGHT = "weight"
    ACTIVATION = "activation"
    UNKNOWN = "unknown"


_OF_TWO_ACTIVATIONS = re.compile(r"score|context|ctx|attn|attention|softmax|bmm|\bpv\b|\bav\b|q\W?k(?!\W?v(?!t?$))")
"""Names of products of two activations; QKT and QKTV are, qkv is not."""

_OF_WEIGHTS = re.compile(r"proj|qkv|linear|dense|\bfc|query|key|value|weight|\bff|mlp")
"""Names of projections and linear layers inside an attention."""


def second_operand(row: Row) -> SecondOperand:
    """Return the second operand of a row, UNKNOWN where neither the row nor its form says so.

    A convolution has weights. So has a GEMM with one group, as in SCALE-Sim, unless its name is that of a product
    of two activations. A GEMM with groups, such as heads, may be either.
    """
    text = row.cells["Second operand"].lower().removesuffix("s")
    if text:
        if text not in (SecondOperand.WEIGHT, SecondOperand.ACTIVATION):
            raise row.error("Second operand", row.cells["Second operand"], "weight or activation")
        return SecondOperand(text)
    if row.form is CONV:
        return SecondOperand.WEIGHT
    name = row.name.lower().replace("_", " ")
    by_name = _OF_TWO_ACTIVATIONS.search(name) and not _OF_WEIGHTS.search(name)
    return SecondOperand.UNKNOWN if by_name or row.number("Groups", default=1) > 1 else SecondOperand.WEIGHT


def _gemm_product(row: Row) -> Product:
    """Return the product of a GEMM row; M, N and K are the sizes of each group."""
    m, n, k = (row.number(column) for column in "MNK")
    groups = row.number("Groups", default=1)
    return Product(pixels=m, reduction=k, filters=n, groups=groups, ifmap_elements=groups * m * k)


def _conv_product(row: Row, output_size: OutputSize) -> Product:
    """Return the product of a conv row.

    Channels and filters are the totals of all groups, except in a layer that is depthwise by its name.
    """
    height, width = map_size(row)
    channels, filters = row.number("Channels"), row.number("Num Filter")
    if is_depthwise(row):
        groups, filters = channels, channels * filters
    else:
        groups = row.number("Groups", default=1)
        if channels % groups or filters % groups:
            raise row.error("Groups", groups, f"a divisor of {channels} channels and of {filters} filters")
    return conv_product(channels, filters, height, width, replace(row_geometry(row, output_size), groups=groups))


def is_depthwise(row: Row) -> bool:
    """Return True where SCALE-Sim v3 convolves each channel separately (topology_utils.py).

    The name of such a layer contains DP. A given Groups overrules the name.
    """
    return row.form is CONV and "DP" in row.name and not row.cells["Groups"]


def is_sparse(row: Row) -> bool:
    """Return True for N:M sparse weights with N below M; raises BadInput for a cell that is no such ratio."""
    text = row.cells["Sparsity"]
    if not text:
        return False
    nonzero, _, of = text.partition(":")
    if not (is_number(nonzero) and is_number(of) and 1 <= int(nonzero) <= int(of)):
        raise row.error("Sparsity", text, "N:M with N from 1 to M, as 2:4")
    return int(nonzero) < int(of)


def map_size(row: Row) -> tuple[int, int]:
    """Return rows and columns of the input map."""
    return row.number("IFMAP Height"), row.number("IFMAP Width")


def row_geometry(row: Row, output_size: OutputSize) -> Geometry:
    """Return kernel, stride, dilation and padding of a convolution, with one group."""
    kernel = row.number("Filter Height"), row.number("Filter Width")
    stride, dilation = _pair(row, "Strides"), _pair(row, "Dilation", (1,))
    size = map_size(row)
    span = [dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
    zeros = _given_padding(row) or [_padding(size[axis], span[axis], stride[axis], output_size) for axis in (0, 1)]
    for axis, column in ((0, "Filter Height"), (1, "Filter Width")):
        padded = size[axis] + sum(zeros[axis])
        if span[axis] > padded:
            spans = f"{kernel[axis]} taps that span {span[axis]}" if span[axis] > kernel[axis] else str(kernel[axis])
            raise row.error(column, spans, f"at most {padded}, the size of the map with its padding")
    (top, bottom), (left, right) = zeros
    end = None if (bottom, right) == (top, left) else (bottom, right)
    return Geometry(kernel, stride, (top, left), dilation=dilation, padding_end=end)


def _pair(row: Row, column: str, default: tuple[int, ...] | None = None) -> tuple[int, int]:
    """Return the numbers for rows and columns; one number is for both."""
    numbers = row.numbers(column, (1, 2), "one whole number, or two for rows and columns,", default=default)
    return numbers[0], numbers[-1]


def _given_padding(row: Row) -> list[tuple[int, int]] | None:
    """Return zeros before and after each axis, None for an empty cell.

    A cell contains one number, one for rows and one for columns, or one for each side.
    """
    if not row.cells["Padding"]:
        return None
    allowed = "one whole number, or two for rows and columns, or four for top, bottom, left and right,"
    zeros = row.numbers("Padding", (1, 2, 4), allowed, low=0)
    if len(zeros) == 4:
        return [(zeros[0], zeros[1]), (zeros[2], zeros[3])]
    return [(zeros[0], zeros[0]), (zeros[-1], zeros[-1])]


def _padding(size: int, span: int, stride: int, output_size: OutputSize) -> tuple[int, int]:
    """Return zeros before and after an axis with which a convolution that rounds down has the given output size."""
    if output_size == "padded":
        total = max(0, ((size - 1) // stride) * stride + span - size)
        return total // 2, total - total // 2
    beyond_edge = -(size - span) % stride if output_size == "ceil" and span <= size else 0
    return 0, beyond_edge


def output_sizes(row: Row) -> dict[OutputSize, str]:
    """Return the output size of a row by each rule, such as "54x54"; "none" where the kernel is too large.

    >>> cells = dict(zip(CONV.required, ["c", "56", "56", "3", "3", "64", "64", "2"]))
    >>> output_sizes(Row("line 2", CONV, dict.fromkeys(CONV.columns, "") | cells))
    {'ceil': '28x28', 'floor': '27x27', 'padded': '28x28'}
    """
    sizes: dict[OutputSize, str] = {}
    for rule in OUTPUT_SIZES:
        try:
            geometry = row_geometry(row, rule)
        except BadInput:
            sizes[rule] = "none"
        else:
            height, width = geometry.output_size(*map_size(row))
            sizes[rule] = f"{height}x{width}"
    return sizes
