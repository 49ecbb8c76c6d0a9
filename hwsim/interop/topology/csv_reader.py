"""Reader of topology files, in SCALE-Sim's CSV form and with hwsim's optional columns."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from pathlib import Path, PurePath

from hwsim.errors import BadInput, UnknownName
from hwsim.files.reading import read_bytes
from hwsim.interop.topology.header import BATCH, IGNORED, STRIDE_COLS, STRIDE_ROWS, Header, read_header
from hwsim.interop.topology.rows import (
    CONV,
    GEMM,
    Row,
    SecondOperand,
    check_name,
    is_depthwise,
    is_sparse,
    output_sizes,
    plain_name,
    row_product,
    second_operand,
)
from hwsim.interop.topology.topology import OUTPUT_SIZES, OutputSize, Topology, Workload

MAX_BYTES = 4 << 20
"""Size of the largest file that is read."""

_MAX_LISTED = 4
"""Layers that a note lists by name."""


def read_topology(path: str | Path, output_size: OutputSize = "ceil") -> Topology:
    """Read the topology in a CSV file; its name is the file name without suffix.

    `output_size` is the rule for convolutions without a given padding. Raises BadInput that names file, line and
    column, and UnknownName for an unknown column.
    """
    data = read_bytes(path, MAX_BYTES)
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(str(path), f"byte {data[error.start]:#04x} at offset {error.start}", "UTF-8 text") from None
    return parse_topology(text, str(path), output_size)


def parse_topology(text: str, source: str, output_size: OutputSize = "ceil") -> Topology:
    """Read the topology in `text`; `source` is the file name in errors and notes. Raises as `read_topology`.

    >>> alexnet = parse_topology("Layer, M, N, K\\nfc8, 1, 1000, 4096\\n", "alexnet.csv")
    >>> alexnet.name, alexnet.layers[0].name, alexnet.macs
    ('alexnet', 'fc8', 4096000)
    """
    if output_size not in OUTPUT_SIZES:
        raise UnknownName("output_size", output_size, OUTPUT_SIZES)
    rows, notes_of_rows = _read_rows(text, source)
    if not rows:
        raise BadInput(source, "no layer", "a header and one row per layer")
    layers = tuple(Workload(row.name, row_product(row, output_size)) for row in rows)
    unpadded = [row for row in rows if row.form is CONV and not row.cells["Padding"]]
    ambiguous = [row for row in unpadded if len(set(output_sizes(row).values())) > 1]
    notes = (
        *notes_of_rows,
        _output_size_note(output_size, rows, unpadded, ambiguous),
        _list_note("depthwise, as in SCALE-Sim for names that contain 'DP'", _names(filter(is_depthwise, rows))),
        _list_note("sparsity is not modeled, counted as dense", _names(filter(is_sparse, rows))),
        *_operand_notes(rows),
    )
    named_notes = tuple(f"{source}: {note}" for note in notes if note)
    return Topology(PurePath(source).stem, layers, output_size, tuple(row.name for row in ambiguous), named_notes)


def _read_rows(text: str, source: str) -> tuple[list[Row], list[str]]:
    """Return the layers of a file, without header, comments, titles and empty lines, and notes on what was guessed."""
    separator, text = _separator(text)
    header: Header | None = None
    rows: list[Row] = []
    titles, unnamed, longer = [], [], []
    for line, cells in _lines(text, source, separator):
        where = f"{source} line {line}"
        if header is None:
            first, header = [*cells], read_header(cells, where)
            if not header.is_layer:
                continue
        elif cells == first and not header.is_layer:
            continue  # the header once more, where files were joined
        if not any(cells[1:]):
            titles.append(cells[0])
            continue
        if len(cells) > len(header.columns):
            longer += [str(line)] if any(cells[len(header.columns) :]) else []
            cells = cells[: len(header.columns)]
        row = _row(cells, header, where)
        name = header.form.required[0]
        if not row.cells[name]:
            row = replace(row, cells={**row.cells, name: f"line {line}"})
            unnamed.append(str(line))
        row = replace(row, cells={**row.cells, name: plain_name(row.name)})
        check_name(row)
        rows.append(row)
    notes = [
        f"columns separated by {_SEPARATORS[separator]}" if separator != "," else "",
        *(header.notes if header else ()),
        _list_note("ignored, lines with a name alone", titles),
        _list_note("ignored, cells beyond the columns of the header, in line", longer),
        _list_note("layers without a name have the name of their line", unnamed),
    ]
    return rows, notes


_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons"}


def _separator(text: str) -> tuple[str, str]:
    """Return the separator of the first line that is neither empty nor a comment, and the text without `sep=;`."""
    if text[:4].lower() == "sep=":  # a line for spreadsheets
        text = "\n" + text.partition("\n")[2]
    lines = (line for line in io.StringIO(text) if line.strip() and not _is_comment(line))
    header = next(lines, "")
    return next((mark for mark in _SEPARATORS if mark in header), ","), text


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(("#", "//"))


def _row(cells: list[str], header: Header, where: str) -> Row:
    """Return the row of the cells of a line; cells of optional columns may be missing at its end."""
    form, columns = header.form, header.columns
    absent = columns[len(cells) :]
    if any(column in form.required or column == STRIDE_COLS for column in absent):
        raise BadInput(where, f"{len(cells)} cells", f"{len(columns)}, one for each column of the header")
    found = dict.fromkeys((*form.columns, STRIDE_ROWS, STRIDE_COLS, BATCH), "")
    found |= {column: cell for column, cell in zip(columns, cells, strict=False) if column != IGNORED}
    if found[STRIDE_COLS]:
        found["Strides"] = f"{found[STRIDE_ROWS] or found['Strides']} {found[STRIDE_COLS]}"
    elif found[STRIDE_ROWS]:
        found["Strides"] = found[STRIDE_ROWS]
    row = Row(where, form, found)
    if found[BATCH] and row.number(BATCH) != 1:
        allowed = "1: a topology is one sample; remove the column and give the batch as `hwsim cycles --batch`"
        raise row.error(BATCH, found[BATCH], allowed)
    return replace(row, cells={column: found[column] for column in form.columns})


def _lines(text: str, source: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of every line that is not empty; a cell that begins with # begins a comment."""
    lines = ("\n" if _is_comment(line) else line for line in io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            comment = next((i for i, cell in enumerate(cells) if cell.startswith("#")), len(cells))
            if any(cells[:comment]):
                yield reader.line_num, cells[:comment]
    except csv.Error as error:
        raise BadInput(
            f"{source} line {reader.line_num}", str(error), f"cells separated by {_SEPARATORS[separator]}"
        ) from None


def _output_size_note(output_size: OutputSize, rows: Sized, unpadded: Sized, ambiguous: Sequence[Row]) -> str:
    """Return the note on layers without a given padding, empty where there is nothing to say."""
    if not unpadded:
        return "" if output_size == "ceil" else f"output size {output_size} has no effect, every layer has its padding"
    if not ambiguous:
        return "no padding given; ceil, floor and padded give the same output sizes"
    listed = [
        f"{row.name} ({', '.join(f'{rule} {size}' for rule, size in output_sizes(row).items())})"
        for row in ambiguous[:_MAX_LISTED]
    ]
    return (
        f"no padding given, output size is {output_size}; another choice changes "
        f"{len(ambiguous)} of {len(rows)} layers: {_and_more(listed, len(ambiguous))}"
    )


def _operand_notes(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the notes on GEMMs whose second operand the file does not give."""
    untold = [row for row in rows if row.form is GEMM and not row.cells["Second operand"]]
    unknown = [row for row in untold if second_operand(row) is SecondOperand.UNKNOWN]
    shared = [row for row in untold if row not in unknown]
    by_column = 'the column "Second operand" (weight, activation) decides'
    return (
        _list_note(
            f"second operand counted as an activation, own to each sample of a batch; {by_column}", _names(unknown)
        ),
        _list_note(f"second operand counted as weights, as in SCALE-Sim; {by_column}", _names(shared)),
    )


def _names(rows: Iterable[Row]) -> list[str]:
    return [row.name for row in rows]


def _list_note(what: str, names: Sequence[str]) -> str:
    """Return a note that lists `names`, empty without names."""
    return f"{what}: {_and_more(names[:_MAX_LISTED], len(names))}" if names else ""


def _and_more(listed: Sequence[str], count: int) -> str:
    """Join the listed names, with the number of the names out of `count` that are not listed."""
    return ", ".join(listed) + (f" and {count - len(listed)} more" if count > len(listed) else "")
