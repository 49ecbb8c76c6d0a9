"""Reader of topology files, in SCALE-Sim's CSV form and with hwsim's optional columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence, Sized
from pathlib import Path, PurePath

from hwsim.errors import BadInput, UnknownName
from hwsim.interop.topology.rows import (
    CONV,
    GEMM,
    Form,
    Row,
    check_name,
    is_depthwise,
    is_number,
    is_sparse,
    output_sizes,
    row_product,
)
from hwsim.interop.topology.topology import OUTPUT_SIZES, OutputSize, Topology, Workload

MAX_BYTES = 4 << 20
"""Size of the largest file that is read."""

_MAX_LISTED = 4
"""Layers that a note lists by name."""

_SYNONYMS = {"layer": "layername", "numfilters": "numfilter", "stride": "strides"}
"""Other spellings of column names, as `_column_key` returns them."""


def read_topology(path: str | Path, output_size: OutputSize = "ceil") -> Topology:
    """Read the topology in a CSV file; its name is the file name without suffix.

    `output_size` is the rule for convolutions without a given padding. Raises BadInput that names file, line and
    column, and UnknownName for an unknown column.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(str(path), error.strerror or "nothing", "a file that can be read") from None
    if len(data) > MAX_BYTES:
        raise BadInput(str(path), f"more than {MAX_BYTES} bytes", f"at most {MAX_BYTES}")
    try:
        text = data.decode("utf-8-sig")
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
    rows = list(_rows(text, source))
    if not rows:
        raise BadInput(source, "no layer", "a header and one row per layer")
    layers = tuple(Workload(row.name, row_product(row, output_size)) for row in rows)
    unpadded = [row for row in rows if row.form is CONV and not row.cells["Padding"]]
    ambiguous = [row for row in unpadded if len(set(output_sizes(row).values())) > 1]
    notes = (
        _output_size_note(output_size, rows, unpadded, ambiguous),
        _list_note("depthwise, as in SCALE-Sim for names that contain 'DP'", filter(is_depthwise, rows)),
        _list_note("sparsity is not modeled, counted as dense", filter(is_sparse, rows)),
    )
    named_notes = tuple(f"{source}: {note}" for note in notes if note)
    return Topology(PurePath(source).stem, layers, output_size, tuple(row.name for row in ambiguous), named_notes)


def _rows(text: str, source: str) -> Iterator[Row]:
    """Yield the layers of a file, without header, comments and empty lines."""
    form: Form | None = None
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
        row = Row(where, form, dict.fromkeys(form.columns, "") | dict(zip(header, cells, strict=True)))
        check_name(row)
        yield row


def _lines(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of every line that is not empty; a cell that begins with # begins a comment."""
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


def _column_key(name: str) -> str:
    """Return a column name without blanks and case, with synonyms replaced."""
    key = "".join(name.split()).lower()
    return _SYNONYMS.get(key, key)


def _header(cells: list[str], where: str) -> tuple[Form, list[str]]:
    """Return the form of a file, and the name of each of its columns in the spelling of that form."""
    if len(cells) > 1 and is_number(cells[1]):
        allowed = f"a header first: {', '.join(CONV.required)}; or {', '.join(GEMM.required)}"
        raise BadInput(where, "a row of numbers", allowed)
    while not cells[-1]:
        cells.pop()
    keys = [_column_key(cell) for cell in cells]
    form = GEMM if {"m", "n", "k"} & set(keys) else CONV
    names = {_column_key(column): column for column in form.columns}
    for position, (cell, key) in enumerate(zip(cells, keys, strict=True)):
        if not key:
            raise BadInput(f"{where}, column {position + 1}", "no name", ", ".join(form.columns))
        if key not in names:
            raise UnknownName(f"{where}, column {position + 1}", cell, form.columns)
        if key in keys[:position]:
            raise BadInput(f"{where}, column {position + 1}", f"{cell} a second time", "each column once")
    missing = [column for column in form.required if _column_key(column) not in keys]
    if missing:
        raise BadInput(where, f"no column {missing[0]}", f"{', '.join(form.required)}, in any order")
    return form, [names[key] for key in keys]


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


def _list_note(what: str, rows: Iterable[Row]) -> str:
    """Return a note that lists the layers of `rows`, empty without rows."""
    names = [row.name for row in rows]
    return f"{what}: {_and_more(names[:_MAX_LISTED], len(names))}" if names else ""


def _and_more(listed: Sequence[str], count: int) -> str:
    """Join the listed names, with the number of the names out of `count` that are not listed."""
    return ", ".join(listed) + (f" and {count - len(listed)} more" if count > len(listed) else "")
